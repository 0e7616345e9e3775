"""Rules that choose the score above which a row is flagged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from lemari.detect.calibration import Calibration, as_rate, as_scores, discoveries
from lemari.errors import DataError, UsageError

ALARM_RATE = 0.01
DISCOVERY_RATE = 0.1
ASSUMED_AUROC = 0.85
LARGEST = 1e300  # numbers beyond it are not kept in threshold.json


@dataclass(frozen=True, slots=True)
class Threshold:
    """Rows that score above `value` are flagged.

    `rule` and `settings` say how it was chosen, `expected` what it should do (shares in 0 to 1),
    `note` what to know about it.
    """

    value: float
    rule: str
    settings: Mapping[str, object] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def flags(self, scores: ArrayLike) -> np.ndarray:
        """Which rows are flagged: scores (N,) -> bool (N,)."""
        return as_scores(scores) > self.value


def by_alarm_rate(
    cal: Calibration, rate: float = ALARM_RATE, *, confidence: float | None = None
) -> Threshold:
    """Flag at most this share of normal rows; the promise holds for any number of rows.

    With `confidence` the promise holds for this calibration set with that probability, not just
    on average. With too few rows for a promise the threshold is taken from the fitted tail, at
    least the largest calibration score, and the note says so.
    """
    settings = {"alarm_rate": as_rate(rate)}
    if confidence is not None:
        settings["confidence"] = as_rate(confidence, "confidence")
    note = ""
    try:
        if confidence is None:
            value = cal.threshold_for(rate)
        else:
            value = cal.confident_threshold_for(rate, confidence)
    except UsageError:
        if confidence is not None:
            raise
        tail = cal.tail()
        top = float(cal.scores[-1])
        value = top if tail is None else max(top, tail.threshold_for(rate))
        note = (
            f"An estimate: {len(cal)} calibration rows can promise {1 / (len(cal) + 1):.2g} at "
            f"best, and an alarm rate of {rate:g} was asked for."
        )
    return Threshold(value, "alarm-rate", settings, _expected(cal, value), note)


def by_costs(
    cal: Calibration,
    miss: float,
    alarm: float,
    share: float,
    scores: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> Threshold:
    """The smallest expected cost a row: alarm * FPR * (1 - share) + miss * FNR * share.

    `miss` and `alarm` are the costs of one miss and one false alarm, `share` the share of
    anomalies among the rows to come. FPR is that of the calibration rows, its top counted one row
    too high. FNR comes from `settings["misses_from"]`: "labels" (the anomalies among `scores`),
    "mixture" (`scores` without labels, of which `share` are taken to be anomalies) or "assumed"
    (no scores: a power curve p**b with the area 0.85).
    """
    share = as_rate(share, "share of anomalies")
    for name, cost in (("a miss", miss), ("a false alarm", alarm)):
        if not 0 < cost < LARGEST:
            raise UsageError(
                f"The cost of {name} is {cost!r}; give a number above 0 (and below {LARGEST:g})."
            )
    settings: dict[str, object] = {"miss": float(miss), "alarm": float(alarm), "share": share}
    if scores is None or not np.size(scores):
        settings["misses_from"] = "assumed"
        return _by_assumed_costs(cal, miss, alarm, share, settings)
    found = as_scores(scores, finite=True)
    points = _candidates(cal.scores, found)
    fpr = _guarded_rate(cal, points)
    if labels is None:
        settings["misses_from"] = "mixture"
        above = _share_above(found, points)
        fnr = 1 - np.clip((above - (1 - share) * cal.alarm_rate(points)) / share, 0, 1)
        fnr = np.maximum.accumulate(fnr)
    else:
        settings["misses_from"] = "labels"
        fnr = 1 - _share_above(found[_labels(labels, len(found), normals=False) == 1], points)
    cost = alarm * fpr * (1 - share) + miss * fnr * share
    best = int(np.flatnonzero(cost <= cost.min() * (1 + 1e-12))[-1])
    expected = {**_expected(cal, points[best]), "recall": float(1 - fnr[best])}
    expected["cost_a_row"] = float(cost[best])
    return Threshold(float(points[best]), "costs", settings, expected)


def _by_assumed_costs(
    cal: Calibration, miss: float, alarm: float, share: float, settings: dict[str, object]
) -> Threshold:
    """Anomalies' p-values with density b p**(b - 1): flag while it outweighs the false alarms."""
    power = 1 / ASSUMED_AUROC - 1
    odds = miss * share / (alarm * (1 - share))
    rate = min(min(power * odds, 1.0) ** (1 / (1 - power)), 0.5)
    rate = max(rate, 1 / (len(cal) + 1))
    value = by_alarm_rate(cal, rate).value
    expected = {**_expected(cal, value), "recall": rate**power}
    expected["cost_a_row"] = alarm * rate * (1 - share) + miss * (1 - rate**power) * share
    note = (
        f"No anomalies were given: misses are those of a detector with AUROC {ASSUMED_AUROC}, "
        "and at most half of the rows are flagged."
    )
    return Threshold(value, "costs", settings, expected, note)


