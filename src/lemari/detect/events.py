"""The events through which a column is watched, and Fisher's exact test for their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.special import betaln, gammaln

EDGES = 10
BINS = 2 * EDGES + 2
MISSING = BINS - 1
EVENTS = EDGES + 2
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_LOW, _HIGH = 1, 5
_OUTER = ((0, 6), (1, 5), (2, 4))
_PIECE = 1024


@dataclass(frozen=True)
class Events:
    """Events of C columns: edges (C, 10) rising, padded with NaN; discrete (C,).

    A bin is the number of edges below the value plus the number of edges at or below it: odd bins
    hold the values equal to an edge, even bins those between. The last bin holds missing values.
    An event is a set of bins; `hits` (C, 12) says how many of the `rows` (C,) reference rows of
    the column are in it. ValueError when these do not fit.
    """

    edges: np.ndarray
    hits: np.ndarray
    discrete: np.ndarray
    rows: np.ndarray
    masks: np.ndarray = field(init=False, repr=False)
    used: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kinds = zip(self.edges, self.discrete, strict=True)
        masks = np.stack([_masks(int(np.isfinite(e).sum()), bool(d)) for e, d in kinds])
        shapes = self.edges.shape[1:], self.hits.shape, self.rows.shape
        if shapes != ((EDGES,), masks.shape[::2], self.discrete.shape):
            raise ValueError("shapes of the events")
        if (self.hits < 0).any() or (self.hits > self.rows[:, None]).any():
            raise ValueError("counts of the events")
        object.__setattr__(self, "masks", masks)
        object.__setattr__(self, "used", masks.any(axis=1))

    def describe(self, column: int, event: int) -> str:
        """An event in words."""
        edges = self.edges[column][np.isfinite(self.edges[column])]
        if event == EVENTS - 1:
            return "share missing"
        if self.discrete[column]:
            other = event == EVENTS - 2
            return "share of values not seen before" if other else f"share of {edges[event]:.6g}"
        if event < len(QUANTILES):
            return f"share above {edges[event]:.4g}"
        low, high = _OUTER[event - len(QUANTILES)]
        return f"share outside {edges[low]:.4g} to {edges[high]:.4g}"

    def direction(self, column: int, event: int, change: np.ndarray) -> str:
        """Which way a column moved: change (12,) of the events' shares, `event` the clearest.

        An ordered column is wider or narrower when both its tails gained or both lost.
        """
        if event == EVENTS - 1 or self.discrete[column]:
            return "more" if change[event] > 0 else "less"
        up, down = change[_HIGH], -change[_LOW]
        if up * down > 0 and min(abs(up), abs(down)) > max(abs(up), abs(down)) / 4:
            return "wider" if up > 0 else "narrower"
        return "higher" if change[: len(QUANTILES)].sum() > 0 else "lower"


def learn_events(table: np.ndarray) -> Events:
    """Events for each column of a table (n, C), with their counts among its rows.

    A column of at most 10 different values is watched value by value, another one at the
    boundaries between values that are nearest to its quantiles.
    """
    edges = np.full((table.shape[1], EDGES), np.nan)
    discrete = np.zeros(table.shape[1], bool)
    for i, column in enumerate(table.T):
        values, counts = np.unique(column[np.isfinite(column)], return_counts=True)
        discrete[i] = len(values) <= EDGES
        if discrete[i]:
            edges[i, : len(values)] = values
        else:
            below = np.cumsum(counts)[:-1]
            wanted = np.array(QUANTILES) * counts.sum()
            nearest = np.abs(below[None] - wanted[:, None]).argmin(axis=1)
            edges[i, : len(wanted)] = values[nearest]
    rows = np.full(len(edges), len(table), np.int64)
    blank = Events(edges, np.zeros((len(edges), EVENTS), np.int64), discrete, rows)
    bins = bins_of(table, edges)
    counts = np.stack([np.bincount(b, minlength=BINS) for b in bins.T])
    hits = np.einsum("cb,cbe->ce", counts, blank.masks.astype(np.int64))
    return Events(edges, hits, discrete, rows)


def side_by_side(parts: Sequence[Events]) -> Events:
    """The events of several tables as those of one."""
    names = ("edges", "hits", "discrete", "rows")
    return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _masks(edges: int, discrete: bool) -> np.ndarray:
    """Which bins (22,) belong to which event (12,) of a column: (22, 12) of 0 and 1."""
    mask = np.zeros((BINS, EVENTS), np.float32)
    mask[MISSING, -1] = 1
    if discrete:
        for i in range(edges):
            mask[2 * i + 1, i] = 1
        mask[0 : 2 * edges + 1 : 2, -2] = 1
        return mask
    for i in range(edges):
        mask[2 * i + 2 : MISSING, i] = 1
    for i, (low, high) in enumerate(_OUTER):
        mask[: 2 * low + 2, edges + i] = 1
        mask[2 * high + 2 : MISSING, edges + i] = 1
    return mask


def bins_of(table: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each value: table (N, C), edges (C, 10) -> (N, C)."""
    bins = np.zeros(table.shape, np.int8)
    used = edges.T[np.isfinite(edges).any(axis=0)]
    for begin in range(0, len(table), _PIECE):
        x, out = table[begin : begin + _PIECE], bins[begin : begin + _PIECE]
        for edge in used:
            out += (x > edge).view(np.int8)
            out += (x >= edge).view(np.int8)
        out[np.isnan(x)] = MISSING
    return bins


