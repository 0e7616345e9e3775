"""Learn what a format needs to know of each column from the training rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lemari.mixed.cells import Text
from lemari.mixed.column import CYCLES, MOST_LEVELS, MixedColumn
from lemari.mixed.frame import Frame
from lemari.mixed.kinds import Inferred, check_types, infer
from lemari.mixed.moments import Moments, moments

SAME = 1e-12  # a smaller span, as a part of numbers with decimals, is rounding and no change
DAY = 86_400.0


def learned_columns(frame: Frame, types: Mapping[str, str] | None) -> tuple[MixedColumn, ...]:
    """One record for each column of the training rows, in their order.

    Raises DataError that names a column with infinite values, UsageError for wrong `types`.
    """
    wanted = check_types(types, frame.names)
    if frame.array is not None and not wanted:
        found = moments(frame.array, frame.names)
        return tuple(_number(n, found, i, len(frame), Inferred("numeric", frame.columns[i]))
                     for i, n in enumerate(frame.names))  # fmt: skip
    return tuple(
        learned(name, infer(name, column, wanted.get(name)))
        for name, column in zip(frame.names, frame.columns)
    )


def learned(name: str, found: Inferred) -> MixedColumn:
    """The record of one column whose base and values were inferred."""
    if found.ignored:
        return MixedColumn(name, "ignored", found.base, note=found.note)
    if isinstance(found.values, Text):
        return _category(name, found.values, found.note)
    measured = moments(found.values[:, None], (name,))
    return _number(name, measured, 0, len(found.values), found)


def _number(name: str, found: Moments, i: int, rows: int, how: Inferred) -> MixedColumn:
    """A column of numbers, truths or dates from its moments."""
    if not found.known[i]:
        note = how.note or "all values are missing; ignored"
        return MixedColumn(name, "ignored", how.base, note=note)
    low, high = float(found.low[i]), float(found.high[i])
    whole, cycles = bool(found.whole[i]), ()
    rounding = 0.0 if whole else SAME * max(abs(low), abs(high)) / 2
    constant = high / 2 - low / 2 <= rounding
    if how.base == "date":
        whole, cycles = _resolution(how.values, low, high)  # pyright: ignore[reportArgumentType]
    return MixedColumn(
        name,
        "constant" if constant else how.base,  # pyright: ignore[reportArgumentType]
        how.base,
        levels=how.words,
        center=float(found.mean[i]),
        scale=1.0 if constant else max(float(found.std[i]), 1e-300),
        low=low,
        high=high,
        missing_share=(rows - int(found.known[i])) / rows,
        whole=whole,
        cycles=() if constant else cycles,
        note=_joined(how.note, "always the same value" if constant else ""),
    )


def _resolution(seconds: np.ndarray, low: float, high: float) -> tuple[bool, tuple[str, ...]]:
    """Whether all dates are whole days, and which cycles dates of this span can show."""
    known = seconds[~np.isnan(seconds)]
    whole = bool((known % DAY == 0).all())
    cycles = [c for c, turn in CYCLES.items() if high - low >= turn]
    return whole, tuple(c for c in cycles if not (whole and c == "hour"))


def _category(name: str, values: Text, note: str) -> MixedColumn:
    """A category: its levels by falling frequency, and the moments of their rarity."""
    rows = len(values)
    counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
    order = sorted(range(len(counts)), key=lambda i: (-counts[i], values.levels[i]))
    kept = order[:MOST_LEVELS]
    known = int(counts.sum())
    if len(order) == 1:
        note, kind = _joined(note, "always the same value"), "constant"
    else:
        kind = "category"
    if len(order) > MOST_LEVELS:
        note = _joined(note, f"the {MOST_LEVELS:,} most frequent of {len(order):,} levels are kept")
    found = counts[kept].astype(np.float64)
    weights = np.append(found, known - found.sum())
    rare = np.append(rarity(found, rows), rarity(np.zeros(1), rows))
    center = float(weights @ rare / known)
    scale = float(np.sqrt(max(0.0, weights @ (rare - center) ** 2 / known)))
    return MixedColumn(
        name,
        kind,
        "category",
        levels=tuple(values.levels[i] for i in kept),
        counts=tuple(int(counts[i]) for i in kept),
        center=center if kind == "category" else 0.0,
        scale=scale if kind == "category" and scale > 1e-9 else 1.0,
        missing_share=(rows - known) / rows,
        note=note,
    )


def rarity(counts: np.ndarray, rows: int) -> np.ndarray:
    """-log of the frequency of a level seen `counts` times in `rows` rows, one more in each.

    >>> rarity(np.array([0.0, 98.0]), 97).round(2).tolist()
    [4.6, -0.0]
    """
    return -np.log((counts + 1.0) / (rows + 2.0))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
