"""Training into a run folder: everything that must survive a crash lies there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lemari import __version__
from lemari.checkpoint import restore, save_checkpoint
from lemari.errors import DataError, Diverged, RunError
from lemari.feed import Feed
from lemari.files import read_json, sweep, write_json
from lemari.formats import format_from_json
from lemari.lock import owned
from lemari.machine import describe, threads
from lemari.report import write_report
from lemari.store import Fitted, build, read_recipe
from lemari.tasks.examine import Watch, course
from lemari.tasks.generate import settle
from lemari.tasks.history import keep_history, note
from lemari.tasks.job import Job, reopen
from lemari.tasks.log import log, logged
from lemari.train import Training
from lemari.types import Epoch, Finding, Pulse

CHECKPOINT_SECONDS = 60.0
SETTLED = 20_000  # training codes that a fitted prior is taken from


class Interrupted(RunError):
    """Training was stopped on request; everything is saved and it can go on."""


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
    data = Path(job.recipe.data.name or "array").name
    log(folder, f"lemari {__version__} starts {job.recipe.variant} on {len(job.train):,} of {data}")
    for text in job.notes:
        log(folder, f"note: {text}")


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
    show: Callable[[Pulse | Epoch | Finding], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Fitted, list[dict]]:
    """Train (or go on training) in a folder that this process owns.

    Checkpoints at the end of each epoch and once a minute. Raises Interrupted, after a checkpoint,
    when `stop()` becomes true; Diverged, after saving the last good weights, when a loss is not
    finite. `show` also gets each finding that holds while training goes on, once.
    """
    sweep(folder)
    train, _ = job.feeds()
    model = build(job.format.schema, job.recipe)
    with threads(job.recipe.threads):  # what looks at the rows beforehand must repeat as well
        training = Training(model, train, job.recipe.plan, job.watched())
        restore(folder / "checkpoints", training)
        history = keep_history(folder, training.epoch)
        watch = Watch(course(model, history, len(train), job.recipe.batch_size))
        if (training.epoch or training.step) and not training.finished:
            log(folder, f"goes on in epoch {training.epoch + 1} at step {training.step}")
        try:
            with logged(folder, show) as tell:
                for record in guarded(folder, training, stop):
                    if isinstance(record, Epoch):
                        best = training.best.epoch if training.best else 0
                        note(folder, history, record, len(train), best)
                    tell(record)
                    for finding in watch(history) if isinstance(record, Epoch) else ():
                        tell(finding)
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