def critical_counts(
    hits: np.ndarray, rows: np.ndarray, window: int, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Counts in a window that are too high and too low: the first at or below level `alpha`.

    hits (C, E) of rows (C,) reference rows -> most, least (C, E): an alarm is a count >= most or
    <= least. Fisher's exact test: given the reference, the count in the window lies beyond
    a beta-binomial law, Beta(hits + 1, misses) for the upper tail and Beta(hits, misses + 1) for
    the lower one.
    """
    pairs = np.stack([hits, np.broadcast_to(rows[:, None], hits.shape)], axis=-1).reshape(-1, 2)
    kinds, back = np.unique(pairs, axis=0, return_inverse=True)
    most, least = np.empty(len(kinds), np.int64), np.empty(len(kinds), np.int64)
    for begin in range(0, len(kinds), _PIECE):
        part = slice(begin, begin + _PIECE)
        upper, lower = _tails(kinds[part, 0], kinds[part, 1], window)
        most[part] = window + 1 - (upper <= alpha).sum(axis=1)
        least[part] = (lower <= alpha).sum(axis=1) - 1
    back = back.reshape(hits.shape)
    return most[back], least[back]


def tail_p(hits: int, rows: int, now: int, window: int) -> float:
    """Two-sided p-value (twice the smaller tail) of `now` events in a window."""
    upper, lower = _both_tails(hits, rows, window)
    return float(min(1.0, 2 * min(upper[now], lower[now])))


@lru_cache(maxsize=2048)
def _both_tails(hits: int, rows: int, window: int) -> np.ndarray:
    return np.concatenate(_tails(np.array([hits]), np.array([rows]), window))


def _tails(hits: np.ndarray, rows: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """P(count >= j) and P(count <= j) for j = 0 to window: (K,) twice -> (K, window + 1) twice."""
    up = _beta_binomial(hits + 1.0, rows - hits + 0.0, window)
    down = _beta_binomial(hits + 0.0, rows - hits + 1.0, window)
    return np.cumsum(up[:, ::-1], axis=1)[:, ::-1], np.cumsum(down, axis=1)


def _beta_binomial(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """Probabilities (K, count + 1); all on `count` where b is 0, all on 0 where a is 0."""
    j = np.arange(count + 1.0)
    choose = gammaln(count + 1) - gammaln(j + 1) - gammaln(count - j + 1)
    safe_a, safe_b = np.maximum(a, 1e-300)[:, None], np.maximum(b, 1e-300)[:, None]
    p = np.exp(choose + betaln(safe_a + j, safe_b + count - j) - betaln(safe_a, safe_b))
    p[a <= 0] = np.eye(1, count + 1)
    p[b <= 0] = np.eye(1, count + 1, count)
    return p
