"""Means, spreads and limits of many columns of numbers at once, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lemari.errors import DataError

CHUNK = 1 << 16  # numbers in a block: small enough to stay in the processor's cache
LARGEST = 1e299  # numbers beyond are taken as this


@dataclass(frozen=True, slots=True)
class Moments:
    """Per column (D,): how many values are known, their limits, mean and standard deviation.

    `whole` says whether all known values are whole numbers. A column without any known value has
    zeros throughout.
    """

    known: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    whole: np.ndarray


def blocks(a: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of (N, D) as float64 blocks, limited to finite numbers that can be squared."""
    step = max(1, CHUNK // max(1, a.shape[1]))
    for start in range(0, len(a), step):
        yield a[start : start + step].astype(np.float64)


def moments(a: np.ndarray, names: Sequence[str]) -> Moments:
    """The moments of numbers (N, D) with NaN where missing, by two passes over blocks of rows.

    Raises DataError that names the first column with an infinite value.
    """
    known, low, high, whole = _limits(a)
    for end in (low, high):
        if np.isinf(end).any():
            raise DataError(
                f"Column '{names[int(np.isinf(end).argmax())]}' holds an infinite value, from "
                "which nothing can be learned; remove or replace it."
            )
    low, high = (np.clip(end, -LARGEST, LARGEST) for end in (low, high))
    middle, half = high / 2 + low / 2, high / 2 - low / 2
    total, square = np.zeros(a.shape[1]), np.zeros(a.shape[1])
    unit = np.where(half > 0, half, 1.0)
    for block in blocks(a):
        part = (np.clip(block, -LARGEST, LARGEST) - middle) / unit
        if np.isnan(part).any():
            np.nan_to_num(part, copy=False)
        total += part.sum(0)
        square += np.einsum("ij,ij->j", part, part)
    count = np.maximum(known, 1)
    shift = total / count
    spread = np.sqrt(np.maximum(square / count - shift**2, 0.0))
    mean = np.clip(middle + unit * shift, low, high)
    return Moments(known, low, high, mean, unit * spread, whole)


def _limits(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Known values, low, high and wholeness of each column."""
    width = a.shape[1]
    low, high = np.full(width, np.nan), np.full(width, np.nan)
    known, whole = np.zeros(width, np.int64), np.ones(width, bool)
    for block in blocks(a):
        low = np.fmin(low, np.fmin.reduce(block, 0))
        high = np.fmax(high, np.fmax.reduce(block, 0))
        gone = np.isnan(block)
        known += len(block) - gone.sum(0)
        if whole.any():
            whole &= ((block == np.rint(block)) | gone).all(0)
    empty = known == 0
    low[empty], high[empty] = 0.0, 0.0
    return known, low, high, whole
