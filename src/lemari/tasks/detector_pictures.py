"""A fitted detector of unusual pictures, with its calibration, threshold and heat maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lemari.detect.calibration import Calibration
from lemari.detect.learning import Progress
from lemari.detect.pictures import PictureDetector
from lemari.detect.thresholds import Threshold, by_alarm_rate
from lemari.errors import DataError, UsageError
from lemari.files import read_json
from lemari.tasks.detector import FittedDetector, Settings
from lemari.tasks.detector_files import (
    check_detector,
    kept_threshold,
    load_detector,
    ours,
    read_settings,
    write_parts,
)
from lemari.weights import read_tensors

CHANNELS = (1, 3, 4)


@dataclass(eq=False)
class FittedPictures:
    """Scores and heat maps of pictures; `low` and `high` are the values that mean black and white.

    The same parts as a `FittedDetector` where they make sense for pictures.
    """

    model: PictureDetector
    calibration: Calibration
    threshold: Threshold
    settings: Settings
    low: float
    high: float

    @classmethod
    def fit(
        cls,
        X: Any,
        settings: Settings,
        progress: Progress | None = None,
        ends: tuple[float, float] | None = None,
    ) -> FittedPictures:
        """From pictures (N, H, W), (N, H, W, C) or (N, C, H, W); UsageError without memory.

        `ends` are the values that mean black and white, found in the pictures when left out.
        """
        if not settings.memory:
            raise UsageError("A detector of pictures stores features of them; leave memory on.")
        x = channels_first(X)
        if not len(x):
            raise DataError("There are no pictures; give at least two different ones.")
        low, high = ends or value_range(x)
        model, scores = PictureDetector.learn(
            scaled(x, low, high), settings.normal_only, settings.seed, progress
        )
        calibration = Calibration(scores)
        threshold = by_alarm_rate(calibration, settings.alarm_rate)
        return cls(model, calibration, threshold, replace(settings, rows=len(x)), low, high)

    def score(self, X: Any) -> np.ndarray:
        """How unusual each picture is, (N,); higher is more anomalous."""
        return self.model.score(scaled(channels_first(X), self.low, self.high))

    def heat(self, X: Any) -> np.ndarray:
        """Where each picture is unusual, (N, H, W) of at least 0; about 2 where it is as usual."""
        return self.model.heat(scaled(channels_first(X), self.low, self.high))

    def save(self, folder: Path | str) -> Path:
        """Write a folder as `save_detector` does."""
        kept = {"kind": "pictures", "low": self.low, "high": self.high, **self.model.config}
        arrays = {f"model.{k}": v for k, v in self.model.tensors().items()}
        arrays["calibration"] = self.calibration.scores
        return write_parts(folder, self.settings, kept, arrays, self.threshold)

    @classmethod
    def load(cls, folder: Path | str, mend: bool = False) -> FittedPictures:
        """Read a folder back as `load_detector` does. Raises ModelFileError or RunError."""
        folder = Path(folder)
        check_detector(folder)
        settings = read_settings(folder / "detector.json")
        kept = read_json(folder / "format.json")
        tensors = {k: v.numpy() for k, v in read_tensors(folder / "weights.safetensors").items()}
        with ours(folder):
            low, high = float(kept.pop("low")), float(kept.pop("high"))
            if kept.pop("kind") != "pictures" or not low < high:
                raise ValueError("it is not a format of pictures")
            parts = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
            model = PictureDetector.from_tensors(kept, parts)
            calibration = Calibration(tensors["calibration"])
        threshold = kept_threshold(folder, calibration, settings, mend)
        return cls(model, calibration, threshold, settings, low, high)


def holds_pictures(folder: Path | str) -> bool:
    """Whether a saved detector is one of pictures."""
    fmt = read_json(Path(folder) / "format.json")
    return isinstance(fmt, dict) and fmt.get("kind") == "pictures"


def load_any(folder: Path | str, mend: bool = False) -> FittedPictures | FittedDetector:
    """The detector of a folder, of pictures or of rows; with `mend` also with a threshold.json
    that is broken. Raises ModelFileError or RunError."""
    check_detector(Path(folder))
    load = FittedPictures.load if holds_pictures(folder) else load_detector
    return load(folder, mend)


def channels_first(X: Any) -> np.ndarray:
    """Pictures (N, C, H, W), C 1, 3 or 4; DataError for another shape."""
    x = np.asarray(X)
    if x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS:
        x = np.moveaxis(x, 3, 1)
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[1] not in CHANNELS or x.dtype.kind not in "buif":
        raise DataError(
            f"Pictures of shape {np.shape(X)} cannot be used; give numbers (N, H, W) for gray, "
            "(N, H, W, C) or (N, C, H, W) for colour."
        )
    return x


def value_range(x: np.ndarray) -> tuple[float, float]:
    """Black and white: of the type for whole numbers, 0 and 1 for such numbers, else as found."""
    if x.dtype.kind in "ui":
        low, high = float(x.min()), float(x.max())
        limit = np.iinfo(x.dtype)
        return (
            (0.0, float(limit.max)) if limit.bits <= 16 and low >= 0 else (low, max(high, low + 1))
        )
    low, high = float(np.min(x)), float(np.max(x))
    if not np.isfinite([low, high]).all():
        raise DataError("The pictures hold values that are not finite; mend or leave those out.")
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, max(high, low + 1e-6))


def check_values(x: np.ndarray, low: float, high: float) -> None:
    """DataError for pictures on another scale than that of training."""
    if not x.size or not np.isfinite(x).all():
        return  # the model says where
    first, last, span = float(x.min()), float(x.max()), high - low
    parts = x.dtype.kind == "f" and span >= 50 and first >= 0 and 0 < last <= 1
    if parts or first < low - span or last > high + span:
        raise DataError(
            f"Values from {first:.6g} to {last:.6g} were given, but black was {low:g} and white "
            f"{high:g} in training; bring them to that scale first."
        )


def scaled(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values in [0, 1]; bytes as they are where black is 0 and white 255."""
    if x.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return x
    check_values(x, low, high)
    return np.clip((x.astype(np.float32) - low) / (high - low), 0, 1)
