"""Distances to stored training rows."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 5


class NearestRows:
    """How far a row lies from the stored rows, other than a copy of itself.

    Two numbers a row: the distance to the nearest one, and the mean distance to the nearest five
    over the root of what this mean is for those five themselves, so that sparse regions do not
    count as anomalous by themselves (between kNN and the local outlier factor). One stored row at
    distance 0 is passed over, so that training rows are not their own neighbours.
    """

    def __init__(self, rows: np.ndarray) -> None:
        """Raises nothing for few rows: with fewer than six, fewer neighbours count."""
        self.k = max(1, min(NEIGHBOURS, len(rows) - 1))
        self.finder = NearestNeighbors(n_neighbors=min(self.k + 1, len(rows))).fit(rows)
        found, _ = self._others(rows)
        self.own = found.mean(1)
        self.least = 1e-3 * float(self.own.mean()) + 1e-9

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N, 2)."""
        found, index = self._others(x)
        around = self.own[index].mean(1) + self.least
        return np.stack([found[:, 0], found.mean(1) / np.sqrt(around)], 1)

    def _others(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and places of the nearest k rows, a first one at distance 0 left out."""
        far, index = self.finder.kneighbors(x)
        if far.shape[1] == 1:
            return far, index
        size = 1e-5 * (1 + np.abs(x).max(1))
        itself = (far[:, 0] <= size)[:, None]
        return (
            np.where(itself, far[:, 1:], far[:, :-1]),
            np.where(itself, index[:, 1:], index[:, :-1]),
        )


class DistantRows:
    """The distance to the k-th nearest of a sample of trusted rows, k a fortieth of the sample.

    A group of anomalies smaller than that cannot hide by lying close together.
    """

    def __init__(self, rows: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> None:
        self.centre, self.scale = centre, scale
        self.rows = self._scaled(rows)
        self.k = min(max(3, round(len(rows) / 40)), len(rows))
        wanted = min(self.k + 1, len(rows))
        self.finder = NearestNeighbors(n_neighbors=wanted, algorithm="brute").fit(self.rows)

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return np.clip((x - self.centre) / self.scale, -20, 20).astype(np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,)."""
        far, _ = self.finder.kneighbors(self._scaled(x))
        itself = far[:, 0] <= 1e-6
        return np.where(itself, far[:, -1], far[:, min(self.k, far.shape[1]) - 1])
