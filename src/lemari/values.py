"""Checks on values from outside: arrays that a user gives, and entries of a JSON file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from lemari.errors import DataError

MOST = 1 << 28  # numbers in one example
Rule = Callable[[Any], bool]


def numbers(a: Any) -> np.ndarray:
    """Anything array-like as an array of numbers; text and objects are a DataError."""
    try:
        x = a if type(a) is np.memmap else np.asarray(a)
    except (ValueError, TypeError) as error:
        raise DataError(f"The examples do not form one array ({error}).") from None
    if x.dtype == object:
        with suppress(ValueError, TypeError):
            x = x.astype(np.float64)
    if x.dtype.kind not in "buif":
        raise DataError(f"Numbers are needed, but the array holds {x.dtype}; convert it first.")
    if not x.size:
        raise DataError(f"The array of shape {x.shape} is empty; at least one example is needed.")
    return x


def check_infinite(x: np.ndarray, columns: tuple[str, ...]) -> None:
    """Raise a DataError that names the first column of (N, D) with an infinite value."""
    infinite = np.isinf(x).any(0)
    if infinite.any():
        column = int(infinite.argmax())
        row = int(np.isinf(x[:, column]).argmax())
        raise DataError(
            f"Column '{columns[column]}' holds an infinite value in row {row}; "
            "remove or replace it first."
        )


def check_finite(x: np.ndarray, columns: tuple[str, ...]) -> None:
    """Raise a DataError that names the first column and row of (N, D) that is not finite."""
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = (int(i[0]) for i in np.nonzero(bad))
        raise DataError(
            f"Column '{columns[column]}' holds {x[row, column]} in row {row}; "
            "fill in or remove such values first."
        )


def limits(x: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value of x (N, ...); a value that is not finite is a DataError."""
    low, high = float(x.min()), float(x.max())
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    row = next(i for i, example in enumerate(x) if not np.isfinite(example).all())
    raise DataError(f"Row {row} holds a value that is not finite; remove or replace such values.")


def check_scale(x: np.ndarray, bottom: float, top: float, levels: int) -> None:
    """Refuse values on another scale than bottom..top: [0, 1] for [0, 255], or far outside.

    A continuous range that was learned (levels 0, not 0 to 1) has no outside.
    """
    low, high = limits(x)
    span = top - bottom
    fixed = levels > 0 or (bottom, top) == (0.0, 1.0)
    far = low < bottom - span or high > top + span
    tiny = levels > 1 and low >= 0 and 0 < high <= 1 < top and x.dtype.kind == "f"
    if (fixed and far) or (tiny and not np.isin(x, (0, 1)).all()):
        raise DataError(
            f"Values from {low:g} to {high:g} were given, but this model was trained on values "
            f"from {bottom:g} to {top:g}; bring them to that scale first."
        )


def is_number(v: Any) -> bool:
    """A JSON number of bearable size; true and false are none."""
    return type(v) in (int, float) and -1e300 < v < 1e300


def is_name(v: Any) -> bool:
    """Text of a bearable length."""
    return isinstance(v, str) and len(v) <= 1000


def sides(count: int) -> Rule:
    """The rule for a list of `count` positive whole numbers whose product is bearable."""

    def rule(v: Any) -> bool:
        whole = isinstance(v, list) and len(v) == count and all(type(i) is int for i in v)
        return whole and all(1 <= i <= 1 << 14 for i in v) and prod(v) <= MOST

    return rule


def many(rule: Rule) -> Rule:
    """The rule for a list, of up to a million entries, that all keep `rule`."""
    return lambda v: isinstance(v, list) and len(v) <= 1 << 20 and all(map(rule, v))
