"""A fitted detector with all that is needed to use it: format, model, calibration, threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lemari.detect.calibration import Calibration
from lemari.detect.drift import DriftMonitor
from lemari.detect.learning import MOST_STORED, Progress, by_blocks, learn
from lemari.detect.model import DetectorModel
from lemari.detect.thresholds import Threshold, by_alarm_rate
from lemari.errors import UsageError
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame

LEAST_DRIFT = 50  # rows that the drift monitor needs


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose; saved with the detector."""

    normal_only: bool = False
    memory: bool = True
    alarm_rate: float = 0.01
    seed: int = 0
    types: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    window: int = 0
    by: str = ""
    rows: int = 0


@dataclass(eq=False)
class FittedDetector:
    """Score, p-value and threshold for rows of the table that it was fitted to.

    `notes` holds what was noticed in the training rows.
    """

    format: MixedFormat
    model: DetectorModel
    calibration: Calibration
    threshold: Threshold
    settings: Settings
    drift: DriftMonitor | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, frame: Frame, settings: Settings, progress: Progress | None = None
    ) -> FittedDetector:
        """Learn from the rows of a frame; its label, if it has one, is not used.

        Raises DataError for a table without usable columns or with fewer than two different rows.
        """
        fmt = MixedFormat.learn(frame, settings.types)
        encoded = fmt.encode(frame)
        settings = replace(settings, rows=len(frame))
        notes = (*frame.notes, *fmt.notes, *encoded.notes)
        return cls._learned(fmt, encoded.x, settings, notes, progress)

    @classmethod
    def _learned(cls, fmt, x, settings, notes, progress=None, replayed=0) -> FittedDetector:
        how = {k: getattr(settings, k) for k in ("normal_only", "memory", "seed")}
        model, scores = learn(x, **how, progress=progress)
        if settings.window:
            scores = by_blocks(x, first=replayed, **how)
        calibration = Calibration(scores)
        threshold = by_alarm_rate(calibration, settings.alarm_rate)
        drift = None
        if min(len(x), len(scores)) >= LEAST_DRIFT:
            some = np.random.default_rng(settings.seed).permutation(len(x))[:MOST_STORED]
            drift = DriftMonitor.learn(scores, x[some], feature_names(fmt))
        return cls(fmt, model, calibration, threshold, settings, drift, notes)

    def encode(self, frame: Frame) -> tuple[np.ndarray, list[str]]:
        """Features (N, F) of rows, and notes such as columns that were ignored."""
        found = self.format.encode(frame)
        return found.x, [*frame.notes, *found.notes]

    def updated(self, frame: Frame, progress: Progress | None = None) -> FittedDetector:
        """A detector that knows the new rows beside a sample of the old ones (replay).

        The table's format stays. Windows are calibrated on the new rows alone, for the old ones are
        kept without their order. Raises UsageError for a detector that stores no rows.
        """
        if not len(self.model.rows):
            raise UsageError(
                "This detector stores no training rows (memory=False), so it cannot learn new "
                "ones without forgetting; train it with memory, or train afresh on all rows."
            )
        x, notes = self.encode(frame)
        both = np.concatenate([self.model.rows, x])
        settings = replace(self.settings, rows=self.settings.rows + len(x))
        told, replayed = (*self.notes, *notes), len(self.model.rows)
        made = self._learned(self.format, both, settings, told, progress, replayed)
        made.threshold = rethreshold(self.threshold, made)
        return made


def rethreshold(old: Threshold, new: FittedDetector) -> Threshold:
    """The same rule with the new calibration; a number chosen by hand keeps its alarm rate."""
    rate = old.settings.get("alarm_rate")
    if not isinstance(rate, float):
        rate = old.expected.get("false_alarm_rate", new.settings.alarm_rate)
    return by_alarm_rate(new.calibration, min(max(float(rate), 1e-6), 0.5))


def feature_names(fmt: MixedFormat) -> list[str]:
    """A name for each feature: the column's, with the level or role where it has several."""
    names = []
    for feature in fmt.features:
        column = fmt.columns[feature.column].name
        level = "other" if feature.level is None else feature.level
        names.append(
            {"value": column, "level": f"{column} = {level}"}.get(
                feature.role, f"{column} ({feature.role})"
            )
        )
    return names


def scores_and_values(
    fitted: FittedDetector, frame: Frame
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """(scores, p-values, features, notes) of the rows of a frame."""
    x, notes = fitted.encode(frame)
    scores = fitted.model.score(x)
    return scores, fitted.calibration.p_value(scores), x, notes


def summary(fitted: FittedDetector) -> dict[str, Any]:
    """What the detector is, for reports and `--json`."""
    t = fitted.threshold
    return {
        "rows": fitted.settings.rows,
        "columns": len(fitted.format.columns),
        "features": len(fitted.format.features),
        "normal_only": fitted.settings.normal_only,
        "stored_rows": len(fitted.model.rows),
        "calibration_rows": len(fitted.calibration),
        "threshold": {"value": t.value, "rule": t.rule, **t.settings},
    }
