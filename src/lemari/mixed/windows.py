"""Sliding windows over the rows of a series, and what a window of numbers is like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import Column, Text, text_in
from lemari.mixed.frame import Frame
from lemari.mixed.kinds import infer

STATISTICS = ("last", "mean", "std", "slope", "min", "max")
CHUNK = 1 << 18  # numbers of the windows that are looked at together


def windows(
    frame: Frame,
    width: int,
    by: str | None = None,
    step: int = 1,
    columns: Sequence[str] | None = None,
) -> tuple[Frame, np.ndarray]:
    """Six features of each column of numbers in each window of `width` rows; last row indices.

    Rows are taken in their order, those of one entity (a value of the column `by`) on their own:
    no window holds rows of two. A window starts every `step` rows. Features of a column are its
    last value, mean, standard deviation, least-squares slope per row, smallest and largest value,
    called such as `speed (mean of 20)`. Missing values are left out of them. Windows are ordered
    by their last row, whose label they have. Without `columns`, all columns of numbers are used.

    Raises DataError when no window fits, UsageError for a width below 2 or a step below 1.
    """
    if width < 2 or step < 1:
        raise UsageError(
            f"A window of {width} rows every {step} was asked for; give a width of 2 or more and a "
            "step of 1 or more."
        )
    order, starts, notes = _places(frame, width, by, step)
    used = _numbers(frame, by, columns, notes)
    out = np.empty((len(starts), len(STATISTICS) * len(used)))
    for i, values in enumerate(used.values()):
        part = slice(i * len(STATISTICS), (i + 1) * len(STATISTICS))
        _fill(values[order], starts, width, out[:, part])
    names = tuple(f"{name} ({what} of {width})" for name in used for what in STATISTICS)
    last = order[starts + width - 1]
    label = None if frame.label is None else [frame.label[i] for i in last]
    notes = (*frame.notes, *notes)
    return Frame(names, tuple(out.T), len(out), label, notes, array=out), last


def _places(
    frame: Frame, width: int, by: str | None, step: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Row order with entities together, where windows start in it, and notes."""
    order, first, size, notes = _entities(frame, by)
    within = np.arange(len(order)) - first
    starts = np.flatnonzero((within % step == 0) & (within + width <= size))
    short = size[within == 0] < width
    if not len(starts):
        whose = "the table" if by is None else f"the longest entity of column '{by}'"
        raise DataError(
            f"A window of {width:,} rows was asked for, but {whose} has "
            f"{int(size.max(initial=0)):,}; give a smaller window."
        )
    if short.any():
        rows = int(size[within == 0][short].sum())
        notes.append(
            f"entities of column '{by}' skipped for fewer than {width:,} rows: "
            f"{int(short.sum()):,} ({rows:,} rows in all)"
        )
    return order, starts[np.argsort(order[starts + width - 1], kind="stable")], notes


def _entities(frame: Frame, by: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Row order by entity, and for each place in it where its entity starts and its size."""
    if by is None:
        count = len(frame)
        return np.arange(count), np.zeros(count, int), np.full(count, count), []
    codes = text_in(frame.column(by)).codes
    order = np.argsort(codes, kind="stable")
    gone = int((codes < 0).sum())
    order = order[gone:]
    notes = [f"rows skipped for no value in column '{by}': {gone:,}"] if gone else []
    _, first, size = np.unique(codes[order], return_index=True, return_counts=True)
    return order, np.repeat(first, size), np.repeat(size, size), notes


def _numbers(
    frame: Frame, by: str | None, columns: Sequence[str] | None, notes: list[str]
) -> dict[str, np.ndarray]:
    """The columns that have windows, as float64; the others are noted."""
    if columns is not None:
        return {n: _as_numbers(n, frame.column(n), notes) for n in columns}
    used, left = {}, []
    for name, column in zip(frame.names, frame.columns):
        if name == by:
            continue
        if _is_numbers(name, column):
            used[name] = _as_numbers(name, column, notes)
        else:
            left.append(name)
    if not used:
        raise DataError("The table has no column of numbers to take windows of; give one.")
    if left:
        listed = ", ".join(f"'{n}'" for n in left[:5]) + (" ..." if len(left) > 5 else "")
        notes.append(f"columns without numbers have no windows and are left out: {listed}")
    return used


def _is_numbers(name: str, column: Column) -> bool:
    if isinstance(column, Text):
        return infer(name, column).base == "numeric"
    return column.dtype.kind in "buif"


def _as_numbers(name: str, column: Column, notes: list[str]) -> np.ndarray:
    if not isinstance(column, Text) and column.dtype.kind in "buif":
        return column.astype(np.float64)
    found = infer(name, column, "numeric")
    if found.note:
        notes.append(f"column '{name}': {found.note}")
    return np.full(len(column), np.nan) if found.ignored else np.asarray(found.values)


def _fill(values: np.ndarray, starts: np.ndarray, width: int, out: np.ndarray) -> None:
    """Write the six features (n, 6) of the windows at `starts`, in blocks."""
    views = sliding_window_view(values, width)
    step = max(1, CHUNK // width)
    for begin in range(0, len(starts), step):
        w = views[starts[begin : begin + step]]
        gone = np.isnan(w)
        features = _gappy(w, ~gone) if gone.any() else _full(w)
        for j, feature in enumerate(features):
            out[begin : begin + step, j] = feature


def _full(w: np.ndarray) -> Iterator[np.ndarray]:
    """The features of windows (n, W) without missing values."""
    time = np.arange(w.shape[1]) - (w.shape[1] - 1) / 2
    with np.errstate(invalid="ignore", over="ignore"):
        mean = w.mean(1)
        apart = w - mean[:, None]
        std = np.sqrt(np.einsum("ij,ij->i", apart, apart) / w.shape[1])
        slope = apart @ time / (time @ time)
    yield from _settled(w, mean, std, slope, w.min(1), w.max(1))


def _gappy(w: np.ndarray, known: np.ndarray) -> Iterator[np.ndarray]:
    """The features of windows (n, W) over their known values; NaN where there are too few."""
    time = np.arange(w.shape[1], dtype=np.float64)
    count = known.sum(1)
    filled = np.where(known, w, 0.0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = filled.sum(1) / count
        apart = np.where(known, w - mean[:, None], 0.0)
        std = np.sqrt((apart**2).sum(1) / count)
        since = np.where(known, time - (known @ time / count)[:, None], 0.0)
        slope = (apart * since).sum(1) / (since**2).sum(1)
    low, high = np.fmin.reduce(w, 1), np.fmax.reduce(w, 1)
    yield from _settled(w, mean, std, slope, low, high)


def _settled(w: np.ndarray, *found: np.ndarray) -> tuple[np.ndarray, ...]:
    """The six features, exact for equal values, and infinite where one in the window was."""
    mean, std, slope, low, high = found
    flat = low == high
    mean, std, slope = np.where(flat, low, mean), np.where(flat, 0.0, std), np.where(flat, 0, slope)
    infinite = np.isinf(w).any(1)
    if infinite.any():
        mean = np.where(infinite & np.isnan(mean), np.inf, mean)
        std, slope = np.where(infinite, np.inf, std), np.where(infinite, np.inf, slope)
    return w[:, -1], mean, std, slope, low, high
