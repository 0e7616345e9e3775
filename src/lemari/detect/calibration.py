"""Scores of held-out normal rows, and what they promise about new rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from lemari.errors import DataError, UsageError

SLACK = 1e-12
TAIL_SHARE = 0.1
FEWEST_TAIL_ROWS = 10
HEAVIEST_SHAPE = 0.9


def as_scores(values: ArrayLike, what: str = "scores", finite: bool = False) -> np.ndarray:
    """The values as float64 (n,); DataError unless they are numbers in one dimension."""
    try:
        scores = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as fault:
        raise DataError(f"The {what} are not numbers; give one number for each row.") from fault
    if scores.ndim != 1:
        raise DataError(f"The {what} have shape {scores.shape}; give one number for each row.")
    wrong = ~np.isfinite(scores) if finite else np.isnan(scores)
    if wrong.any():
        kind = "finite" if finite else "a number"
        raise DataError(
            f"{int(wrong.sum())} of the {len(scores)} {what} are not {kind} (the first in row "
            f"{int(np.argmax(wrong))}); leave those rows out or mend them."
        )
    return scores


def as_rate(rate: float, what: str = "alarm rate") -> float:
    """The rate as a float; UsageError unless it lies strictly between 0 and 1."""
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not 0 < rate < 1:
        raise UsageError(f"The {what} is {rate!r}; give a number between 0 and 1, such as 0.01.")
    return float(rate)


@dataclass(frozen=True, slots=True)
class Tail:
    """A generalised Pareto law of what exceeds `start`, which `share` of the rows do."""

    start: float
    share: float
    scale: float
    shape: float

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Estimated share of normal rows that score at least this much; only above `start`."""
        excess = np.maximum(scores - self.start, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            logs = -np.log1p(self.shape * excess / self.scale) / self.shape
        return np.maximum(self.share * np.exp(logs), np.finfo(float).tiny)

    def threshold_for(self, rate: float) -> float:
        """The score that an estimated share `rate` of the normal rows exceeds."""
        growth = math.expm1(self.shape * math.log(self.share / rate))
        return self.start + self.scale * growth / self.shape


class Calibration:
    """Scores of normal rows that the detector was not fitted on; higher is more anomalous.

    `scores` (n,) finite, float64; `weights` (n,) positive, all 1 when None. What it promises holds
    for any n and any detector, as long as new normal rows come from where these came from.
    Raises DataError without rows, with values that are not finite, with weights that do not fit.
    """

    def __init__(self, scores: ArrayLike, weights: ArrayLike | None = None) -> None:
        found = as_scores(scores, "calibration scores", finite=True)
        if not len(found):
            raise DataError("There are no calibration scores; hold out some normal rows.")
        order = np.argsort(found, kind="stable")
        self.scores = found[order]
        self.weights = None if weights is None else _checked_weights(weights, len(found))[order]
        each = np.ones(len(found)) if self.weights is None else self.weights
        self._above = np.append(np.cumsum(each[::-1])[::-1], 0.0)
        self._row = float(each.mean())

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def effective_rows(self) -> float:
        """How many equally weighted rows would tell as much (Kish)."""
        if self.weights is None:
            return float(len(self))
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    def p_value(self, scores: ArrayLike, weights: ArrayLike | None = None) -> np.ndarray:
        """Conformal p-values: of all rows, the new one included, the share that scores as much.

        Shapes: scores (N,) -> (N,) in (0, 1], never 0, falling as scores rise; ties count against
        the row. For a new normal row P(p <= a) <= a for every a, whatever the detector.
        `weights` (N,) of the new rows, in the unit of the calibration weights; their mean if None.
        """
        found = as_scores(scores)
        own = self._row if weights is None else _checked_weights(weights, len(found))
        higher = self._above[np.searchsorted(self.scores, found, side="left")]
        return (own + higher) / (own + self._above[0])

    def alarm_rate(self, threshold: ArrayLike) -> np.ndarray:
        """Share of the calibration rows that score above the threshold, of any shape."""
        found = np.asarray(threshold, dtype=np.float64)
        return self._above[np.searchsorted(self.scores, found, side="right")] / self._above[0]

    def threshold_for(self, alarm_rate: float) -> float:
        """The smallest t for which flagging scores > t promises at most this alarm rate.

        With equal weights the ceil((n + 1)(1 - alarm_rate))-th smallest calibration score. A row
        lies above it exactly when its conformal p-value is at most `alarm_rate`. The promise is
        for the mean over calibration sets. UsageError when there are too few rows to promise it.
        """
        rate = as_rate(alarm_rate)
        firsts = np.append(np.flatnonzero(np.diff(self.scores)) + 1, len(self))
        promised = (self._row + self._above[firsts]) / (self._row + self._above[0])
        enough = promised <= rate * (1 + SLACK)
        if not enough.any():
            needed = math.ceil(1 / rate * (1 - SLACK)) - 1
            raise UsageError(
                f"{len(self)} calibration rows cannot promise an alarm rate of {rate:g}; give at "
                f"least {needed} normal rows for calibration, or ask for a higher rate."
            )
        return float(self.scores[firsts[int(np.argmax(enough))] - 1])

    def confident_threshold_for(self, alarm_rate: float, confidence: float = 0.95) -> float:
        """A threshold whose alarm rate is at most this with the confidence, for this very set.

        `threshold_for` promises the mean over calibration sets; this one promises that at most
        1 - confidence of all calibration sets give a higher rate (an order statistic chosen by
        the binomial law). UsageError with too few rows, or with weights.
        """
        rate, sure = as_rate(alarm_rate), as_rate(confidence, "confidence")
        if self.weights is not None:
            raise UsageError(
                "A threshold with a confidence needs equal weights; leave the weights out, or use "
                "the alarm rate without a confidence."
            )
        rank = int(binom.ppf(sure, len(self), 1 - rate)) + 1
        if rank > len(self):
            needed = math.ceil(math.log(1 - sure) / math.log(1 - rate))
            raise UsageError(
                f"{len(self)} calibration rows cannot promise an alarm rate of {rate:g} with "
                f"confidence {sure:g}; give at least {needed}, or ask for less."
            )
        return float(self.scores[rank - 1])

    def tail(self) -> Tail | None:
        """A generalised Pareto law for the top tenth (at least 10 rows, at most half of them).

        By probability-weighted moments (Hosking and Wallis 1987), weights ignored. The shape is
        at least 1 / rows, which is what not knowing the scale costs with exponential tails. None
        when the top rows are all equal or there are fewer than 4 rows.
        """
        count = min(max(math.ceil(TAIL_SHARE * len(self)), FEWEST_TAIL_ROWS), len(self) // 2)
        if count < 2:
            return None
        start = float(self.scores[-count - 1])
        excess = self.scores[-count:] - start
        mean = float(excess.mean())
        if mean <= 0:
            return None
        ranks = (np.arange(1, count + 1) - 0.35) / count
        gap = mean - 2 * float((excess * (1 - ranks)).mean())
        shape = 2 - mean / gap if gap > 0 else 0.0
        if shape <= 1 / count:
            return Tail(start, (count + 1) / (len(self) + 1), mean, 1 / count)
        shape = min(shape, HEAVIEST_SHAPE)
        return Tail(start, (count + 1) / (len(self) + 1), mean * (1 - shape), shape)

    def tail_p_value(self, scores: ArrayLike) -> np.ndarray:
        """p-values (N,) that go on falling beyond the largest calibration score.

        Up to that score they are `p_value`; beyond it the smaller of `p_value` and the fitted
        `tail`. An estimate that leans on the shape of the tail: no finite-sample promise.
        """
        found = as_scores(scores)
        p, tail = self.p_value(found), self.tail()
        if tail is None:
            return p
        return np.where(found > self.scores[-1], np.minimum(p, tail.p_value(found)), p)


def _checked_weights(weights: ArrayLike, count: int) -> np.ndarray:
    found = as_scores(weights, "weights", finite=True)
    if len(found) != count or not (found > 0).all():
        raise DataError(f"Give one weight above 0 for each of the {count} rows.")
    return found


def discoveries(p: ArrayLike, rate: float = 0.1, *, storey: bool = False) -> np.ndarray:
    """Rows of a batch to flag so that at most `rate` of those flagged are expected to be normal.

    Shapes: p (N,) -> bool (N,). Benjamini and Hochberg (1995); valid for conformal p-values that
    share one calibration set (Bates et al. 2023). With `storey` the share of normal rows is
    estimated from the p-values above a half, which finds more when anomalies are common.
    """
    values, bound = as_scores(p, "p-values"), as_rate(rate, "false discovery rate")
    if not len(values):
        return np.zeros(0, bool)
    if values.min() < 0 or values.max() > 1:
        raise DataError("p-values lie between 0 and 1; give what `p_value` returned.")
    if storey:
        values = values * min(1.0, (1 + int((values > 0.5).sum())) / (0.5 * len(values)))
    cut = _largest_kept(np.sort(values), bound)
    return values <= cut


def _largest_kept(ordered: Sequence[float] | np.ndarray, rate: float) -> float:
    limits = rate * np.arange(1, len(ordered) + 1) / len(ordered)
    kept = np.flatnonzero(np.asarray(ordered) <= limits * (1 + SLACK))
    return float(ordered[kept[-1]]) if len(kept) else -1.0
