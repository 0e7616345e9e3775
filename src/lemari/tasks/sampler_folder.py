"""A fitted sampler inside the folder of its run.

sampler/sampler.json sampler/sampler.safetensors     which sampler, and its numbers
sampler/index.json                                   version and sha256 of each, written last
samplers.json figures/samplers.png                   the line-up that it won
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lemari import figures
from lemari.errors import ModelFileError, RunError, UsageError
from lemari.files import finite_or_none, read_json, sha256, write_json
from lemari.folder_index import NAME, check_sums, write_index
from lemari.lock import owned
from lemari.registry import SAMPLERS, nearest
from lemari.report import write_report
from lemari.samplers.base import Sampler
from lemari.store import Fitted
from lemari.tasks.judge import feeds_for
from lemari.tasks.sampling import COPIES, LineUp, Say, fit_sampler, line_up, parts_of
from lemari.weights import read_tensors, write_tensors

PARTS = ("sampler.json", "sampler.safetensors")
CHOICES = ("auto", "kept")


class Kept(BaseModel):
    """Which sampler lies in a folder, and the weights whose codes it was fitted to."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    version: Literal[1] = 1
    sampler: str = Field(max_length=200)
    weights: str = Field(max_length=64)


def check_name(name: str) -> None:
    """A UsageError that names the nearest sampler."""
    if name not in CHOICES and name not in SAMPLERS:
        raise UsageError(nearest(name, (*CHOICES, *SAMPLERS), "sampler"))


def save_sampler(run: Path, name: str, sampler: Sampler) -> Path:
    """Write the parts and, last, the index."""
    folder = run / "sampler"
    kept = Kept(sampler=name, weights=sha256(run / "weights.safetensors"))
    write_tensors(folder / PARTS[1], sampler.tensors())
    write_json(folder / PARTS[0], kept.model_dump())
    write_index(folder, PARTS)
    return folder


def kept_name(run: Path) -> str | None:
    """Which sampler is kept for the run's present weights; None where none is."""
    folder = run / "sampler"
    if not (folder / NAME).is_file():
        return None
    kept = read_kept(folder)
    return kept.sampler if kept.weights == sha256(run / "weights.safetensors") else None


def read_kept(folder: Path) -> Kept:
    check_sums(folder, PARTS)
    try:
        return Kept.model_validate(read_json(folder / PARTS[0]))
    except ValidationError as fault:
        raise ModelFileError(
            f"{folder / PARTS[0]} was changed or is of another version; fit the sampler anew with "
            "--sampler auto --refit."
        ) from fault


def load_sampler(run: Path, fitted: Fitted) -> Sampler:
    """The kept sampler of a run, every part checked. Raises RunError or ModelFileError."""
    if kept_name(run) is None:
        raise RunError(
            f"{run} has no sampler for its present weights; fit one with `lemari generate {run} "
            "--sampler auto`."
        )
    folder = run / "sampler"
    kept = read_kept(folder)
    if kept.sampler not in SAMPLERS:
        raise ModelFileError(nearest(kept.sampler[:80], SAMPLERS, "sampler"))
    tensors = read_tensors(folder / PARTS[1])
    size = int(np.prod(fitted.model.code))
    try:
        made = SAMPLERS[kept.sampler].from_tensors(tensors, parts_of(fitted.model))
        fits = tuple(made.draw(2, 0).shape) == (2, size)
    except Exception as fault:  # whatever changed numbers provoke, it is the file's fault
        raise ModelFileError(
            f"{folder} cannot be used ({str(fault)[:200]}); fit the sampler anew with --sampler "
            "auto --refit."
        ) from fault
    if not fits:
        raise ModelFileError(f"{folder} draws codes of another width than {size}; fit it anew.")
    return made


def chosen_sampler(
    run: Path, fitted: Fitted, name: str, refit: bool = False, say: Say = lambda text: None
) -> tuple[str, Sampler, LineUp | None]:
    """A sampler by its name, `kept`, or `auto`: the kept one, or else the best of the line-up.

    Training rows are looked for where the run found them. Only the winner of a line-up is kept.
    """
    check_name(name)
    there = None if refit and name != "kept" else kept_name(run)
    if name == "kept" or (there and name in ("auto", there)):
        return there or name, load_sampler(run, fitted), None
    train, held, _ = feeds_for(fitted, None)
    if name != "auto":
        return name, fit_sampler(name, fitted.model, train, fitted.recipe.seed), None
    found = line_up(fitted.model, train, held, seed=fitted.recipe.seed, say=say)
    keep(run, fitted, found)
    return found.best, found.fitted[found.best], found


def keep(run: Path, fitted: Fitted, found: LineUp) -> None:
    """The winner, the table, and for pictures some of each sampler."""
    with owned(run):
        save_sampler(run, found.best, found.fitted[found.best])
        write_json(run / "samplers.json", finite_or_none(document(found)))
        if fitted.format.kind == "image":
            (run / "figures").mkdir(exist_ok=True)
            figures.save(picture(found), run / "figures" / "samplers.png")
            write_report(run)


def document(found: LineUp) -> dict[str, Any]:
    """The line-up in numbers."""
    shown = {"best": found.best, "examples": found.examples, "features": found.features,
             "rows": found.rows, "baselines": found.baselines,
             "left_out": found.left_out}  # fmt: skip
    return shown


def picture(found: LineUp):
    """A row of examples for each sampler, the best first, above held-out rows."""
    words = {row["sampler"]: caption(row) for row in found.rows}
    rows = {name: np.moveaxis(found.shown[name], 1, -1) for name in [*words, "held-out rows"]}
    return figures.sampler_rows(rows, words, found.features, found.examples)


def caption(row: dict[str, Any]) -> str:
    """The distance, and how many draws repeat training rows where they are many."""
    repeats = f", {100 * row['copies']:.0f} % copies" if row["copies"] > COPIES else ""
    return f"{row['frechet']:.3g}{repeats}"
