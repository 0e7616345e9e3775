"""`Detector`: anomalies in tables, with scikit-learn's contract for outlier detection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from warnings import warn

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from lemari.errors import UsageError
from lemari.machine import cores, threads
from lemari.mixed.frame import Frame, read_frame
from lemari.tasks.choosing import chosen
from lemari.tasks.detector import FittedDetector, Settings
from lemari.tasks.detector_files import save_detector
from lemari.tasks.detector_pictures import FittedPictures, load_any
from lemari.tasks.reasons import Reason, reasons

RULES = ("alarm_rate", "costs", "labels", "automatic", "value")


class Detector(OutlierMixin, BaseEstimator):
    """Anomaly detector for tables of any column types.

    Parameters: `normal_only`, the training rows are known to be normal (more sensitive; otherwise
    some may be anomalous); `memory`, keep training rows in the model (more accurate; needed for
    `update`); `alarm_rate`, the share of normal rows that may be flagged; `types`, kinds of columns
    by name ("numeric", "boolean", "category", "date", "ignored"); `threads`; `random_state`.

    X may be pictures as an array (N, H, W), (N, H, W, C) or (N, C, H, W), or rows: an array
    (N, D), a DataFrame, an Arrow table, a dict of columns, or the path of a CSV, Parquet or NumPy
    file. Columns are matched by name where there are names.
    """

    def __init__(
        self,
        *,
        normal_only: bool = False,
        memory: bool = True,
        alarm_rate: float = 0.01,
        types: Mapping[str, str] | None = None,
        threads: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.normal_only = normal_only
        self.memory = memory
        self.alarm_rate = alarm_rate
        self.types = types
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is normal in the rows of X; y is not used."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        settings = Settings(
            bool(self.normal_only),
            bool(self.memory),
            float(self.alarm_rate),
            int(seed),
            dict(self.types or {}),
        )
        if _pictures(X):
            with threads(self.threads or cores()):
                self.fitted_ = FittedPictures.fit(X, settings)
            self.n_features_in_ = int(np.prod(np.shape(X)[1:]))
            return self
        frame = self._frame(X, fitting=True)
        with threads(self.threads or 1):
            self.fitted_ = FittedDetector.fit(frame, settings)
        return self

    def anomaly_score(self, X: Any) -> np.ndarray:
        """How anomalous each row is, (N,) float64; higher is more anomalous."""
        check_is_fitted(self)
        if isinstance(self.fitted_, FittedPictures):
            with threads(self.threads or cores()):
                return self.fitted_.score(X)
        return self._scored(X)[0]

    def score_samples(self, X: Any) -> np.ndarray:
        """How normal each row is, (N,): minus the anomaly score."""
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Threshold minus anomaly score, (N,): below 0 for flagged rows."""
        check_is_fitted(self)
        return self.fitted_.threshold.value - self.anomaly_score(X)

    def predict(self, X: Any) -> np.ndarray:
        """+1 for normal rows and -1 for flagged ones, (N,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_value(self, X: Any) -> np.ndarray:
        """The share of normal rows that score at least as high, (N,), in (0, 1] (conformal)."""
        scores = self.anomaly_score(X)
        return self.fitted_.calibration.p_value(scores)

    def explain(self, X: Any, most: int = 3) -> list[list[Reason]]:
        """For each row the columns that most explain its score, with what was expected there.

        Raises UsageError for pictures, which have `heat_map`.
        """
        check_is_fitted(self)
        if isinstance(self.fitted_, FittedPictures):
            raise UsageError("Pictures have no columns; use heat_map to see where they differ.")
        _, x, frame = self._scored(X)
        with threads(self.threads or cores()):
            return reasons(self.fitted_, x, most, frame)

    def heat_map(self, X: Any) -> np.ndarray:
        """Where pictures are unusual: (N, H, W), at least 0; UsageError for tables."""
        check_is_fitted(self)
        if not isinstance(self.fitted_, FittedPictures):
            raise UsageError("Heat maps are for pictures; use explain for tables.")
        with threads(self.threads or cores()):
            return self.fitted_.heat(X)

    def set_threshold(self, X: Any = None, y: Any = None, **rule: Any) -> Self:
        """Choose the threshold anew, without fitting again; one of these rules:

        alarm_rate=0.01 (share of normal rows that may be flagged); costs=(miss, alarm) with
        share= (of anomalies); labels with X, y and goal="f1", "precision=0.9" or "recall=0.9";
        automatic=True with X; value=3.2. Raises UsageError for anything else.
        """
        check_is_fitted(self)
        scores = None if X is None else self.anomaly_score(X)
        self.fitted_.threshold = chosen(self.fitted_, scores, y, rule)
        return self

    def update(self, X: Any, y: Any = None) -> Self:
        """Learn new rows beside a sample of the old ones, and calibrate again.

        Raises UsageError for pictures and without stored rows.
        """
        check_is_fitted(self)
        if isinstance(self.fitted_, FittedPictures):
            raise UsageError("A detector of pictures cannot be updated; fit it on all of them.")
        with threads(self.threads or 1):
            self.fitted_ = self.fitted_.updated(self._frame(X))
        return self

    def save(self, path: str | Path) -> Path:
        """Write the detector as a folder that `lemari.load` reads."""
        check_is_fitted(self)
        if isinstance(self.fitted_, FittedPictures):
            return self.fitted_.save(path)
        return save_detector(self.fitted_, path)

    @property
    def threshold_(self) -> float:
        """Rows that score above it are flagged."""
        check_is_fitted(self)
        return self.fitted_.threshold.value

    @property
    def offset_(self) -> float:
        """decision_function = score_samples - offset_."""
        return -self.threshold_

    def _scored(self, X: Any) -> tuple[np.ndarray, np.ndarray, Frame]:
        check_is_fitted(self)
        frame, fitted = self._frame(X), self._of_rows()
        x, notes = fitted.encode(frame)
        for note in notes:
            warn(note, stacklevel=3)
        with threads(self.threads or cores()):
            return fitted.model.score(x), x, frame

    def _of_rows(self) -> FittedDetector:
        """What was fitted; UsageError when it was fitted to pictures."""
        if isinstance(self.fitted_, FittedPictures):
            raise UsageError("This detector is for pictures; give an array of them.")
        return self.fitted_

    def _frame(self, X: Any, fitting: bool = False) -> Frame:
        """Plain number arrays are checked as scikit-learn does it; all else is read by name."""
        if issparse(X):
            raise TypeError("Sparse data is not supported; give dense rows with X.toarray().")
        if isinstance(X, str | Path | Mapping) or _is_table(X):
            texts = () if fitting else self._of_rows().format.texts
            frame = read_frame(X, texts=tuple(self.types or ()) if fitting else texts)
            if fitting:
                self.n_features_in_ = len(frame.names)
                if frame.named:
                    self.feature_names_in_ = np.array(frame.names, object)
            return frame
        return read_frame(validate_data(self, X, reset=fitting, dtype="numeric"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags


def _pictures(X: Any) -> bool:
    """Whether it is an array of more than two dimensions."""
    return isinstance(X, np.ndarray) and X.ndim > 2


def _is_table(X: Any) -> bool:
    return hasattr(X, "__dataframe__") or hasattr(X, "__arrow_c_stream__")


def load(path: str | Path) -> Detector:
    """The detector saved in a folder."""
    fitted = load_any(path)
    told = fitted.settings
    made = Detector(
        normal_only=told.normal_only,
        memory=told.memory,
        alarm_rate=told.alarm_rate,
        types=dict(told.types) or None,
        random_state=told.seed,
    )
    made.fitted_ = fitted
    if isinstance(fitted, FittedPictures):
        made.n_features_in_ = int(np.prod(fitted.model.config["shape"]))
        return made
    made.n_features_in_ = len(fitted.format.columns)
    if fitted.format.named:
        made.feature_names_in_ = np.array(fitted.format.names, object)
    return made
