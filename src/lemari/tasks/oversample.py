"""New rows for rare classes, so that a classifier meets each class often enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import Text, written
from lemari.mixed.decoding import decoded_frame
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame
from lemari.tasks.mixed_likelihood import Places
from lemari.tasks.rare_rows import RareRows, between

LEAST = 10  # rows of a class below which no network is trained for it
ROUNDS = 5  # times that a row which equals a given one is drawn anew
MOST_MEASURED = 2000  # new rows whose distance to the given ones is measured
MOST_GIVEN = 10_000  # given rows to which it is measured
CHUNK = 1 << 22  # numbers that are compared at a time


@dataclass(frozen=True, slots=True)
class MadeClass:
    """What was made for one class.

    `method` is "vae" or, for a class of fewer than 10 rows, "interpolation". `nearest` is the
    median distance of a new row to the nearest given row of its class and `usual` that of a
    given row to the nearest other one, both over standardised features; `copies` are new rows
    that equal a given one.
    """

    label: Any
    given: int
    made: int
    method: str
    nearest: float
    usual: float
    copies: int


@dataclass(frozen=True, slots=True, eq=False)
class Oversampled:
    """New rows, with their labels, and what was made for each class."""

    rows: Frame
    classes: tuple[MadeClass, ...]
    notes: tuple[str, ...] = field(default=())


def oversample(
    frame: Frame,
    labels: Sequence[Any],
    *,
    target: str | int | float = "equal",
    only: Sequence[Any] = (),
    types: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Oversampled:
    """New rows for the classes with fewer rows than `target`, from a conditional VAE of the table.

    `target` is "equal" (as many as the largest class has), a number of rows, or a part of the
    largest class in (0, 1]. `only` names the classes that get rows (default: all). The same seed
    gives the same rows. Raises DataError for missing labels, fewer than two classes or a class of
    one row, UsageError for an unknown class or target.
    """
    names, y = _classes(labels, len(frame))
    counts = np.bincount(y)
    wanted = _wanted(names, counts, target, only)
    fmt = MixedFormat.learn(frame, types)
    encoded = fmt.encode(frame)
    table = _Table(frame, fmt, encoded.x, y)
    if not wanted:
        return Oversampled(replace(frame.take(slice(0)), label=[]), (), tuple(fmt.notes))
    large = [c for c in wanted if counts[c] >= LEAST]
    vae = RareRows.fit(encoded.x, y, Places.of(fmt), seed) if large else None
    parts, made = [], []
    for c, count in wanted.items():
        rows, record = _made(table, vae if counts[c] >= LEAST else None, c, count, seed)
        parts.append(replace(rows, label=[names[c]] * count))
        made.append(replace(record, label=names[c]))
    return Oversampled(joined(parts), tuple(made), tuple(fmt.notes))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Given rows, their format, their features x (N, F) and their classes y (N,)."""

    frame: Frame
    format: MixedFormat
    x: np.ndarray
    y: np.ndarray


def _classes(labels: Sequence[Any], rows: int) -> tuple[list[Any], np.ndarray]:
    """The classes in the order in which they are met, and the number of each row's, (N,)."""
    if len(labels) != rows:
        raise UsageError(f"{len(labels):,} labels were given for {rows:,} rows; give one each.")
    missing = [i for i, v in enumerate(labels) if v is None or v != v]
    if missing:
        raise DataError(
            f"{len(missing):,} rows have no label (the first is row {missing[0] + 1:,}); remove "
            "them or fill their labels in."
        )
    place: dict[Any, int] = {}
    y = np.array([place.setdefault(v, len(place)) for v in labels], np.int64)
    if len(place) < 2:
        raise DataError(
            "All rows have the same label, so that no class is rare; give rows of two or more "
            "classes."
        )
    return list(place), y


def _wanted(
    names: list[Any], counts: np.ndarray, target: str | int | float, only: Sequence[Any]
) -> dict[int, int]:
    """How many rows each class gets, by its number; classes that get none are left out."""
    text = {written(name): i for i, name in enumerate(names)}
    chosen = [text.get(written(name), -1) for name in only]
    if -1 in chosen:
        known = ", ".join(f"'{name}'" for name in list(text)[:10])
        raise UsageError(f"There is no class '{only[chosen.index(-1)]}'; the classes are {known}.")
    goal = goal_of(target, int(counts.max()))
    wanted = {c: goal - int(counts[c]) for c in (chosen or range(len(names)))}
    wanted = {c: count for c, count in wanted.items() if count > 0}
    for c in wanted:
        if counts[c] < 2:
            raise DataError(
                f"Class '{written(names[c])}' has a single row, from which no others can be made; "
                "give two or more, or remove the class."
            )
    return wanted


