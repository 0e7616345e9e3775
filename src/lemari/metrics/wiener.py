"""Baselines of restoration: the best linear filter of the training pairs, and the median."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

WIDEST = 3200  # values of an example up to which the covariance is formed
RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Wiener:
    """x = mean + (y - seen) W: the linear estimate with the least squared error.

    Shapes: mean (D,), seen (E,), weights (E, D).
    """

    mean: np.ndarray
    seen: np.ndarray
    weights: np.ndarray

    def restore(self, y: np.ndarray) -> np.ndarray:
        """(N, E) -> (N, D)."""
        return (y - self.seen) @ self.weights + self.mean


def fit_wiener(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Wiener:
    """From blocks of degraded (n, E) and clean (n, D) examples.

    For x ~ N(m, C) and noise of variance s^2 it tends to the Wiener filter C (C + s^2)^-1, which
    in PCA coordinates shrinks each component by its own share of signal.
    """
    count, sums = 0, None
    for y, x in pairs:
        y, x = y.astype(np.float64), x.astype(np.float64)
        part = (y.sum(0), x.sum(0), y.T @ y, y.T @ x)
        sums = part if sums is None else tuple(a + b for a, b in zip(sums, part, strict=True))
        count += len(x)
    if sums is None or count < 2:
        raise ValueError("A linear filter needs at least two pairs.")
    seen, mean = sums[0] / count, sums[1] / count
    own = sums[2] / count - np.outer(seen, seen)
    cross = sums[3] / count - np.outer(seen, mean)
    ridge = RIDGE * max(float(np.trace(own)) / len(own), 1e-12)
    weights = np.linalg.solve(own + ridge * np.eye(len(own)), cross)
    return Wiener(mean, seen, weights)


def median(x: Tensor, side: int = 3) -> Tensor:
    """The median of each side x side neighbourhood, edges mirrored: (B, C, H, W) -> same."""
    reach = side // 2
    mode = "reflect" if min(x.shape[2:]) > reach else "replicate"
    patches = F.pad(x, (reach,) * 4, mode=mode).unfold(2, side, 1).unfold(3, side, 1)
    return patches.flatten(4).median(-1).values
