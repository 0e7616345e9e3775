"""What is to be trained: data, format, recipe, and which rows are for what."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lemari.errors import RunError
from lemari.feed import Feed
from lemari.formats import Format
from lemari.sources import open_data
from lemari.store import DataReference, Recipe
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
from lemari.types import Rows, Skipped

SAVED_OPTIONS = ("data_dir", "shape", "label", "size", "channels", "fit", "drop", "max_skipped",
                 "patch", "degraded")  # fmt: skip


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
    given = pairs_of(rows, fmt, source_options)
    reference = DataReference(
        name=str(Path(data).resolve()) if os.path.exists(data) else data,
        options={k: plain(source_options[k]) for k in SAVED_OPTIONS if source_options.get(k)}
        | located(source_options),
        rows=len(rows),
        fingerprint=sum_of(rows, given),
        official_split=source.official_split and given is None,
    )
    recipe = recipe_for(fmt.schema, request, reference)
    notes = [*source.notes, *([note] if note else [])]
    return job_of(recipe, fmt, rows, notes, reading, given)


def pairs_of(rows: Rows, fmt: Format, options: dict[str, Any]) -> Rows | None:
    """The degraded pictures that go with the rows, where the options name some."""
    if not options.get("degraded"):
        return None
    reading = {k: v for k, v in options.items() if k != "degraded"}
    return load_pairs(options["degraded"], rows, fmt, **reading)


def sum_of(rows: Rows, given: Rows | None) -> str:
    """A sum over the rows and, of pairs, over the degraded pictures."""
    if given is None:
        return fingerprint(rows)
    return hashlib.sha256(f"{fingerprint(rows)}{fingerprint(given)}".encode()).hexdigest()


def located(options: dict[str, Any]) -> dict[str, str]:
    """Where the degraded pictures of pairs lie, so that a resume finds them from anywhere."""
    return {k: str(Path(options[k]).resolve()) for k in ("degraded",) if options.get(k)}


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value if not isinstance(
        value, Path) else str(value)  # fmt: skip


def job_of(
    recipe: Recipe,
    fmt: Format,
    rows: Rows,
    notes: list[str],
    reading: dict[str, Any],
    given: Rows | None = None,
) -> Job:
    """Split the rows, or take the publisher's test rows where there are some.

    With patience, a tenth of the training rows is set apart as validation rows.
    """
    if recipe.data.official_split:
        held = open_data(recipe.data.name, split="test", **reading).load(fmt)
        train, index = np.arange(len(rows)), np.arange(len(held))
    else:
        held = rows
        split = getattr(rows.x, "split", lambda *how: hold_out(len(rows), *how))
        train, index = split(recipe.held_out, recipe.seed)
    valid = None
    if recipe.patience:
        apart = getattr(rows.x, "set_apart", set_apart)
        train, valid = apart(train, recipe.seed)
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
    given = pairs_of(rows, fmt, options)
    if sum_of(rows, given) != recipe.data.fingerprint and (strict or len(rows) != recipe.data.rows):
        raise RunError(
            f"The data at {name} is not what this run was trained on ({len(rows)} rows now, "
            f"{recipe.data.rows} then, or other values); restore it, or start a new run."
        )
    return job_of(recipe, fmt, rows, list(source.notes), reading, given)
