"""From cells to features: what each value of a column becomes, and what is said about it.

Rules. A number is standardised and clipped to +-BOUND; infinite is +-BOUND. A missing value is 0
with its "missing" indicator 1 where values were missing in training, and UNUSUAL where none was.
A constant that changed is at least UNUSUAL away from 0. A category that was not learned is
"other", and the rarest. Cells of another kind count as missing. All but the first is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lemari.mixed.cells import Column, text_in
from lemari.mixed.column import BOUND, CYCLES, UNUSUAL, MixedColumn
from lemari.mixed.kinds import odd_note, read_as
from lemari.mixed.learning import rarity
from lemari.mixed.moments import CHUNK

EQUAL = 1e-7  # a smaller difference, as a part of a constant with decimals, is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How D columns of numbers are standardised; all arrays (D,) but `constant`, positions.

    `fill` is what stands for a missing value, `marked` whether it has an indicator; a constant
    that differs by no more than `rounding` is still the same.
    """

    center: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    fill: np.ndarray
    marked: np.ndarray
    rounding: np.ndarray

    @classmethod
    def of(cls, columns: Sequence[MixedColumn]) -> Scale:
        """The scale of these columns."""
        marked = np.array([c.missing_share > 0 for c in columns], bool)
        return cls(
            np.array([c.center for c in columns], float),
            np.array([c.scale for c in columns], float),
            np.flatnonzero([c.kind == "constant" for c in columns]),
            np.where(marked, 0.0, UNUSUAL),
            marked,
            np.array([0.0 if c.whole else EQUAL * abs(c.center) for c in columns], float),
        )

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Standardised and clipped numbers (n, D) float64; NaN stays.

        A constant has 0 where it is the same and its difference, at least UNUSUAL, elsewhere.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.subtract(values, self.center, dtype=np.float64)
            for j in self.constant:
                x[:, j] = _changed(x[:, j], float(self.rounding[j]))
            x /= self.scale
        return np.clip(x, -BOUND, BOUND, out=x)


def _changed(difference: np.ndarray, rounding: float) -> np.ndarray:
    size = np.abs(difference)
    grown = np.copysign(np.maximum(size, UNUSUAL), difference)
    return np.where(size <= rounding, 0.0, grown)


def encode_column(column: MixedColumn, raw: Column, rows: int, out: np.ndarray) -> list[str]:
    """Write the features of one column into `out` (N, width) float32; returns notes.

    `rows` is the number of training rows, which the rarity of a level is relative to.
    """
    if column.kind == "ignored":
        return []
    if column.base == "category":
        return _encode_category(column, raw, rows, out)
    values, odd = read_as(column.base, raw)
    gone = np.isnan(values)
    scale = Scale.of([column])
    out[:, 0] = np.where(gone, scale.fill, scale(values[:, None])[:, 0])
    for i, cycle in enumerate(column.cycles):
        angle = 2 * np.pi * (np.where(gone, 0.0, values) % CYCLES[cycle]) / CYCLES[cycle]
        out[:, 1 + 2 * i] = np.where(gone, 0.0, np.sin(angle))
        out[:, 2 + 2 * i] = np.where(gone, 0.0, np.cos(angle))
    if column.missing_share:
        out[:, -1] = gone
    return [
        *_odd_note(column, odd),
        *_missing_note(column, int(gone.sum()) - odd),
        *_infinite_note(column, int(np.isinf(values).sum())),
        *_span_note(column, values),
    ]


