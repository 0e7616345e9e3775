"""Both errors of a threshold, side by side, for many thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from lemari.detect.calibration import Calibration, as_rate, as_scores
from lemari.detect.thresholds import precision_and_f1
from lemari.errors import DataError

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """What flagging scores above `threshold` does; shares in 0 to 1, None where unknown.

    `low` and `high` bound the false-alarm rate with 95 % confidence.
    """

    threshold: float
    false_alarm_rate: float
    low: float
    high: float
    alarms_per_10000: float
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


def clopper_pearson(
    hits: ArrayLike, rows: ArrayLike, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """The exact binomial interval (Clopper and Pearson 1934) of a share, hits of rows."""
    x, n = np.asarray(hits, np.float64), np.asarray(rows, np.float64)
    rest = (1 - confidence) / 2
    low = np.where(x > 0, beta.ppf(rest, np.maximum(x, 1e-9), n - x + 1), 0.0)
    high = np.where(x < n, beta.ppf(1 - rest, x + 1, np.maximum(n - x, 1e-9)), 1.0)
    return low, high


def error_table(
    cal: Calibration,
    scores: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    points: Sequence[float] | np.ndarray | None = None,
    share: float | None = None,
) -> list[ErrorRow]:
    """One row for each threshold in `points`, rising; by default those of usual alarm rates.

    False alarms are those of the calibration rows. With labelled rows (scores (N,), labels (N,)
    1 for anomalies) recall, precision and F1 are added. Precision is that of the labelled rows;
    `share` weighs it to a real share of anomalies. If no normal row is labelled, the false alarms
    of the calibration rows and `share` (or the share in all rows) stand in.
    """
    where = _usual_points(cal) if points is None else np.unique(as_scores(points, "thresholds"))
    rate = cal.alarm_rate(where)
    low, high = clopper_pearson(rate * cal.effective_rows, cal.effective_rows)
    first = np.stack([where, rate, low, high, 1e4 * rate], axis=1).tolist()
    more: list[np.ndarray] = []
    if scores is not None and labels is not None:
        more = _labelled(cal, as_scores(scores), np.asarray(labels), where, share)
    found = [[_plain(column[i]) for column in more] for i in range(len(where))]
    return [ErrorRow(*row, *extra) for row, extra in zip(first, found, strict=True)]


def curve_points(cal: Calibration, scores: ArrayLike | None = None, count: int = 400) -> np.ndarray:
    """Rising thresholds for smooth curves: evenly spaced in score and in rank, half of each.

    They begin below the lowest score and end above the highest.
    """
    found = cal.scores if scores is None else np.append(cal.scores, as_scores(scores, finite=True))
    low, high = float(found.min()), float(found.max())
    pad = 0.02 * (high - low) or 1e-3 * max(1.0, abs(high))
    ranks = np.quantile(cal.scores, np.linspace(0, 1, count // 2))
    return np.unique(np.append(np.linspace(low - pad, high + pad, count - count // 2), ranks))


def _labelled(
    cal: Calibration, scores: np.ndarray, y: np.ndarray, where: np.ndarray, share: float | None
) -> list[np.ndarray]:
    if y.shape != scores.shape or not np.isin(y, (0, 1)).all():
        raise DataError("Give one label for each score: 1 for an anomaly, 0 for a normal row.")
    odd, normal = np.sort(scores[y == 1]), np.sort(scores[y == 0])
    if not len(odd):
        return []
    recall = 1 - np.searchsorted(odd, where, side="right") / len(odd)
    if len(normal):
        fpr = 1 - np.searchsorted(normal, where, side="right") / len(normal)
    else:
        fpr = cal.alarm_rate(where)
    part = len(odd) / (len(odd) + (len(normal) or len(cal)))
    part = part if share is None else as_rate(share, "share of anomalies")
    return [recall, *precision_and_f1(recall, fpr, part)]


def _usual_points(cal: Calibration) -> np.ndarray:
    ranks = np.ceil((len(cal) + 1) * (1 - np.array(RATES))).astype(int)
    return np.unique(cal.scores[np.clip(ranks, 1, len(cal)) - 1])


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
