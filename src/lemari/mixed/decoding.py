"""Rows of features back to columns of the kinds and types that a table had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lemari.mixed.cells import Column, Text, text_from, text_in, written
from lemari.mixed.column import CYCLES, MixedColumn
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame
from lemari.mixed.kinds import read_as
from lemari.mixed.learning import DAY
from lemari.mixed.showing import moment

WIDER = 0.1  # part of the range of the given rows by which a number may lie outside it
MOST_DECIMALS = 6
CLOCK = (DAY, 3600.0, 60.0, 1.0)  # seconds: the coarsest that the given dates keep to


def decoded_frame(
    fmt: MixedFormat,
    x: np.ndarray,
    frame: Frame,
    pool: np.ndarray,
    parents: np.ndarray,
    rng: np.random.Generator,
) -> Frame:
    """Legal rows from features x (n, F), with the columns and types of `frame`.

    `frame` holds rows that the format was learned from; `pool` are those that the new rows should
    be like, and `parents` (n,) the row of `frame` that each is most like. Numbers and dates lie
    within the range of the pool, widened by a tenth of it, and within that of all rows; they are
    as whole, or have as few decimals, as those of the pool. Categories and truths are values that
    occur. A value is missing where the parent's is. Constants are the parent's; identifiers and
    other ignored columns are missing, or the parent's where their type knows no missing value.
    """
    columns: list[Column] = []
    for i, column in enumerate(fmt.columns):
        raw, own = frame.columns[i], x[:, fmt.span(i)].astype(np.float64)
        if column.kind == "ignored":
            columns.append(_absent(raw, parents))
        elif column.kind == "constant":
            columns.append(raw[parents])
        elif column.base == "category":
            columns.append(_category(column, raw, own, fmt.rows, parents, rng))
        else:
            values = _values(column, raw, own, pool)
            values[np.isnan(read_as(column.base, raw[parents])[0])] = np.nan
            columns.append(_as_given(column, raw, values, parents))
    array = None
    if frame.array is not None:
        numbers = [column for column in columns if not isinstance(column, Text)]
        array = np.column_stack(numbers).astype(frame.array.dtype, copy=False)
        columns = list(array.T)
    return replace(
        frame, columns=tuple(columns), rows=len(x), label=None, array=array, notes=(), skipped=()
    )


def limits(column: MixedColumn, values: np.ndarray) -> tuple[float, float]:
    """The least and the largest number that may be made from known values (n,) of a column."""
    low, high = float(values.min()), float(values.max())
    margin = WIDER * (high - low)
    return max(column.low, low - margin), min(column.high, high + margin)


def decimals(values: np.ndarray) -> int | None:
    """The fewest decimals with which all the values can be written; None for more than six.

    >>> decimals(np.array([1.25, 3.5])), decimals(np.array([1 / 3]))
    (2, None)
    """
    for count in range(MOST_DECIMALS + 1):
        if np.allclose(np.round(values, count), values, rtol=1e-12, atol=0):
            return count
    return None


def _values(column: MixedColumn, raw: Column, own: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Numbers, truths (0 and 1) or seconds (n,) from the features of a column."""
    values = column.center + column.scale * own[:, 0]
    if column.base == "boolean":
        return (own[:, 0] > 0).astype(np.float64)
    given = read_as(column.base, raw[pool])[0]
    given = given[np.isfinite(given)]
    if not len(given):
        given = np.array([column.low, column.high])
    low, high = limits(column, given)
    values = np.clip(_at_the_hour(column, values, own), low, high)
    if column.base == "date":
        step = next((step for step in CLOCK if (given % step == 0).all()), 1e-6)
        return _rounded(values, low, high, step)
    if column.whole:
        return _rounded(values, low, high, 1.0)
    places = decimals(given)
    if places is None:
        return values
    return np.round(_rounded(values, low, high, 10.0**-places), places)


def _rounded(values: np.ndarray, low: float, high: float, step: float) -> np.ndarray:
    """Values brought to multiples of a step within the limits."""
    least, most = np.ceil(low / step), np.floor(high / step)
    return np.clip(np.rint(values / step), min(least, most), most) * step


def _at_the_hour(column: MixedColumn, values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Dates moved to the nearest moment with the weekday and the hour that their features say."""
    for i, cycle in reversed(list(enumerate(column.cycles))):
        turn = CYCLES[cycle]
        part = np.arctan2(own[:, 1 + 2 * i], own[:, 2 + 2 * i]) / (2 * np.pi) * turn
        values = np.rint((values - part) / turn) * turn + part
    return values


def _as_given(column: MixedColumn, raw: Column, values: np.ndarray, parents: np.ndarray) -> Column:
    """Numbers, truths or seconds in the type that the column came in."""
    gone = np.isnan(values)
    if isinstance(raw, Text):
        return text_from([None if g else _written(column, v) for v, g in zip(values, gone)])
    if raw.dtype.kind == "M":
        micro = np.where(gone, 0.0, np.rint(np.where(gone, 0.0, values) * 1e6)).astype(np.int64)
        out = micro.astype("datetime64[us]").astype(raw.dtype)
        out[gone] = np.datetime64("NaT")
        return out
    if raw.dtype.kind == "f":
        return values.astype(raw.dtype)
    return np.where(gone, raw[parents], np.nan_to_num(values)).astype(raw.dtype)


def _written(column: MixedColumn, value: float) -> str:
    if column.base == "date":
        return moment(value)
    return column.levels[int(value)] if column.base == "boolean" else written(value)


def _category(
    column: MixedColumn,
    raw: Column,
    own: np.ndarray,
    rows: int,
    parents: np.ndarray,
    rng: np.random.Generator,
) -> Column:
    """The likeliest level of each row; "other" is the parent's rare level or a drawn one."""
    cells = text_in(raw)
    place = {level: i for i, level in enumerate(cells.levels)}
    codes = np.array([place[level] for level in column.levels])
    shown = column.indicated(rows)
    start = int(column.many)
    best = own[:, start : start + shown + 1].argmax(1)
    common = np.isin(cells.codes[parents], codes[:shown])
    out = codes[np.minimum(best, shown - 1)]
    other = best == shown
    if len(codes) > shown:
        weights = np.array(column.counts[shown:], float)
        drawn = rng.choice(codes[shown:], len(own), p=weights / weights.sum())
        out = np.where(other, np.where(common, drawn, cells.codes[parents]), out)
    out = np.where(cells.codes[parents] < 0, -1, out).astype(np.int32)
    return Text(out, cells.levels) if isinstance(raw, Text) else _level_values(raw, cells, out)


def _level_values(raw: np.ndarray, cells: Text, codes: np.ndarray) -> np.ndarray:
    """Codes of levels as the numbers, truths or dates that were read as these levels."""
    first = np.zeros(len(cells.levels) + 1, np.int64)
    first[-1] = int(np.argmax(cells.codes < 0))
    found, where = np.unique(cells.codes, return_index=True)
    first[found] = where
    return raw[first[codes]]


def _absent(raw: Column, parents: np.ndarray) -> Column:
    """A column of missing cells, or the parents' where the type has none."""
    if isinstance(raw, Text):
        return Text(np.full(len(parents), -1, np.int32), raw.levels)
    if raw.dtype.kind not in "fM":
        return raw[parents]
    out = raw[parents].copy()
    out[:] = np.nan if raw.dtype.kind == "f" else np.datetime64("NaT")
    return out