def encode_numbers(
    a: np.ndarray, columns: Sequence[MixedColumn], starts: np.ndarray, out: np.ndarray
) -> list[str]:
    """Write the features of numbers (N, D) into `out` (N, F) float32, block by block.

    `starts` (D,) are the positions of the value features; the "missing" feature of a column
    follows its value.
    """
    used = [i for i, c in enumerate(columns) if c.kind != "ignored"]
    kept = [columns[i] for i in used]
    scale, places = Scale.of(kept), starts[used]
    every, plain = len(kept) == a.shape[1], len(kept) == out.shape[1]
    absent, infinite = np.zeros(len(kept), int), np.zeros(len(kept), int)
    step = max(1, CHUNK // max(1, a.shape[1]))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        block = a[rows] if every else a[rows][:, used]
        x = scale(block)
        if not -BOUND < x.min(initial=0.0) <= x.max(initial=0.0) < BOUND:
            gone = np.isnan(x)
            infinite += np.isinf(block).sum(0)
            absent += gone.sum(0)
            x = np.where(gone, scale.fill, x)
            out[rows, places[scale.marked] + 1] = gone[:, scale.marked]
        elif not plain:
            out[rows, places[scale.marked] + 1] = 0.0
        if plain:
            out[rows] = x
        else:
            out[rows, places] = x
    notes = [_missing_note(c, int(n)) for c, n in zip(kept, absent)]
    notes += [_infinite_note(c, int(n)) for c, n in zip(kept, infinite)]
    return [note for part in notes for note in part]


def level_table(column: MixedColumn, rows: int) -> np.ndarray:
    """Features (K + 2, width) of each of the K levels, of a new level and of a missing value."""
    count, missing = len(column.levels), column.missing_share > 0
    if column.kind == "constant":
        table = np.array([[0.0], [UNUSUAL], [0.0 if missing else UNUSUAL]])
    else:
        table = _indicators(column, rows)
    if missing:
        table = np.column_stack([table, np.zeros(count + 2)])
        table[-1, -1] = 1.0
    return table.astype(np.float32)


def _indicators(column: MixedColumn, rows: int) -> np.ndarray:
    count, shown, missing = len(column.levels), column.indicated(rows), column.missing_share > 0
    levels = np.zeros((count + 2, shown + 1))
    levels[:shown, :shown] = np.eye(shown)
    levels[shown : count + 1, shown] = 1.0
    levels[-1, shown] = 0.0 if missing else 1.0
    if not column.many:
        return levels
    rare = rarity(np.array([*column.counts, 0.0], float), rows)
    rare = np.clip((rare - column.center) / column.scale, -BOUND, BOUND)
    return np.column_stack([np.append(rare, 0.0 if missing else UNUSUAL), levels])


def _encode_category(column: MixedColumn, raw: Column, rows: int, out: np.ndarray) -> list[str]:
    cells = text_in(raw)
    place = {level: i for i, level in enumerate(column.levels)}
    new = len(column.levels)
    found = [place.get(level, new) for level in cells.levels]
    index = np.array([*found, new + 1])[cells.codes]
    out[:] = level_table(column, rows)[index]
    notes = _missing_note(column, int((index == new + 1).sum()))
    fresh = int((index == new).sum())
    if fresh:
        used = np.unique(cells.codes[index == new])[:3]
        which = ", ".join(f"'{plain(cells.levels[i])}'" for i in used)
        notes.append(
            f"column '{column.name}': rows with a category that was not learned, taken as 'other': "
            f"{fresh:,} ({which})"
        )
    return notes


def plain(text: str, longest: int = 40) -> str:
    """Text for one line of a message: without control characters, not longer than `longest`."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _odd_note(column: MixedColumn, count: int) -> list[str]:
    return [f"column '{column.name}': {odd_note(column.base, count)}"] if count else []


def _missing_note(column: MixedColumn, count: int) -> list[str]:
    if not count or column.missing_share:
        return []
    return [
        f"column '{column.name}': missing values, taken as unusual since training had none: "
        f"{count:,}"
    ]


def _infinite_note(column: MixedColumn, count: int) -> list[str]:
    if not count:
        return []
    return [f"column '{column.name}': infinite values, taken as {BOUND:,.0f} deviations: {count:,}"]


def _span_note(column: MixedColumn, values: np.ndarray) -> list[str]:
    if column.base != "date":
        return []
    with np.errstate(invalid="ignore"):
        outside = int(((values < column.low) | (values > column.high)).sum())
    if not outside:
        return []
    return [f"column '{column.name}': dates outside the span of the training rows: {outside:,}"]