def by_labels(
    scores: ArrayLike, labels: ArrayLike, goal: str = "f1", *, share: float | None = None
) -> Threshold:
    """The best threshold on labelled rows: scores (N,), labels (N,) 1 for anomalies, 0 for normal.

    `goal` "f1"; "precision=0.9" (most recall at that precision); "recall=0.9" (most precision at
    that recall). `share` weighs precision to a share of anomalies other than that of these rows.
    The threshold is half way between the last row flagged and the next. UsageError with one class
    only, for an unknown goal, and for a precision that no threshold reaches.
    """
    found = as_scores(scores, finite=True)
    y = _labels(labels, len(found))
    kind, least = _goal(goal)
    points = _between(found)
    recall, fpr = _share_above(found[y == 1], points), _share_above(found[y == 0], points)
    part = float(y.mean()) if share is None else as_rate(share, "share of anomalies")
    precision, f1 = precision_and_f1(recall, fpr, part)
    if kind == "f1":
        worth = f1
    elif kind == "recall":
        worth = np.where(recall >= least - 1e-12, precision, -1.0)
    else:
        worth = np.where(precision >= least - 1e-12, recall, -1.0)
        if worth.max() <= 0:
            raise UsageError(
                f"No threshold reaches a precision of {least:g}; the best is "
                f"{float(np.nanmax(precision)):.3g}. Ask for less, or label more rows."
            )
    best = int(np.flatnonzero(worth >= np.nanmax(worth) - 1e-12)[-1])
    settings: dict[str, object] = {"goal": goal, "anomalies": int(y.sum()), "rows": len(y)}
    if share is not None:
        settings["share"] = part
    expected = {"false_alarm_rate": fpr[best], "recall": recall[best]}
    expected |= {"precision": precision[best], "f1": f1[best]}
    expected = {name: float(value) for name, value in expected.items()}
    return Threshold(float(points[best]), "labels", settings, expected)


def automatic(cal: Calibration, scores: ArrayLike) -> Threshold:
    """No settings: among these unlabelled rows, at most a tenth of those flagged are normal.

    The cut of Benjamini and Hochberg at 10 % on the conformal p-values of `scores` (N,). Where it
    finds nothing, as it should among normal rows, an alarm rate of 1 %.
    """
    p = cal.p_value(scores)
    kept = discoveries(p, DISCOVERY_RATE)
    settings: dict[str, object] = {"rows": len(p), "found": int(kept.sum())}
    if not kept.any() or p[kept].max() >= 1:
        reserve = by_alarm_rate(cal, ALARM_RATE)
        settings["alarm_rate"] = ALARM_RATE
        note = "No anomalies stood out; rows are flagged at an alarm rate of 1 %. " + reserve.note
        return Threshold(reserve.value, "automatic", settings, reserve.expected, note.strip())
    settings["false_discovery_rate"] = DISCOVERY_RATE
    value = cal.threshold_for(float(p[kept].max()))
    return Threshold(value, "automatic", settings, _expected(cal, value))


def fixed(value: float, cal: Calibration | None = None) -> Threshold:
    """A threshold given by hand; UsageError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise UsageError(f"The threshold is {value!r}; give a number.")
    if not -LARGEST < value < LARGEST:
        raise UsageError(
            f"The threshold is {value!r}; give a finite number, below {LARGEST:g} in size."
        )
    note = ""
    if cal is not None and value >= cal.scores[-1]:
        note = "Beyond all calibration scores: no normal row seen so far would be flagged."
    elif cal is not None and value < cal.scores[0]:
        note = "Below all calibration scores: every normal row seen so far would be flagged."
    expected = {} if cal is None else _expected(cal, float(value))
    return Threshold(float(value), "fixed", {}, expected, note)


def precision_and_f1(
    recall: np.ndarray, fpr: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and F1 when `share` of the rows are anomalies; NaN and 0 where none is flagged."""
    hits, alarms = share * recall, (1 - share) * fpr
    flagged = hits + alarms
    precision = np.divide(hits, flagged, out=np.full_like(flagged, np.nan), where=flagged > 0)
    total = flagged + share
    return precision, 2 * hits / total


def _expected(cal: Calibration, value: float) -> dict[str, float]:
    rate = float(cal.alarm_rate(value))
    return {"false_alarm_rate": rate, "alarms_per_10000": 1e4 * rate}


def _guarded_rate(cal: Calibration, points: np.ndarray) -> np.ndarray:
    return (1 + len(cal) * cal.alarm_rate(points)) / (len(cal) + 1)


def _share_above(scores: np.ndarray, points: np.ndarray) -> np.ndarray:
    ordered = np.sort(scores)
    return 1 - np.searchsorted(ordered, points, side="right") / len(ordered)


def _candidates(*groups: np.ndarray) -> np.ndarray:
    values = np.unique(np.concatenate(groups))
    return np.insert(values, 0, np.nextafter(values[0], -np.inf))


def _between(scores: np.ndarray) -> np.ndarray:
    values = np.unique(scores)
    middles = values[:-1] + np.diff(values) / 2
    return np.concatenate([[np.nextafter(values[0], -np.inf)], middles, values[-1:]])


def _labels(labels: ArrayLike, count: int, normals: bool = True) -> np.ndarray:
    y = np.asarray(labels)
    if y.shape != (count,):
        raise DataError(f"There are {count} scores and labels of shape {y.shape}; give one each.")
    if not np.isin(y, (0, 1)).all():
        raise DataError("Labels must be 1 for an anomaly and 0 for a normal row; recode them.")
    y = y.astype(np.int64)
    if not y.any() or (normals and y.all()):
        missing = "anomaly" if not y.any() else "normal row"
        raise UsageError(
            f"The labels hold no {missing}; label at least one, or choose the threshold by the "
            "false-alarm rate."
        )
    return y


def _goal(goal: str) -> tuple[str, float]:
    parts = re.fullmatch(r"(precision|recall)=([0-9.]+)", goal)
    try:
        least = float(parts[2]) if parts else 0.0
    except ValueError:
        least = 0.0
    if parts and 0 < least <= 1:
        return parts[1], least
    if goal == "f1":
        return "f1", 0.0
    raise UsageError(f'Unknown goal {goal!r}; use "f1", "precision=0.9" or "recall=0.9".')
