"""How far out a score is: minus the logarithm of its tail probability among reference scores."""

from __future__ import annotations

import numpy as np

KNOTS = 200
TAIL = 0.1  # the share of the reference that the tail is fitted to


class TailLaw:
    """-log P(S >= s), from sorted reference scores; beyond the 90 % quantile an exponential law.

    So that scores of different kinds can be added. Shapes: knots and levels (200,).
    """

    def __init__(self, knots: np.ndarray, levels: np.ndarray, slope: float) -> None:
        self.knots, self.levels, self.slope = knots, levels, slope

    @classmethod
    def learn(cls, scores: np.ndarray) -> TailLaw:
        """From scores (n,) of rows that the scorer was not fitted to."""
        ordered = np.sort(scores.astype(np.float64))
        edge = float(np.quantile(ordered, 1 - TAIL))
        excess = ordered[ordered > edge] - edge
        scale = max(float(excess.mean()) if len(excess) else 0.0, 1e-9 * (1 + abs(edge)))
        body = ordered[ordered <= edge]
        knots = np.unique(np.quantile(body, np.linspace(0, 1, KNOTS)))
        above = len(ordered) - np.searchsorted(ordered, knots, "left")
        share = (above + 0.5) / (len(ordered) + 1)
        levels = np.clip(-np.log(share), 0, -np.log(TAIL))
        knots = np.concatenate([knots, np.full(KNOTS - len(knots), knots[-1])])
        levels = np.concatenate([levels, np.full(KNOTS - len(levels), levels[-1])])
        return cls(knots, levels, 1 / scale)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """(N,) -> (N,), at least 0, growing with the score."""
        last = int(np.searchsorted(self.knots, self.knots[-1])) + 1
        body = np.interp(scores, self.knots[:last], self.levels[:last])
        return body + self.slope * (scores - self.knots[-1]).clip(0)
