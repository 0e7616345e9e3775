"""Training into a run folder: everything that must survive a crash lies there."""

from __future__ import annotations

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
from lemari.files import read_json, sweep, write_json
from lemari.formats import Format, format_from_json
from lemari.lock import owned
from lemari.machine import describe, threads
from lemari.report import write_report
from lemari.sources import open_data
from lemari.store import DataReference, Fitted, Recipe, build, read_recipe
from lemari.tasks.generate import settle
from lemari.tasks.history import keep_history, note
from lemari.tasks.pairing import load_pairs
from lemari.tasks.plan import (
    Request,
    fingerprint,
    hold_out,
    network_of,
    recipe_for,
    set_apart,
    sized,
)
from lemari.train import Training
from lemari.types import Epoch, Finding, Pulse, Rows, Skipped

CHECKPOINT_SECONDS = 60.0
SETTLED = 20_000  # training codes that a fitted prior is taken from
SAVED_OPTIONS = ("data_dir", "shape", "label", "size", "channels", "fit", "drop", "max_skipped",
                 "patch", "degraded")  # fmt: skip


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
    valid_index: np.ndarray | None = None  # positions in `rows` that early stopping looks at
    given: Rows | None = None  # the degraded pictures that go with `rows`

    def feed(self, rows: Rows, index: np.ndarray) -> Feed:
        given = None if self.given is None else self.given.x
        return Feed(rows.x, rows.y, self.format, index, given=given)

    def feeds(self) -> tuple[Feed, Feed]:
        """Training rows and held-out rows as the model sees them."""
        return self.feed(self.rows, self.train), self.feed(self.held, self.held_index)

    def watched(self) -> Feed:
        """The rows for the loss at each epoch's end: validation rows, or else held-out rows."""
        if self.valid_index is None:
            return self.feeds()[1]
        return self.feed(self.rows, self.valid_index)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was passed over, in the training part and in a test part of its own."""
        return self.rows.skipped + (() if self.held is self.rows else self.held.skipped)

    @property
    def split(self) -> str:
        if self.recipe.data.official_split:
            return "test"
        same = len(self.held_index) == len(self.rows)
        return "training rows, none held out" if same else "held out"


def prepare(data: str, request: Request, progress=None, **source_options: Any) -> Job:
    """Open the data, learn its format, and make the recipe whole.

    `degraded` among the options names the degraded pictures of pairs.
    """
    reading = {k: v for k, v in source_options.items() if k != "degraded"}
    source = open_data(data, progress=progress, **reading)
    fmt, note = sized(source.learn(), network_of(request.variant, request.options))
    rows = source.load(fmt)
    reference = DataReference(
        name=str(Path(data).resolve()) if os.path.exists(data) else data,
        options={k: plain(source_options[k]) for k in SAVED_OPTIONS if source_options.get(k)}
        | located(source_options),
        rows=len(rows),
        fingerprint=fingerprint(rows),
        official_split=source.official_split,
    )
    recipe = recipe_for(fmt.schema, request, reference)
    return job_of(recipe, fmt, rows, [*source.notes, *([note] if note else [])], source_options)


def located(options: dict[str, Any]) -> dict[str, str]:
    """Where the degraded pictures of pairs lie, so that a resume finds them from anywhere."""
    return {k: str(Path(options[k]).resolve()) for k in ("degraded",) if options.get(k)}


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value if not isinstance(
        value, Path) else str(value)  # fmt: skip


def job_of(recipe: Recipe, fmt: Format, rows: Rows, notes: list[str], options: dict) -> Job:
    """Split the rows, or take the publisher's test rows where there are some.

    With patience, a tenth of the training rows is set apart as validation rows.
    """
    reading = {k: v for k, v in options.items() if k != "degraded"}
    given = None
    if options.get("degraded"):
        given = load_pairs(options["degraded"], rows, fmt, **reading)
    if recipe.data.official_split and given is None:
        held = open_data(recipe.data.name, split="test", **reading).load(fmt)
        train, index = np.arange(len(rows)), np.arange(len(held))
    else:
        held = rows
        split = getattr(rows.x, "split", lambda *how: hold_out(len(rows), *how))
        train, index = split(recipe.held_out, recipe.seed)
    valid = None
    if recipe.patience:
        train, valid = set_apart(train, recipe.seed)
    return Job(recipe, fmt, rows, train, held, index, notes, valid, given)


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
    reading = {k: v for k, v in options.items() if k != "degraded"}
    source = open_data(name, progress=progress, **reading)
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
    train, _ = job.feeds()
    model = build(job.format.schema, job.recipe)
    training = Training(model, train, job.recipe.plan, job.watched())
    with threads(job.recipe.threads):
        restore(folder / "checkpoints", training)
        history = keep_history(folder, training.epoch)
        try:
            for record in guarded(folder, training, stop):
                if isinstance(record, Epoch):
                    best = training.best.epoch if training.best else 0
                    note(folder, history, record, len(train), best)
                show(record)
        except Diverged as fault:
            Fitted(model.eval(), job.format, job.recipe).save(folder)
            write_json(folder / "summary.json", failure(folder, job, history, fault))
            write_report(folder)
            raise
        settle(model, Feed(train.x, train.y, job.format, train.index[:SETTLED]))
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
        stopping = stop() and not training.finished
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
            rate, rows = training.plan.lr, "validation" if training.plan.patience else "held-out"
            raise Diverged(
                f"The term {name!r} became {value} on the {rows} rows after epoch "
                f"{epoch.number}; the weights of the last good epoch are kept. Lower the learning "
                f"rate (now {rate:g}; try {min(rate / 10, 1e-3):g})."
            )


def with_lock(folder: Path):
    """Own the folder; DataError when it does not exist."""
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist; give the folder of a run.")
    return owned(folder)
