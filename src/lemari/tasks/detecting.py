"""Train a detector from a file into a run folder, and let one learn new rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lemari.detect.calibration import as_rate
from lemari.detect.learning import Progress
from lemari.errors import DataError
from lemari.mixed.inspecting import described_frame
from lemari.tasks.detect_data import Table, check_window, marks, read_new, read_table
from lemari.tasks.detect_measure import measures, rates
from lemari.tasks.detect_report import save_run
from lemari.tasks.detect_score import WORST, Scored, records, score_table
from lemari.tasks.detector import FittedDetector, Settings, summary
from lemari.tasks.detector_files import load_detector
from lemari.tasks.detector_pictures import FittedPictures
from lemari.tasks.picture_runs import holds_images, measure_pictures, train_pictures

MOST_DESCRIBED = 500  # columns that a summary describes


@dataclass(frozen=True, slots=True)
class Order:
    """What a detector is to be trained on, and how. `held_out` is the share of the rows labelled
    normal that are kept for measuring, where training rows are normal only."""

    data: str
    label: str | None = None
    drop: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    window: int = 0
    by: str = ""
    normal_only: bool = False
    memory: bool = True
    alarm_rate: float = 0.01
    held_out: float = 0.1
    seed: int = 0

    def settings(self) -> Settings:
        """As a detector keeps it."""
        return Settings(
            self.normal_only,
            self.memory,
            as_rate(self.alarm_rate),
            self.seed,
            dict(self.types),
            self.label or "",
            self.window,
            self.by,
        )


def train(order: Order, folder: Path, progress: Progress) -> dict[str, Any]:
    """Read, fit, measure and write a run folder; returns its summary.

    Raises DataError or UsageError for data or options that cannot be used.
    """
    begin, settings = time.monotonic(), order.settings()
    check_window(order.window, order.by)
    as_rate(order.held_out, "share held out")
    if holds_images(order.data):
        return train_pictures(order, folder, progress)
    progress("reading", 0.0)
    texts = [name for name, kind in order.types.items() if kind == "category"]
    table = read_table(
        order.data,
        label=order.label,
        drop=order.drop,
        texts=[*texts, *([order.by] if order.by else [])],
        window=order.window,
        by=order.by,
    )
    y, words = (None, "") if table.frame.label is None else marks(table.frame.label)
    rows = training_rows(order, y)
    frame = table.frame if rows is None else table.frame.take(rows)
    fitted = FittedDetector.fit(frame, settings, progress)
    progress("scoring", 0.92)
    scored = score_table(fitted, table)
    told = told_of(fitted, scored, rows, order.data) | {"labels": words}
    evaluated = None
    if y is not None:
        used, split = measured_rows(y, rows)
        evaluated = (scored.scores[used], y[used])
        train_x = scored.x if rows is None else scored.x[rows]
        progress("measuring simple methods", 0.95)
        told["scores"] = measures(*evaluated, scored.x[used], train_x, order.seed, split)
        told["split"] = told["labelled"] = split
    progress("explaining", 0.98)
    told["worst"] = worst(fitted, scored, y)
    told["seconds"] = time.monotonic() - begin
    return save_run(folder, fitted, told, evaluated)


def training_rows(order: Order, y: np.ndarray | None) -> np.ndarray | None:
    """The rows to train on, None for all: with `normal_only` and labels the normal ones, without
    the share that is held out (the last ones of a series, else drawn at random)."""
    if y is None or not order.normal_only:
        return None
    normal = np.flatnonzero(y == 0)
    held = max(1, round(order.held_out * len(normal)))
    if len(normal) - held < 2:
        raise DataError(
            f"Only {len(normal)} rows are labelled normal; give at least 3 to train on and measure "
            "with."
        )
    if not order.window:
        normal = np.random.default_rng(order.seed).permutation(normal)
    return np.sort(normal[:-held])


def measured_rows(y: np.ndarray, rows: np.ndarray | None) -> tuple[np.ndarray, str]:
    """The labelled rows to measure on, and in words whether they were trained on."""
    if rows is None:
        return np.flatnonzero(y >= 0), "the rows trained on (labels unseen)"
    free = y >= 0
    free[rows] = False
    return np.flatnonzero(free), "held-out normal rows and all anomalies"


def told_of(
    fitted: FittedDetector, scored: Scored, rows: np.ndarray | None, data: str
) -> dict[str, Any]:
    """What a summary says of the data and of what was learned."""
    frame = scored.table.frame
    found = described_frame(frame, fitted.format)
    columns = found["columns"]
    trained = len(frame) if rows is None else len(rows)
    return {
        "data": {
            "name": Path(data).name,
            "rows": len(frame),
            "trained_on": trained,
            "notes": list(dict.fromkeys([*fitted.notes, *scored.notes])),
        },
        "detector": summary(fitted),
        "columns": columns[:MOST_DESCRIBED],
        "columns_left_out": max(0, len(columns) - MOST_DESCRIBED),
        "scores": [],
    }


def worst(fitted: FittedDetector, scored: Scored, y: np.ndarray | None) -> list[dict[str, Any]]:
    """The ten rows with the highest scores and, where there are labels, whether they are odd."""
    order = np.argsort(-scored.scores, kind="stable")[:WORST].tolist()
    found = records(fitted, scored, order)
    if y is not None:
        for one, i in zip(found, order):
            one["label"] = {1: "anomalous", 0: "normal"}.get(int(y[i]), "unknown")
    return found


def measure(
    fitted: FittedDetector | FittedPictures, data: str, label: str | None
) -> dict[str, Any]:
    """Scores of a detector on the labelled rows of a file, beside methods fitted to its stored
    rows. DataError for a file without labels of both classes."""
    if isinstance(fitted, FittedPictures):
        return measure_pictures(fitted, data, label)
    table = read_new(fitted, data, label)
    if table.frame.label is None:
        raise DataError(f"{table.name} holds no labels; name their column with --label.")
    scored, (y, words) = score_table(fitted, table), marks(table.frame.label)
    used = np.flatnonzero(y >= 0)
    own, x = scored.scores[used], scored.x[used]
    found = measures(own, y[used], x, fitted.model.rows, fitted.settings.seed, table.name)
    found += rates(own, y[used], fitted.threshold, table.name)
    return {"rows": len(used), "split": table.name, "labels": words, "scores": found,
            "notes": scored.notes}  # fmt: skip


def update(run: Path, data: str, folder: Path, progress: Progress) -> dict[str, Any]:
    """Let the detector of a run learn the rows of a file, and write it as a new run."""
    begin = time.monotonic()
    old = load_detector(run)
    table: Table = read_new(old, data)
    fitted = old.updated(table.frame, progress)
    scored = score_table(fitted, table)
    told = told_of(fitted, scored, None, data) | {"labels": "", "updated_from": run.resolve().name}
    told["worst"] = worst(fitted, scored, None)
    told["seconds"] = time.monotonic() - begin
    return save_run(folder, fitted, told, None)