def goal_of(target: str | int | float, largest: int) -> int:
    """The number of rows that each class should have.

    >>> goal_of("equal", 90), goal_of(200, 90), goal_of(0.5, 90)
    (90, 200, 45)
    """
    if isinstance(target, str) and target == "equal":
        return largest
    if isinstance(target, int | np.integer) and not isinstance(target, bool) and target >= 1:
        return int(target)
    if isinstance(target, float | np.floating) and 0 < target <= 1:
        return round(float(target) * largest)
    raise UsageError(
        f"The target is {target!r}; give 'equal', a number of rows such as 500, or a part of the "
        "largest class such as 0.5."
    )


def _made(
    table: _Table, vae: RareRows | None, c: int, count: int, seed: int
) -> tuple[Frame, MadeClass]:
    """New rows of class c and what there is to say about them; rows that are copies are redrawn."""
    pool = np.flatnonzero(table.y == c)
    own = table.x[pool]
    rng = np.random.default_rng([seed, c])
    frame, x = _drawn(table, vae, pool, c, count, rng)
    for _ in range(ROUNDS):
        again = np.flatnonzero(copied(x, own))
        if not len(again):
            break
        fresh, new = _drawn(table, vae, pool, c, len(again), rng)
        order = np.arange(count)
        order[again] = count + np.arange(len(again))
        frame, x = joined([frame, fresh]).take(order), np.concatenate([x, new])[order]
    some = own[:MOST_GIVEN]
    return frame, MadeClass(
        label=None,
        given=len(pool),
        made=count,
        method="vae" if vae else "interpolation",
        nearest=float(np.median(nearest(x[:MOST_MEASURED], some))),
        usual=float(np.median(nearest(some[:MOST_MEASURED], some, itself=True))),
        copies=int(copied(x, own).sum()),
    )


def _drawn(
    table: _Table,
    vae: RareRows | None,
    pool: np.ndarray,
    c: int,
    count: int,
    rng: np.random.Generator,
) -> tuple[Frame, np.ndarray]:
    """Rows of class c, whose given rows are `pool`, and their features (count, F)."""
    own, at = table.x[pool], Places.of(table.format)
    x, parents = vae.draw(own, c, count, rng) if vae else between(own, at, count, rng)
    frame = decoded_frame(table.format, x, table.frame, pool, pool[parents], rng)
    return frame, table.format.encode(frame).x


def copied(x: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Which rows of x (n, F) equal one of the given rows (m, F), bool (n,)."""
    known = {row.tobytes() for row in given + 0.0}
    return np.array([row.tobytes() in known for row in x + 0.0], bool)


def nearest(x: np.ndarray, given: np.ndarray, itself: bool = False) -> np.ndarray:
    """Distance of each row of x (n, F) to the nearest of the given rows (m, F), exact at 0.

    With `itself`, row i of x is row i of the given rows and does not count.
    """
    out = np.empty(len(x))
    step = max(1, CHUNK // max(1, given.size))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        square = np.square(part[:, None].astype(np.float64) - given[None]).sum(-1)
        if itself:
            square[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        out[start : start + step] = np.sqrt(square.min(1))
    return out


def joined(frames: Sequence[Frame]) -> Frame:
    """Rows of the same columns, one after the other; labels where all have them."""
    first = frames[0]
    parts = zip(*(frame.columns for frame in frames))
    labels = [frame.label for frame in frames]
    array = None
    if all(frame.array is not None for frame in frames):
        array = np.concatenate([frame.array for frame in frames if frame.array is not None])
    columns = tuple(_stacked(part) for part in parts) if array is None else tuple(array.T)
    return replace(
        first,
        columns=columns,
        rows=sum(map(len, frames)),
        label=None if None in labels else [v for label in labels for v in label or ()],
        array=array,
        skipped=(),
    )


def _stacked(columns: tuple[Any, ...]) -> Any:
    """Columns of one kind as one; levels of text are joined."""
    if not isinstance(columns[0], Text):
        return np.concatenate(columns)
    place: dict[str, int] = {}
    codes = []
    for column in columns:
        table = [place.setdefault(level, len(place)) for level in column.levels]
        codes.append(np.array([*table, -1], np.int32)[column.codes])
    return Text(np.concatenate(codes), tuple(place))
