"""Whether neighbours stay neighbours when examples become codes."""

from __future__ import annotations

import numpy as np

NEIGHBOURS, ROWS = 15, 2000


def trustworthiness(x: np.ndarray, codes: np.ndarray, k: int = NEIGHBOURS) -> float:
    """Down from 1 as rows that are no neighbours among `x` become neighbours among the codes.

    Each of the k nearest codes of a row is charged with its rank among the rows of `x` beyond the
    k-th (Venna and Kaski 2001). Continuity is the same with `x` and `codes` exchanged. k is cut
    to less than half of the rows. Shapes: x (N, D), codes (N, d).
    """
    from sklearn.metrics import pairwise_distances

    n = len(x)
    k = min(k, (n - 1) // 2)
    if k < 1:
        return 1.0
    ranks, near = (pairwise_distances(np.asarray(a, np.float64)) for a in (x, codes))
    for distances in (ranks, near):
        np.fill_diagonal(distances, np.inf)
    order = ranks.argsort(1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, n + 1)[None].repeat(n, 0), 1)
    closest = np.argpartition(near, k - 1, 1)[:, :k]
    beyond = np.maximum(0, np.take_along_axis(place, closest, 1) - k)
    return float(1 - beyond.sum() * 2 / (n * k * (2 * n - 3 * k - 1)))


def kept_neighbours(x: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """Trustworthiness and continuity of the first 2,000 rows, with 15 neighbours."""
    x, codes = x[:ROWS], codes[:ROWS]
    return {
        "trustworthiness": trustworthiness(x, codes),
        "continuity": trustworthiness(codes, x),
    }
