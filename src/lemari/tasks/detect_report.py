"""What a detector's run folder says: summary, threshold picture, card and report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from lemari.detect.errors_table import ErrorRow, curve_points, error_table
from lemari.detect.threshold_file import write_threshold
from lemari.detect.thresholds import Threshold
from lemari.detect_html import report
from lemari.errors import ModelFileError
from lemari.figures.detection import threshold_picture
from lemari.figures.writing import save
from lemari.files import finite_or_none, read_json, write, write_json
from lemari.machine import installed
from lemari.mixed.writing import write_rows
from lemari.tasks.detect_measure import AT, rates
from lemari.tasks.detector import FittedDetector
from lemari.tasks.detector import summary as rows_summary
from lemari.tasks.detector_files import save_detector
from lemari.tasks.detector_pictures import FittedPictures, load_any
from lemari.tasks.picture_runs import summary as pictures_summary

SUMMARY, EVALUATED, PICTURE = "metrics/summary.json", "metrics/labelled.parquet", "threshold.png"
Labelled = tuple[np.ndarray, np.ndarray]  # scores (N,) and labels (N,), 1 for anomalies
Fitted = FittedDetector | FittedPictures


def save_run(
    folder: Path, fitted: Fitted, told: dict[str, Any], labelled: Labelled | None
) -> dict[str, Any]:
    """Write the detector and, after it, all that tells of it; returns the summary."""
    if isinstance(fitted, FittedPictures):
        fitted.save(folder)
    else:
        save_detector(fitted, folder)
    if labelled is not None:
        write_labelled(folder, labelled)
    found = {"kind": "detector", "name": folder.resolve().name, "version": installed("lemari")}
    return write_report(folder, fitted, found | told)


def write_labelled(folder: Path, labelled: Labelled) -> None:
    """Keep scores and labels, for the picture and table of both errors."""
    scores, y = labelled
    write_rows(folder / EVALUATED, {"score": scores, "anomalous": y.astype(np.int8)})


def read_labelled(folder: Path) -> Labelled | None:
    """The kept scores and labels; None where there are none. ModelFileError for another file."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / EVALUATED
    if not path.is_file():
        return None
    try:
        table = parquet.read_table(io.BytesIO(path.read_bytes()))
        scores, y = (table.column(n).to_numpy() for n in ("score", "anomalous"))
        if not np.isfinite(scores).all() or not np.isin(y, (0, 1)).all():
            raise ValueError("other values")
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as fault:
        raise ModelFileError(
            f"{path} was changed ({str(fault)[:80]}); remove it to go on without labelled rows."
        ) from fault
    return scores, y


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run; ModelFileError when it is no record."""
    found = read_json(folder / SUMMARY)
    if not isinstance(found, dict):
        raise ModelFileError(f"{folder / SUMMARY} was changed; train again.")
    return found


def errors_of(fitted: Fitted, labelled: Labelled | None) -> list[ErrorRow]:
    """Both errors at the usual alarm rates and at the threshold itself."""
    scores, y = labelled or (None, None)
    usual = [row.threshold for row in error_table(fitted.calibration)]
    points = np.append(usual, fitted.threshold.value)
    return error_table(fitted.calibration, scores, y, points)


def write_report(folder: Path, fitted: Fitted, told: dict[str, Any]) -> dict[str, Any]:
    """Draw the picture and write summary, card and report of a saved detector."""
    labelled = read_labelled(folder)
    told = told | {"detector": summarised(fitted), "threshold": described(fitted.threshold)}
    told["errors"] = [row.as_dict() for row in errors_of(fitted, labelled)]
    told["worst"] = [w | {"flagged": w["score"] > fitted.threshold.value} for w in told["worst"]]
    if labelled is not None:
        kept = [score for score in told["scores"] if AT not in score["name"]]
        told["scores"] = kept + rates(*labelled, fitted.threshold, str(told.get("labelled", "")))
    told = finite_or_none(told)
    write_json(folder / SUMMARY, told)
    draw(folder, fitted, labelled)
    write(folder / "card.md", card(told).encode())
    report(folder, told)
    return told


def summarised(fitted: Fitted) -> dict[str, Any]:
    """What the detector is, in plain values."""
    pictures = isinstance(fitted, FittedPictures)
    return pictures_summary(fitted) if pictures else rows_summary(fitted)


def described(threshold: Threshold) -> dict[str, Any]:
    """A threshold as plain values."""
    return {
        "value": threshold.value,
        "rule": threshold.rule,
        "settings": dict(threshold.settings),
        "expected": dict(threshold.expected),
        "note": threshold.note,
    }


def draw(folder: Path, fitted: Fitted, labelled: Labelled | None) -> Path:
    """The picture of the scores, the threshold and both errors."""
    scores, y = labelled or (None, None)
    points = curve_points(fitted.calibration, scores)
    figure = threshold_picture(
        fitted.calibration.scores,
        fitted.threshold.value,
        error_table(fitted.calibration, scores, y, points),
        anomalous=None if scores is None or y is None else scores[y == 1],
        rule=fitted.threshold.rule.replace("-", " "),
    )
    return save(figure, folder / "figures" / PICTURE)


def show_threshold(folder: Path, fitted: Fitted) -> dict[str, Any]:
    """The threshold of a run and both its errors; writes nothing."""
    rows = errors_of(fitted, read_labelled(folder))
    return {"threshold": described(fitted.threshold), "errors": [row.as_dict() for row in rows]}


def rewrite(folder: Path) -> dict[str, Any]:
    """Draw and write again all that tells of a detector, with threshold.json as it is now."""
    return write_report(folder, load_any(folder), read_summary(folder))


def change_threshold(
    folder: Path,
    fitted: Fitted,
    threshold: Threshold,
    labelled: Labelled | None = None,
    source: str = "",
) -> dict[str, Any]:
    """Put another threshold into a run, and draw and write what shows it.

    `labelled` rows, from `source`, take the place of those that the run has.
    """
    fitted.threshold, told = threshold, read_summary(folder)
    write_threshold(folder, threshold)
    if labelled is not None:
        write_labelled(folder, labelled)
        told["labelled"] = source
    return write_report(folder, fitted, told)


def card(told: dict[str, Any]) -> str:
    """Markdown on what the detector is, how good it is, and its limits."""
    data, made = told["data"], told["detector"]
    what, unit = ("pictures", "values") if "size" in made else ("rows", "columns")
    lines = [
        f"# {told['name']}",
        "",
        f"A detector of anomalous {what}, trained by Lemari {told['version']} on "
        f"{data['trained_on']:,} {what} of {data['name']} ({made['columns']:,} {unit}).",
        "",
        "## Threshold",
        "",
        f"{what.capitalize()} that score above {told['threshold']['value']:.4g} are flagged (rule: "
        f"{told['threshold']['rule']}).",
        "",
    ]
    if told["scores"]:
        lines += ["## Scores", ""]
        lines += [f"- {s['name']}: {s['value']:.4g} ({s['split']})" for s in told["scores"]] + [""]
    return "\n".join(
        [
            *lines,
            "## Use and limits",
            "",
            f"Made for {what} like those it was trained on. What is flagged is unusual, which is "
            "not the same as wrong; what is not flagged may still be wrong. The rate of false "
            f"alarms holds as long as normal {what} stay as they were"
            + ("; watch for drift, and update." if what == "rows" else "."),
            "",
        ]
    )
