"""Training into a run folder: everything that must survive a crash lies there."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lemari.checkpoint import restore, save_checkpoint
from lemari.errors import DataError, Diverged, RunError
from lemari.feed import Feed
from lemari.files import finite_or_none, read_json, sweep, write, write_json
from lemari.formats import Format, format_from_json
from lemari.lock import owned
from lemari.machine import describe, threads
from lemari.report import write_report
from lemari.sources import open_data
from lemari.store import DataReference, Fitted, Recipe, build, read_recipe
from lemari.tasks.embed import encode
from lemari.tasks.generate import settle
from lemari.tasks.plan import (
    Request,
    fingerprint,
    hold_out,
    network_of,
    recipe_for,
    sized,
)
from lemari.train import Training
from lemari.types import Epoch, Finding, Pulse, Rows, Skipped

CHECKPOINT_SECONDS = 60.0
SETTLED = 20_000  # training codes that a fitted prior is taken from
SAVED_OPTIONS = ("data_dir", "shape", "label", "size", "channels", "fit", "drop", "max_skipped")


class Interrupted(RunError):
    """Training was stopped on request; everything is saved and it can go on."""


@dataclass
class Job:
    """Data, format and recipe of one training."""

    recipe: Recipe
    format: Format
    rows: Rows
    train: np.ndarray  # positions in `rows`
    held: Rows
    held_index: np.ndarray
    notes: list[str]

    def feeds(self) -> tuple[Feed, Feed]:
        """Training rows and held-out rows as the model sees them."""
        return (
            Feed(self.rows.x, self.rows.y, self.format, self.train),
            Feed(self.held.x, self.held.y, self.format, self.held_index),
        )

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was passed over, in the training part and in a test part of its own."""
        return self.rows.skipped + (() if self.held is self.rows else self.held.skipped)

    @property
    def split(self) -> str:
        if self.recipe.data.official_split:
            return "test"
        same = len(self.train) == len(self.held_index) == len(self.rows)
        return "training rows, none held out" if same else "held out"


def prepare(data: str, request: Request, progress=None, **source_options: Any) -> Job:
    """Open the data, learn its format, and make the recipe whole."""
    source = open_data(data, progress=progress, **source_options)
    fmt, note = sized(source.learn(), network_of(request.variant, request.options))
    rows = source.load(fmt)
    reference = DataReference(
        name=str(Path(data).resolve()) if os.path.exists(data) else data,
        options={k: plain(source_options[k]) for k in SAVED_OPTIONS if source_options.get(k)},
        rows=len(rows),
        fingerprint=fingerprint(rows),
        official_split=source.official_split,
    )
    recipe = recipe_for(fmt.schema, request, reference)
    return job_of(recipe, fmt, rows, [*source.notes, *([note] if note else [])], source_options)


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value if not isinstance(
        value, Path) else str(value)  # fmt: skip


def job_of(recipe: Recipe, fmt: Format, rows: Rows, notes: list[str], options: dict) -> Job:
    """Split the rows, or take the publisher's test rows where there are some."""
    if recipe.data.official_split:
        held = open_data(recipe.data.name, split="test", **options).load(fmt)
        train, index = np.arange(len(rows)), np.arange(len(held))
    else:
        held = rows
        train, index = hold_out(len(rows), recipe.held_out, recipe.seed)
    return Job(recipe, fmt, rows, train, held, index, notes)


def reopen(recipe: Recipe, fmt: Format, progress=None, strict: bool = True) -> Job:
    """The job of a run folder. DataError when its data is gone, RunError when it has changed.

    Unless `strict`, other labels do not count as a change.
    """
    name, options = recipe.data.name, dict(recipe.data.options)
    if name is None:
        raise RunError("This model was trained on an array in memory; give the data again.")
    for key in ("shape", "size", "drop"):
        if key in options:
            options[key] = tuple(options[key])
    source = open_data(name, progress=progress, **options)
    rows = source.load(fmt)
    if fingerprint(rows) != recipe.data.fingerprint and (strict or len(rows) != recipe.data.rows):
        raise RunError(
            f"The data at {name} is not what this run was trained on ({len(rows)} rows now, "
            f"{recipe.data.rows} then, or other values); restore it, or start a new run."
        )
    return job_of(recipe, fmt, rows, list(source.notes), options)


def new_folder(out: str | None, variant: str, data: str) -> Path:
    """The folder of a new run, which must be empty or not yet there."""
    if out is None:
        stem = Path(data).stem or "data"
        base = Path("runs") / f"{stem}-{variant}-{time.strftime('%Y%m%d-%H%M%S')}"
        out, n = str(base), 1
        while Path(out).exists():
            n += 1
            out = f"{base}-{n}"
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} is there already and is never overwritten; choose another --out, or go on "
            f"with `lemari train --resume {folder}`."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise RunError(
            f"Cannot make the folder {folder} ({fault.strerror}); choose another with --out."
        ) from fault
    return folder


