"""Values as a person reads them, and features back as values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lemari.mixed.column import MixedColumn, features_of
from lemari.mixed.encoding import plain

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0  # years 1 to 9999


def shown(column: MixedColumn, value: Any) -> str:
    """A cell of the column, or a decoded value, as text: 9,400 or 2013-09-01 10:15 or red.

    >>> shown(MixedColumn("amount", "numeric"), 9400.0)
    '9,400'
    """
    if value is None or (isinstance(value, float | np.floating) and value != value):
        return "missing"
    if isinstance(value, str):
        return plain(value, 80)
    if isinstance(value, np.datetime64):
        return "missing" if np.isnat(value) else moment(_seconds(value))
    if column.base == "boolean" and column.levels and value in (0, 1):
        return column.levels[int(value)]
    if column.base == "date" and isinstance(value, int | float):
        return moment(float(value))
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    return number(float(value), column.whole)


def number(value: float, whole: bool = False) -> str:
    """A number with four digits, or all before the point, with commas for thousands."""
    if np.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if abs(value) >= 1e15:
        return f"{value:.4g}"
    if whole or abs(value) >= 1000:
        text = f"{value:,.0f}"
        return "0" if text == "-0" else text
    return f"{value:.4g}"


def moment(seconds: float) -> str:
    """A date, with the time where it is not midnight, and seconds where they are not zero."""
    when = EPOCH + timedelta(seconds=min(max(seconds, EARLIEST), LATEST))
    if when.second or when.microsecond:
        return f"{when:%Y-%m-%d %H:%M:%S}"
    return f"{when:%Y-%m-%d %H:%M}" if when.hour or when.minute else f"{when:%Y-%m-%d}"


def _seconds(value: np.datetime64) -> float:
    return float(value.astype("datetime64[us]").astype(np.int64)) / 1e6


def decoded(column: MixedColumn, features: np.ndarray, rows: int) -> Any:
    """The value that features (width,) of one column stand for; None where missing or ignored.

    A number for numbers, datetime64 for dates, a word for truths and the most likely level
    for categories ("other" for one that has no indicator).
    """
    marks = features_of(0, column, rows)
    if not marks or (marks[-1].role == "missing" and features[-1] > 0.5):
        return None
    if column.base == "category":
        if column.kind == "constant":
            return column.levels[0] if features[0] < 0.5 else "other"
        start = int(column.many)
        best = start + int(np.argmax(features[start : start + column.indicated(rows) + 1]))
        return marks[best].level or "other"
    value = column.center + column.scale * float(features[0])
    if column.base == "boolean":
        return column.levels[int(value >= 0.5)]
    if column.base == "date":
        micro = round(min(max(value, EARLIEST), LATEST) * 1e6)
        return np.datetime64(micro, "us")
    return float(round(value)) if column.whole and abs(value) < 1e15 else value
