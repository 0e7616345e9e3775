"""After training: scores, findings, codes, pictures, summary, card and report of a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lemari import __version__, figures
from lemari.files import finite_or_none, write, write_json
from lemari.latents.point import NoPrior
from lemari.layers_table import count, describe, layer_table
from lemari.machine import threads
from lemari.model import likelihood_of
from lemari.report import write_report
from lemari.store import Fitted
from lemari.tasks.card import card
from lemari.tasks.diagnose import diagnose
from lemari.tasks.draw import Scene, draw_all
from lemari.tasks.embed import write_codes
from lemari.tasks.evaluate import Evaluation, Score, evaluate
from lemari.tasks.examine import examined
from lemari.tasks.history import kept_epoch
from lemari.tasks.job import Job
from lemari.tasks.log import log
from lemari.tasks.mend import mend, scores
from lemari.tasks.restorer import TASKS
from lemari.types import Finding

Say = Callable[[str], None]


def finish(
    folder: Path, fitted: Fitted, job: Job, history: list[dict], say: Say = lambda text: None
) -> dict[str, Any]:
    """Write everything that a finished run shows, the report last; returns the summary."""
    if isinstance(fitted.model.prior, NoPrior):
        return finish_restorer(folder, fitted, job, history, say)
    train, held = job.feeds()
    with threads(job.recipe.threads):
        e = evaluate(fitted.model, train, held, split=job.split, seed=job.recipe.seed, progress=say)
        if job.recipe.variant in TASKS:
            e.scores[:0] = restored(folder, fitted, job, say)
        say("looking for faults")
        findings = examined(fitted, job, history)
        classes = job.format.classes
        scene = Scene(fitted.model, train, held, e, classes, history, job.recipe.seed)
        say("writing codes")
        write_codes(folder / "embeddings.parquet", held_rows(job), e.held_codes)
        draw_all(scene, folder / "figures", say)
        summary = summarise(folder, fitted, job, history, e, findings)
        if e.kl is None and len(e.codes) > 1 and scene.image:
            say("diagnosing generation")
            summary["diagnosis"] = diagnosis(folder, scene)
    return write_summary(folder, summary, say)


def write_summary(folder: Path, summary: dict[str, Any], say: Say) -> dict[str, Any]:
    """Summary, card and, last, the report."""
    write_json(folder / "summary.json", finite_or_none(summary))
    write(folder / "card.md", card(summary).encode())
    say("writing the report")
    write_report(folder)
    log(folder, f"finished: {summary['epochs']} epochs in {summary['seconds']:.1f} s of training")
    return finite_or_none(summary)


def restored(folder: Path, fitted: Fitted, job: Job, say: Say) -> list[Score]:
    """Scores of restoring held-out pictures, and the picture that shows some."""
    say("restoring held-out pictures")
    found = mend(fitted.model, *job.feeds(), job.recipe.seed)
    rows = {name: np.moveaxis(made, 1, -1) for name, made in found.shown.items()}
    (folder / "figures").mkdir(exist_ok=True)
    figures.save(figures.restoration_strip(rows), folder / "figures" / "restored.png")
    return scores(found, job.split)


def finish_restorer(
    folder: Path, fitted: Fitted, job: Job, history: list[dict], say: Say
) -> dict[str, Any]:
    """The same for a network without a bottleneck, which has no code to show."""
    with threads(job.recipe.threads):
        last: dict[str, Any] = history[-1]["valid"] if history else {}
        losses: dict[str, Any] = {"loss": last.get("loss")}
        nothing = np.empty((0, 0), np.float32)
        found = restored(folder, fitted, job, say)
        e = Evaluation(found, nothing, nothing, None, None, losses=losses)
        findings = examined(fitted, job, history)
        if history:
            figures.save(figures.learning_curves(history), folder / "figures" / "curves.png")
        drawn = figures.layer_diagram(layer_table(fitted.model), count(fitted.model))
        figures.save(drawn, folder / "figures" / "network.png")
        summary = summarise(folder, fitted, job, history, e, findings)
    summary["latent"] = None
    return write_summary(folder, summary, say)


def held_rows(job: Job):
    """The held-out rows with their names, in the order of the codes."""
    from dataclasses import replace

    index, rows = job.held_index, job.held
    y = None if rows.y is None else rows.y[index]
    return replace(rows, x=rows.x[:0], y=y, ids=tuple(rows.ids[i] for i in index))


def diagnosis(folder: Path, scene: Scene) -> dict[str, Any]:
    """Numbers and pictures of how a code without a law generates."""
    found, distance, error = diagnose(
        scene.model, scene.train, scene.evaluation, scene.classes, scene.seed
    )
    target = folder / "figures"
    figures.save(figures.neighbour_quality(distance, error), target / "between.png")
    if found.get("area"):
        shares = figures.class_share(found["area"], found["empty"])
        figures.save(shares, target / "class-share.png")
    return found


def summarise(
    folder: Path,
    fitted: Fitted,
    job: Job,
    history: list[dict],
    e: Evaluation,
    findings: list[Finding],
) -> dict[str, Any]:
    """summary.json: everything in numbers."""
    about, recipe = describe(fitted.model), job.recipe
    seconds = sum(r["seconds"] for r in history)
    rows = len(job.train) * len(history)
    return {
        "name": folder.resolve().name,
        "version": __version__,
        "variant": recipe.variant,
        "network": str(recipe.options.get("network", "auto")),
        "latent": int(np.prod(fitted.model.code)),
        "data": data_part(job),
        "parameters": about["parameters"],
        "layers": about["layers"],
        "effective_beta": about["effective_beta"],
        "likelihood": type(likelihood_of(fitted.model)).__name__.removesuffix("Likelihood"),
        "sigma": likelihood_of(fitted.model).sigma,
        "epochs": len(history),
        "seconds": seconds,
        "rows_per_second": rows / seconds if seconds else None,
        "loss": {"train": kept_epoch(history).get("loss"), "valid": e.losses["loss"]},
        "best_epoch": kept_epoch(history).get("number"),
        "terms": e.losses,
        "floor": e.floor,
        "scores": [asdict(score) for score in e.scores],
        "findings": [asdict(finding) for finding in findings],
        "command": command(recipe),
        "next": next_command(shown(folder), fitted),
    }


def next_command(folder: Path | str, fitted: Fitted) -> str:
    """What to try after training: files to restore, new pictures as a picture, rows as a table."""
    run, task = shlex.quote(str(folder)), TASKS.get(fitted.recipe.variant)
    if task:
        return f"lemari restore {run} FILES" + (" --mask MASK" if task == "inpaint" else "")
    ending = "png" if fitted.format.kind == "image" else "csv"
    return f"lemari generate {run} -n 64 -o samples.{ending}"


def data_part(job: Job) -> dict[str, Any]:
    """What was trained on, what was held out, what was skipped."""
    fmt = job.format
    return {
        "name": Path(job.recipe.data.name or "array").name,
        "examples": len(job.train),
        "held_out": len(job.held_index),
        "split": job.split,
        "shape": list(fmt.schema.shape),
        "classes": list(fmt.classes),
        "skipped": [{"file": s.item, "reason": s.reason} for s in job.skipped],
        "notes": job.notes,
    }


def nameless(place: str) -> str:
    """The last part of a path: the folders above it may carry the user's name."""
    return Path(place).name


def shown(folder: Path) -> Path | str:
    """The folder as it was given, of an absolute path only the last part."""
    return nameless(str(folder)) if folder.is_absolute() else folder


def command(recipe) -> str:
    """The command line that leads to this run, of paths only the last part."""
    words = ["lemari", "train", nameless(recipe.data.name or "DATA"), "--variant", recipe.variant]
    options = dict(recipe.options) | {
        "epochs": recipe.epochs,
        "batch-size": recipe.batch_size,
        "lr": recipe.lr,
        "schedule": recipe.schedule,
        "seed": recipe.seed,
        "threads": recipe.threads,
        "precision": recipe.precision,
        "held-out": recipe.held_out,
    }
    if recipe.augment != "none":
        options["augment"] = recipe.augment
    if recipe.patience:
        options["patience"] = recipe.patience
    for name in recipe.data.options.get("drop", ()):
        words += ["--drop", str(name)]
    for key, value in recipe.data.options.items():
        if key == "drop":
            continue
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        options[key.replace("_", "-")] = nameless(text) if key == "data_dir" else text
    for key, value in options.items():
        words += [f"--{key.replace('_', '-')}", str(value)]
    return shlex.join(words)
