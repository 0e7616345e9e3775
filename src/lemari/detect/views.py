"""Two ways to look at encoded rows: as they are, and by the rank of each value in its column."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

WIDEST = 20.0  # standard deviations: beyond it all values are equally far out
KNOTS = 256


def standard(x: np.ndarray) -> np.ndarray:
    """Encoded rows (N, F) float32, limited to 20 standard deviations."""
    return np.clip(x, -WIDEST, WIDEST)


class Ranks:
    """Each value as the normal quantile of its mid-rank among the training values of its column.

    Between the kept values the map is linear; beyond the smallest and largest it grows with the
    logarithm of the distance. Shapes: knots and levels (F, Q), padded with the last one.
    """

    def __init__(self, knots: np.ndarray, levels: np.ndarray) -> None:
        self.knots, self.levels = knots, levels

    @classmethod
    def learn(cls, x: np.ndarray) -> Ranks:
        """From training rows (N, F)."""
        count, width = x.shape
        most = min(KNOTS, count)
        knots = np.zeros((width, most), np.float32)
        levels = np.zeros((width, most), np.float32)
        for j in range(width):
            values, number = np.unique(x[:, j], return_counts=True)
            middle = np.cumsum(number) - number / 2
            if len(values) > most:
                kept = np.unique(np.searchsorted(middle, np.linspace(middle[0], middle[-1], most)))
                values, middle = values[kept], middle[kept]
            knots[j], levels[j] = values[-1], ndtri((middle[-1] + 0.5) / (count + 1))
            knots[j, : len(values)] = values
            levels[j, : len(values)] = ndtri((middle + 0.5) / (count + 1))
        return cls(knots, levels)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, F) float32."""
        out = np.empty(x.shape, np.float32)
        for j in range(x.shape[1]):
            knots, levels = self.knots[j], self.levels[j]
            column = np.ascontiguousarray(x[:, j])
            last = int(np.searchsorted(knots, knots[-1])) + 1
            out[:, j] = np.interp(column, knots[:last], levels[:last])
            over, under = column - knots[-1], knots[0] - column
            out[:, j] += np.log1p(over.clip(0)) - np.log1p(under.clip(0))
        return out
