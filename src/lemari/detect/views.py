"""Two ways to look at encoded rows: as they are, and by the rank of each value in its column."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

WIDEST = 20.0  # standard deviations: beyond it all values are equally far out


def standard(x: np.ndarray) -> np.ndarray:
    """Encoded rows (N, F) float32, limited to 20 standard deviations."""
    return np.clip(x, -WIDEST, WIDEST)


class Ranks:
    """Each value as the normal quantile of its mid-rank among stored values of its column.

    Beyond the smallest and the largest it grows with the logarithm of the distance.
    """

    def __init__(self, rows: np.ndarray) -> None:
        """From stored rows (R, F)."""
        self.ordered = np.sort(rows, axis=0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, F) float32."""
        out = np.empty(x.shape, np.float32)
        for j, column in enumerate(x.T):
            known = self.ordered[:, j]
            middle = np.searchsorted(known, column, "left") + np.searchsorted(
                known, column, "right"
            )
            out[:, j] = ndtri((middle / 2 + 0.5) / (len(known) + 1))
            out[:, j] += np.log1p((column - known[-1]).clip(0))
            out[:, j] -= np.log1p((known[0] - column).clip(0))
        return out
