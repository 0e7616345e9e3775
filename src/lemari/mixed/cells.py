"""One column of a table, and its cells read as numbers, truths, dates or text.

A column is a NumPy array (numbers with NaN where missing, bool, or datetime64 with NaT where
missing) or a `Text`. Every reader returns float64 with NaN where missing and how many cells were
odd, which means present but not of the kind asked for; odd cells count as missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from lemari.sources.csvfile import MISSING, is_number

LONGEST = 200  # characters by which text cells are compared; the rest is cut off
WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"), ("off", "on"))
FALSE = frozenset(pair[0] for pair in WORDS) | {"0"}
TRUE = frozenset(pair[1] for pair in WORDS) | {"1"}
DATE = re.compile(
    r"\d{4}([-/])\d\d\1\d\d([ T]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?)?\s?(Z|[+-]\d\d:?\d\d)?"
)
NAN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Text cells as codes (N,) int32 into `levels`; -1 where missing."""

    codes: np.ndarray
    levels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Text:
        return Text(self.codes[rows], self.levels)

    def cells(self) -> list[str | None]:
        """The text of every row, None where missing."""
        table = np.array([*self.levels, None], dtype=object)
        return table[self.codes].tolist()

    def used(self) -> Text:
        """The same cells with only those levels that occur."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels))
        if len(self.levels) == 0 or counts.all():
            return self
        place = np.append(np.cumsum(counts > 0) - 1, -1).astype(np.int32)
        kept = tuple(level for level, count in zip(self.levels, counts) if count)
        return Text(place[self.codes], kept)


Column = np.ndarray | Text


def text_of(codes: np.ndarray, levels: Iterable[Any]) -> Text:
    """Text with its levels cleaned: trimmed, cut to 200 characters, the usual words for missing.

    Levels that become equal are joined, so that a level occurs once.
    """
    place: dict[str, int] = {}
    table = []
    for level in levels:
        cell = str(level).strip()[:LONGEST]
        table.append(-1 if cell in MISSING else place.setdefault(cell, len(place)))
    return Text(np.array([*table, -1], dtype=np.int32)[codes], tuple(place))


def text_from(cells: Sequence[Any]) -> Text:
    """Text from Python values; None, NaN and the usual words for missing are missing."""
    place: dict[str, int] = {}
    codes = np.empty(len(cells), dtype=np.int32)
    for i, cell in enumerate(cells):
        codes[i] = -1 if _gone(cell) else place.setdefault(written(cell), len(place))
    return text_of(codes, place)


def _gone(cell: Any) -> bool:
    try:
        return cell is None or bool(cell != cell)
    except TypeError:
        return True


def written(value: Any) -> str:
    """A value as a table file would write it; whole numbers without decimals."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, np.datetime64):
        return str(value).replace("T", " ")
    return str(value)


def text_in(column: Column) -> Text:
    """Any column as text."""
    if isinstance(column, Text):
        return column
    values, codes = np.unique(column, return_inverse=True, equal_nan=True)
    gone = missing_in(values)
    codes = np.where(gone[codes], -1, codes)
    return text_of(codes, [written(v) for v in values])


def missing_in(column: Column) -> np.ndarray:
    """Which cells are missing, bool (N,)."""
    if isinstance(column, Text):
        return column.codes < 0
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "M":
        return np.isnat(column)
    return np.zeros(len(column), dtype=bool)


def numbers_in(column: Column) -> tuple[np.ndarray, int]:
    """The cells as numbers; dates are odd."""
    if isinstance(column, Text):
        return _parsed(column, lambda cell: float(cell) if is_number(cell) else NAN)
    if column.dtype.kind == "M":
        return _all_odd(column)
    return column.astype(np.float64, copy=False), 0


def dates_in(column: Column) -> tuple[np.ndarray, int]:
    """The cells as seconds since 1970 in UTC; numbers and truths are odd."""
    if isinstance(column, Text):
        return _parsed(column, _seconds)
    if column.dtype.kind != "M":
        return _all_odd(column)
    micro = column.astype("datetime64[us]").astype(np.int64)
    return np.where(np.isnat(column), NAN, micro / 1e6), 0


def truths_in(column: Column) -> tuple[np.ndarray, int]:
    """The cells as 0 and 1; anything but true, false and words like yes and no is odd."""
    if isinstance(column, Text):
        return _parsed(column, _truth)
    if column.dtype.kind == "M":
        return _all_odd(column)
    x = column.astype(np.float64)
    odd = ~np.isin(x, (0.0, 1.0)) & ~np.isnan(x)
    x[odd] = NAN
    return x, int(odd.sum())


def truth_words(levels: Sequence[str]) -> tuple[str, str] | None:
    """The words for false and true, as written, when the levels are such a pair."""
    for pair in WORDS:
        if {level.lower() for level in levels} == set(pair) and len(levels) == 2:
            low, high = sorted(levels, key=lambda level: pair.index(level.lower()))
            return low, high
    return None


def _parsed(column: Text, read: Callable[[str], float]) -> tuple[np.ndarray, int]:
    table = np.array([*(read(level) for level in column.levels), NAN])
    x = table[column.codes]
    return x, int((np.isnan(x) & (column.codes >= 0)).sum())


def _all_odd(column: np.ndarray) -> tuple[np.ndarray, int]:
    return np.full(len(column), NAN), int((~missing_in(column)).sum())


def _truth(cell: str) -> float:
    word = cell.lower()
    return 0.0 if word in FALSE else 1.0 if word in TRUE else NAN


def _seconds(cell: str) -> float:
    """Seconds since 1970 of a date like 2013-09-01 10:15:00; without a zone it is UTC."""
    if not DATE.fullmatch(cell):
        return NAN
    try:
        when = datetime.fromisoformat(cell.replace("/", "-"))
    except ValueError:
        return NAN
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
