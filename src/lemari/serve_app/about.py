"""What the service says of its detector."""

from __future__ import annotations

from typing import Any

import numpy as np

from lemari.mixed.column import MixedColumn
from lemari.serve_app.limits import Limits
from lemari.tasks.detector import FittedDetector


def about(fitted: FittedDetector, limits: Limits) -> dict[str, Any]:
    """Columns, kinds, threshold, calibration, limits, and a row to start from."""
    t = fitted.threshold
    return {
        "columns": [{"name": c.name, "kind": c.kind} for c in fitted.format.columns],
        "threshold": {"value": t.value, "rule": t.rule, **dict(t.settings)},
        "calibration_rows": len(fitted.calibration),
        "training_rows": fitted.settings.rows,
        "limits": {"bytes": limits.body, "rows": limits.rows, "rows_explained": limits.explained},
        "example": {"rows": [example_row(fitted)]},
    }


def example_row(fitted: FittedDetector) -> dict[str, Any]:
    """A row of typical values, of no training row in particular."""
    return {c.name: typical(c) for c in fitted.format.columns if c.kind != "ignored"}


def typical(column: MixedColumn) -> Any:
    """The middle of a column: mean, most frequent level, or mean date."""
    if column.base == "category":
        return column.levels[0] if column.levels else None
    if column.base == "boolean":
        words = column.levels or ("False", "True")
        return words[int(column.center >= 0.5)]
    if column.base == "date":
        when = np.datetime64(round(column.center), "s")
        return str(when.astype("datetime64[D]") if column.whole else when)
    return round(column.center) if column.whole else float(f"{column.center:.4g}")
