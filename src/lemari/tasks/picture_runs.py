"""Detectors of pictures as runs: learn what is normal in a folder, score others, show where."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from lemari import figures
from lemari.detect.calibration import discoveries
from lemari.detect.learning import Progress
from lemari.detect_html import results_page
from lemari.errors import DataError, UsageError
from lemari.formats import ImageFormat
from lemari.mixed.writing import write_rows
from lemari.restore_html import unused
from lemari.sources import open_data
from lemari.tasks.detect_data import TABLES, marks
from lemari.tasks.detect_measure import measures, rates
from lemari.tasks.detector_pictures import FittedPictures
from lemari.types import Rows

WORST, SIDE = 10, 32  # pictures that are shown, and pixels a side of simple methods


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Stored pictures x (N, C, H, W), their names, and what there is to know of them."""

    name: str
    rows: Rows
    notes: list[str]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The scores, p-values and flags (N,) of pictures."""

    pictures: Pictures
    scores: np.ndarray
    p: np.ndarray
    flagged: np.ndarray


def holds_images(data: str) -> bool:
    """Whether DATA is pictures: a folder, a file or an array of them, or the name of a set."""
    if data.lower().endswith(TABLES) or (Path(data).is_file() and not Path(data).suffix):
        return False
    return open_data(data).kind == "image"


def read_pictures(data: str, fmt: ImageFormat | None = None) -> tuple[Pictures, ImageFormat]:
    """Pictures in a format, or in the one that suits them; files that were skipped are noted."""
    fault = f"{Path(data).name} holds no pictures; this detector was made for them."
    if data.lower().endswith(TABLES) and Path(data).is_file():
        raise DataError(fault)
    source = open_data(data)
    if source.kind != "image":
        raise DataError(fault)
    learned = source.learn() if fmt is None else fmt
    assert isinstance(learned, ImageFormat)
    rows = source.load(learned)
    notes = []
    if rows.skipped:
        first, many = rows.skipped[0], len(rows.skipped)
        counted = "a file was" if many == 1 else f"{many:,} files were"
        notes.append(f"{counted} skipped: {first.item} ({first.reason})")
    return Pictures(Path(data).name, rows, notes), learned


def format_of(fitted: FittedPictures) -> ImageFormat:
    """The form in which a detector takes pictures."""
    shape = tuple(int(side) for side in fitted.model.config["shape"])
    kind, levels = {255.0: ("uint8", 255), 65535.0: ("uint16", 65535)}.get(
        fitted.high - fitted.low, ("float32", 0)
    )
    return ImageFormat(shape, dtype=kind, levels=levels, low=fitted.low, high=fitted.high)  # pyright: ignore[reportArgumentType]


def labels_of(pictures: Pictures, normal: str | None) -> tuple[np.ndarray | None, str]:
    """(y, words) as `marks` gives them, from class folders; y is None where there are no labels.

    `normal` names the class that is normal; without it a class must be called so.
    """
    classes, y = pictures.rows.classes, pictures.rows.y
    if y is None or not classes:
        if normal:
            raise DataError(f"{pictures.name} has no class folders, so none is called {normal!r}.")
        return None, ""
    if normal is None:
        try:
            return marks([classes[i] if i >= 0 else None for i in y], guess=False)
        except DataError:
            pictures.notes.append(
                "the class folders are not used, for none is called normal; name it with --label"
            )
            return None, ""
    if normal not in classes:
        raise UsageError(f"There is no class {normal!r}; there are {', '.join(classes[:20])}.")
    odd = np.where(y < 0, -1, (y != classes.index(normal)).astype(int)).astype(np.int8)
    return odd, f"anomalous: all but '{normal}', {int((odd == 1).sum()):,} of {len(y):,} pictures"


def train_pictures(order: Any, folder: Path, progress: Progress) -> dict[str, Any]:
    """Read, fit, measure and write a run folder; returns its summary."""
    from lemari.tasks.detect_report import save_run
    from lemari.tasks.detecting import measured_rows, training_rows

    if order.window or order.by or order.types or order.drop:
        raise UsageError("Pictures have no columns; leave out --window, --by, --types and --drop.")
    begin = time.monotonic()
    progress("reading", 0.0)
    pictures, fmt = read_pictures(order.data)
    y, words = labels_of(pictures, order.label)
    kept = training_rows(order, y)
    x = pictures.rows.x
    fitted = FittedPictures.fit(x if kept is None else x[kept], order.settings(), progress,
                                (fmt.low, fmt.high))  # fmt: skip
    progress("scoring", 0.9)
    found = score_pictures(fitted, pictures)
    told: dict[str, Any] = {
        "data": {"name": pictures.name, "rows": len(x), "notes": pictures.notes,
                 "trained_on": len(x) if kept is None else len(kept)},
        "labels": words, "columns": [], "columns_left_out": 0, "scores": [],
    }  # fmt: skip
    evaluated = None
    if y is not None:
        used, split = measured_rows(y, kept)
        evaluated = (found.scores[used], y[used])
        progress("measuring simple methods", 0.95)
        plain = small(x, fmt)
        train = plain if kept is None else plain[kept]
        told["scores"] = measures(*evaluated, plain[used], train, order.seed, split)
        told["split"] = told["labelled"] = split
    worst = np.argsort(-found.scores, kind="stable")[:WORST]
    told["worst"] = records(fitted, found, worst, y)
    told["seconds"] = time.monotonic() - begin
    draw_worst(fitted, found, worst, folder / "figures" / "worst.png")
    return save_run(folder, fitted, told, evaluated)


def small(x: np.ndarray, fmt: ImageFormat) -> np.ndarray:
    """Pixels (N, D) for simple methods, means of blocks where a side is above 32."""
    height, width = (min(side, SIDE) for side in x.shape[2:])
    parts = []
    for first in range(0, len(x), 1000):
        part = fmt.unit(torch.from_numpy(x[first : first + 1000].astype(np.float32)))
        parts.append(F.adaptive_avg_pool2d(part, (height, width)).flatten(1).numpy())
    return np.concatenate(parts).astype(np.float64)


def score_pictures(fitted: FittedPictures, pictures: Pictures) -> Found:
    """Score all pictures."""
    scores = fitted.score(pictures.rows.x)
    return Found(pictures, scores, fitted.calibration.p_value(scores),
                 fitted.threshold.flags(scores))  # fmt: skip


def records(
    fitted: FittedPictures, found: Found, index: Sequence[int] | np.ndarray, y=None
) -> list[dict[str, Any]]:
    """What there is to say of some pictures: score, and where they are most unusual."""
    if not len(index):
        return []
    heat = fitted.heat(found.pictures.rows.x[np.asarray(index)])
    told = []
    for i, map_ in zip(index, heat):
        row, column = np.unravel_index(int(map_.argmax()), map_.shape)
        usual = float(np.median(map_))
        times = f", {map_.max() / usual:.1f} times its median" if usual > 0 else ""
        text = f"most unusual at row {row + 1}, column {column + 1} of " + "x".join(
            map(str, map_.shape)
        )
        one = {
            "file": found.pictures.name, "row": int(i) + 1, "name": found.pictures.rows.ids[i],
            "score": float(found.scores[i]), "p_value": float(found.p[i]),
            "flagged": bool(found.flagged[i]), "reasons": [{"text": text + times}], "beside": [],
        }  # fmt: skip
        if y is not None:
            one["label"] = {1: "anomalous", 0: "normal"}.get(int(y[i]), "unknown")
        told.append(one)
    return told


def draw_worst(fitted: FittedPictures, found: Found, index: np.ndarray, path: Path) -> None:
    """The worst pictures, each over the map of where it is unusual."""
    some = found.pictures.rows.x[index]
    unit = format_of(fitted).unit(torch.from_numpy(some.astype(np.float32))).numpy()
    titles = [f"{found.scores[i]:.3g}" for i in index]
    path.parent.mkdir(parents=True, exist_ok=True)
    figures.save(figures.heat_strip(np.moveaxis(unit, 1, -1), fitted.heat(some), titles), path)


def detect_pictures(
    fitted: FittedPictures, run: Path, names: Sequence[str], how: Any, say: Callable[[str], None]
) -> dict[str, Any]:
    """Score folders and files of pictures; returns what was found, and writes it where asked."""
    if how.watch:
        raise UsageError("Drift is watched in tables only; leave out --watch for pictures.")
    every = []
    for name in names:
        say(f"scoring {Path(name).name}")
        every.append(score_pictures(fitted, read_pictures(name, format_of(fitted))[0]))
    told: list[dict[str, Any]] = []
    for one in every:
        order = np.argsort(-one.scores, kind="stable")
        told += records(fitted, one, order[: max(WORST, min(200, int(one.flagged.sum())))])
    told.sort(key=lambda r: -r["score"])
    result: dict[str, Any] = {
        "run": run.resolve().name,
        "files": [one.pictures.name for one in every],
        "rows": sum(len(one.scores) for one in every),
        "flagged": int(sum(one.flagged.sum() for one in every)),
        "threshold": fitted.threshold.value,
        "worst": told,
        "notes": [note for one in every for note in one.pictures.notes],
    }
    p = np.concatenate([one.p for one in every])
    if how.fdr is not None:
        result |= {"fdr": how.fdr, "discoveries": int(discoveries(p, how.fdr).sum())}
    if how.output:
        write_found(fitted, every, p, how, result)
    return result


def write_found(fitted, every: list[Found], p: np.ndarray, how: Any, result: dict) -> None:
    """The file of results; beside it the page, and the picture of the worst ones."""
    columns: dict[str, Any] = {
        "file": [one.pictures.name for one in every for _ in one.scores],
        "picture": [name for one in every for name in one.pictures.rows.ids],
        "score": np.concatenate([one.scores for one in every]),
        "p_value": p,
        "flagged": np.concatenate([one.flagged for one in every]),
    }
    if how.fdr is not None:
        columns["discovery"] = discoveries(p, how.fdr)
    out = write_rows(how.output, columns)
    first = max(every, key=lambda one: one.scores.max(initial=-np.inf))
    drawn = unused(out.with_suffix(".png"))
    draw_worst(fitted, first, np.argsort(-first.scores, kind="stable")[:WORST], drawn)
    told = result | {"worst": result["worst"][:50], "picture": drawn}
    page = results_page(unused(out.with_suffix(".html")), told)
    result |= {"output": str(out.resolve()), "page": str(page.resolve()),
               "picture": str(drawn.resolve())}  # fmt: skip


def labelled_scores(
    fitted: FittedPictures, data: str, label: str | None
) -> tuple[Found, np.ndarray, str]:
    """Scores of pictures with labels (N,), and in words which are anomalous."""
    pictures, _ = read_pictures(data, format_of(fitted))
    y, words = labels_of(pictures, label)
    if y is None:
        raise DataError(
            f"{pictures.name} holds no labels; give class folders of which one is called normal, "
            "or name the normal one with --label."
        )
    return score_pictures(fitted, pictures), y, words


def measure_pictures(fitted: FittedPictures, data: str, label: str | None) -> dict[str, Any]:
    """Scores of a detector on labelled pictures."""
    found, y, words = labelled_scores(fitted, data, label)
    known = np.flatnonzero(y >= 0)
    own, name = found.scores[known], found.pictures.name
    nothing = np.empty((0, 1))
    told = measures(own, y[known], np.empty((len(known), 1)), nothing, fitted.settings.seed, name)
    told += rates(own, y[known], fitted.threshold, name)
    return {"rows": len(known), "split": name, "labels": words, "scores": told,
            "notes": found.pictures.notes}  # fmt: skip


def summary(fitted: FittedPictures) -> dict[str, Any]:
    """What the detector is, for reports and `--json`."""
    t, shape = fitted.threshold, [int(side) for side in fitted.model.config["shape"]]
    return {
        "rows": fitted.settings.rows,
        "size": shape,
        "columns": int(np.prod(shape)),
        "features": fitted.model.cells.features,
        "normal_only": fitted.settings.normal_only,
        "stored_rows": len(fitted.model.nearest.rows),
        "calibration_rows": len(fitted.calibration),
        "threshold": {"value": t.value, "rule": t.rule, **t.settings},
    }