def start(folder: Path, job: Job) -> None:
    """Write what a resume needs, before the first step."""
    write_json(folder / "format.json", job.format.to_json())
    write_json(folder / "env.json", describe())
    skipped = [{"file": s.item, "reason": s.reason} for s in job.skipped]
    write_json(folder / "data.json", {"notes": job.notes, "skipped": skipped})
    write_json(folder / "recipe.json", job.recipe.model_dump())


def open_run(folder: Path, progress=None) -> Job:
    """The job of a folder that `start` wrote."""
    if not (folder / "recipe.json").is_file():
        raise RunError(
            f"{folder} is not a run that can go on, for it has no recipe.json; start a new run "
            "with another --out."
        )
    recipe = read_recipe(folder / "recipe.json")
    return reopen(recipe, format_from_json(read_json(folder / "format.json")), progress)


def train_in(
    folder: Path,
    job: Job,
    show: Callable[[Pulse | Epoch], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Fitted, list[dict]]:
    """Train (or go on training) in a folder that this process owns.

    Checkpoints at the end of each epoch and once a minute. Raises Interrupted, after a checkpoint,
    when `stop()` becomes true; Diverged, after saving the last good weights, when a loss is not
    finite.
    """
    sweep(folder)
    train, held = job.feeds()
    model = build(job.format.schema, job.recipe)
    training = Training(model, train, job.recipe.plan, held)
    with threads(job.recipe.threads):
        restore(folder / "checkpoints", training)
        history = keep_history(folder, training.epoch)
        try:
            for record in guarded(folder, training, stop):
                if isinstance(record, Epoch):
                    history.append(note(folder, history, record, len(train)))
                show(record)
        except Diverged as fault:
            Fitted(model.eval(), job.format, job.recipe).save(folder)
            write_json(folder / "summary.json", failure(folder, job, history, fault))
            write_report(folder)
            raise
        settle(model, encode(model, Feed(train.x, train.y, job.format, train.index[:SETTLED])))
    fitted = Fitted(model.eval(), job.format, job.recipe)
    fitted.save(folder)
    return fitted, history


def failure(folder: Path, job: Job, history: list[dict], fault: Diverged) -> dict[str, Any]:
    """The summary of a run that diverged: one finding, with the evidence and what to change."""
    evidence, _, remedy = str(fault).partition("; the weights")
    finding = Finding("diverged", "error", f"{evidence}.", f"The weights{remedy}")
    return {
        "name": folder.resolve().name,
        "variant": job.recipe.variant,
        "epochs": len(history),
        "data": {"name": Path(job.recipe.data.name or "array").name, "notes": job.notes},
        "findings": [asdict(finding)],
    }


def guarded(folder: Path, training: Training, stop: Callable[[], bool]) -> Iterator[Pulse | Epoch]:
    """The records of a training, with checkpoints between them."""
    last, good = time.monotonic(), training.good
    for record in training.run():
        if isinstance(record, Epoch):
            check_held_out(training, record, good)
            good = training.good
        yield record
        stopping = stop() and training.epoch < training.plan.epochs
        if isinstance(record, Epoch) or stopping or time.monotonic() - last > CHECKPOINT_SECONDS:
            save_checkpoint(folder / "checkpoints", training)
            last = time.monotonic()
        if stopping:
            raise Interrupted(
                f"Stopped in epoch {training.epoch + 1} at step {training.step}; all is saved. "
                f"Go on with `lemari train --resume {folder}`."
            )


def check_held_out(training: Training, epoch: Epoch, good: dict) -> None:
    """Diverged, with the last good weights put back, when the last step threw them too far.

    The losses of an epoch are those before each step, so only the held-out rows show it.
    """
    for name, value in epoch.valid.items():
        if not math.isfinite(value):
            training.model.load_state_dict(good)
            rate = training.plan.lr
            raise Diverged(
                f"The term {name!r} became {value} on the held-out rows after epoch "
                f"{epoch.number}; the weights of the last good epoch are kept. Lower the learning "
                f"rate (now {rate:g}; try {min(rate / 10, 1e-3):g})."
            )


def keep_history(folder: Path, epochs: int) -> list[dict]:
    """The epoch records so far, cut to those that the checkpoint has seen."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return [r for r in records if isinstance(r, dict) and r.get("number", epochs + 1) <= epochs]


def note(folder: Path, history: list[dict], epoch: Epoch, rows: int) -> dict:
    """One epoch, with its training rows a second, as a line of metrics.jsonl.

    The file is rewritten whole, in one step.
    """
    record = finite_or_none(asdict(epoch))
    record["lr"] = record.pop("rate")
    record["rate"] = rows / epoch.seconds if epoch.seconds else None
    lines = [json.dumps(r) for r in (*history, record)]
    write(folder / "metrics.jsonl", ("\n".join(lines) + "\n").encode())
    return record


def with_lock(folder: Path):
    """Own the folder; DataError when it does not exist."""
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; give the folder of a run.")
    return owned(folder)
