"""How well generated examples follow the law of real ones, and whether they only repeat them.

All take features (N, F), see `lemari.metrics.features`. The estimates of distances depend on the
number of rows, so both sides must have the same number, and a score must say it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lemari.errors import DataError

BLOCK = 1000


def frechet_distance(made: np.ndarray, real: np.ndarray) -> float:
    """Squared Frechet distance of the two normal laws with the moments of the features.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)); 0 for equal moments. It grows by chance as rows
    become few. (Dowson and Landau 1982)
    """
    check(made, real)
    first, second = covariance(made), covariance(real)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    between = np.linalg.eigvalsh(root @ second @ root)
    gap = np.square(made.mean(0) - real.mean(0)).sum()
    traces = np.trace(first) + np.trace(second) - 2 * np.sqrt(between.clip(0)).sum()
    return float(max(0.0, gap + traces))


def covariance(features: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(np.asarray(features, np.float64), rowvar=False))


def kernel_distance(made: np.ndarray, real: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / F + 1)^3, unbiased.

    Its mean over samples is 0 for equal laws, so single values may be a little below 0. Averaged
    over blocks of 1,000 rows. (Binkowski et al. 2018, arXiv:1801.01401)
    """
    check(made, real)
    blocks = max(1, len(made) // BLOCK)
    pairs = zip(np.array_split(made, blocks), np.array_split(real, blocks), strict=True)
    return float(np.mean([discrepancy(a, b) for a, b in pairs]))


def discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared discrepancy of two equally many rows."""
    n, size = a.shape
    within = 0.0
    for rows in (a, b):
        k = (rows @ rows.T / size + 1) ** 3
        within += (k.sum() - np.trace(k)) / (n * (n - 1))
    return float(within - 2 * ((a @ b.T / size + 1) ** 3).mean())


def precision_recall(made: np.ndarray, real: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Share of made rows that lie where real rows are, and the reverse.

    "Where" is within the distance of some row to its k-th neighbour of its own side.
    (Kynkaanniemi et al. 2019, arXiv:1904.06991)
    """
    check(made, real)
    k = min(k, len(made) - 1)
    return covered(made, real, k), covered(real, made, k)


def covered(rows: np.ndarray, by: np.ndarray, k: int) -> float:
    """Share of `rows` within the k-th neighbour distance of at least one row of `by`."""
    x, y = torch.from_numpy(rows), torch.from_numpy(by)
    radius = torch.cat([part.kthvalue(k + 1, 1).values for part in distances(y, y)])
    return float(torch.cat([(part <= radius).any(1) for part in distances(x, y)]).double().mean())


def distances(x: Tensor, y: Tensor):
    """Distances of all rows of x (N, F) to all of y (M, F), a block of rows at a time."""
    for first in range(0, len(x), BLOCK):
        yield torch.cdist(x[first : first + BLOCK], y, compute_mode="use_mm_for_euclid_dist")


def nearest_distances(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Distance of each row to the nearest training row: (N,)."""
    parts = distances(torch.from_numpy(rows), torch.from_numpy(train))
    return torch.cat([part.min(1).values for part in parts]).numpy()


def copied_share(made: np.ndarray, held: np.ndarray, train: np.ndarray) -> float:
    """Share of made rows that lie nearer to a training row than 19 of 20 held-out rows do.

    For rows that follow the law of the data without repeating training rows 0.05 is expected; a
    sampler that repeats them has 1. Rows of `held` must have gone through the same decoder as
    `made`, or its blur would count as well.
    """
    if not (len(made) and len(held) and len(train)):
        raise DataError("Copies are counted among made, held-out and training rows; one has none.")
    limit = np.quantile(nearest_distances(held, train), 0.05)
    return float((nearest_distances(made, train) < limit).mean())


def check(made: np.ndarray, real: np.ndarray) -> None:
    """A DataError unless both sides have the same, sufficient number of rows and of features."""
    if made.shape != real.shape or len(made) < 2:
        raise DataError(
            f"Generated and real rows are compared in equal number, at least 2, but their features "
            f"have the shapes {made.shape} and {real.shape}; take as many of each."
        )
