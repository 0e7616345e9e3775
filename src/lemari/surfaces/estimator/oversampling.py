"""`Oversampler`: more rows of rare classes, in the manner of imbalanced-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d

from lemari.errors import UsageError
from lemari.machine import threads
from lemari.mixed.cells import Text
from lemari.mixed.frame import Frame, read_frame
from lemari.tasks.oversample import MadeClass, oversample


class Oversampler(BaseEstimator):
    """Makes new rows for rare classes with a conditional VAE of the table.

    Parameters: `target`, "equal" (as many rows as the largest class), a number of rows, or a part
    of the largest class in (0, 1]; `only`, the classes that get rows (default: all that are
    below the target); `types`, kinds of columns by name ("numeric", "boolean", "category", "date",
    "ignored"); `random_state`.

    Resample the training rows only: a test with made rows in it says nothing.
    """

    report_: tuple[MadeClass, ...]

    def __init__(
        self,
        target: str | int | float = "equal",
        *,
        only: Any = None,
        types: Mapping[str, str] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.target = target
        self.only = only
        self.types = types
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The rows of X and their classes y (N,), with the new rows after them.

        X is an array (N, D) or a pandas data frame and comes back as one, with its column types;
        the index of a data frame starts anew. `report_` then says what was made of each class.
        Raises UsageError for other data, DataError where a class has a single row.
        """
        is_pandas = hasattr(X, "iloc") and hasattr(X, "columns")
        if not is_pandas and not isinstance(X, np.ndarray | list | tuple):
            raise UsageError(
                f"X is of type {type(X).__name__}; give an array (N, D) or a pandas data frame."
            )
        labels = column_or_1d(y)
        frame = read_frame(X)
        with threads(1):
            made = oversample(
                frame,
                labels.tolist(),
                target=self.target,
                only=[] if self.only is None else np.atleast_1d(self.only).tolist(),
                types={**_categories(X, is_pandas), **(self.types or {})},
                seed=self._seed(),
            )
        self.report_ = made.classes
        rows = _pandas_rows(X, made.rows) if is_pandas else _array_rows(X, made.rows)
        return rows, _more_labels(y, labels, made.rows.label or [])

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))


def _categories(X: Any, is_pandas: bool) -> dict[str, str]:
    """Columns that pandas itself calls categories, also those of numbers."""
    if not is_pandas:
        return {}
    return {str(n): "category" for n, kind in X.dtypes.items() if str(kind) == "category"}


def _array_rows(X: Any, rows: Frame) -> np.ndarray:
    given = np.asarray(X)
    if not len(rows):
        return given.copy()
    new = rows.array
    if new is None:
        columns = [c.cells() if isinstance(c, Text) else c for c in rows.columns]
        new = np.column_stack([np.asarray(c, given.dtype) for c in columns])
    return np.concatenate([given, new.astype(given.dtype, copy=False)])


def _pandas_rows(X: Any, rows: Frame) -> Any:
    import pandas as pd

    if not len(rows):
        return X.reset_index(drop=True)
    columns = [_series(c, kind) for c, kind in zip(rows.columns, X.dtypes)]
    new = pd.concat(columns, axis=1)
    new.columns = X.columns
    return pd.concat([X, new], ignore_index=True)


def _series(column: Any, kind: Any) -> Any:
    """New cells as a pandas series of the type that the given column has."""
    import pandas as pd

    if isinstance(column, Text):
        cells = pd.Series(column.cells(), dtype=object)
        if str(kind) in ("bool", "boolean"):
            cells = cells.map({"True": True, "False": False})
        return cells.astype(kind)
    if isinstance(kind, pd.DatetimeTZDtype):
        return pd.Series(column).dt.tz_localize("UTC").astype(kind)
    if getattr(kind, "kind", "") == "m":
        return pd.Series(pd.to_timedelta(column, unit="s")).astype(kind)
    return pd.Series(column).astype(kind)


def _more_labels(y: Any, labels: np.ndarray, new: list[Any]) -> Any:
    """All labels in the type that y came in."""
    if hasattr(y, "iloc") and getattr(y, "ndim", 0) == 1:
        import pandas as pd

        return pd.concat([y, pd.Series(new, dtype=y.dtype, name=y.name)], ignore_index=True)
    return np.concatenate([labels, np.array(new, labels.dtype)])
