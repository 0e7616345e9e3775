"""Which rows a model may be judged on: never silently those it was trained on."""

from __future__ import annotations

import numpy as np

from lemari.errors import DataError, RunError, UsageError
from lemari.feed import Feed
from lemari.sources.patches import Patches
from lemari.store import Fitted
from lemari.tasks.job import Job, reopen
from lemari.tasks.plan import fingerprint, hold_out
from lemari.types import Rows


def feeds_for(fitted: Fitted, other: Rows | None, progress=None) -> tuple[Feed, Feed, str]:
    """Training rows, rows to judge on, and what the latter are called.

    Without other data these are the run's own held-out rows. Rows of other data that equal a
    training row are left out, and the name says how many. When the training data is gone, one
    half of the other data takes its place as the reference of neighbours and PCA.
    """
    try:
        job = reopen(fitted.recipe, fitted.format, progress, strict=False)
    except (RunError, DataError, UsageError):
        if other is None:
            raise
        train, held = hold_out(len(other), 0.5, 0)
        first, last = (Feed(other.x, other.y, fitted.format, i) for i in (train, held))
        return first, last, "other data, half of it as reference"
    train, held = job.feeds()
    if other is None or fingerprint(other, labels=False) == fingerprint(job.held, labels=False):
        return train, held, job.split
    positions = distinct(other)
    unseen = unseen_rows(job, other, positions)
    if not len(unseen):
        raise RunError(
            "Every one of these rows is one that the model was trained on; judge it on others "
            "(leave DATA out for the held-out rows)."
        )
    left = len(positions) - len(unseen)
    where = f"given data without {left:,} training rows" if left else "given data"
    return train, Feed(other.x, other.y, fitted.format, unseen), where


def distinct(rows: Rows) -> np.ndarray:
    """Positions of all rows, or of patches that do not overlap."""
    return rows.x.all_apart() if isinstance(rows.x, Patches) else np.arange(len(rows))


def unseen_rows(job: Job, other: Rows, positions: np.ndarray) -> np.ndarray:
    """Those of the positions whose rows equal no row that training looked at."""
    watched = () if job.valid_index is None else job.valid_index
    seen = {hash(job.rows.x[i].tobytes()) for i in (*job.train, *watched)}
    return np.array([i for i in positions if hash(other.x[i].tobytes()) not in seen], int)


def factors_of(fitted: Fitted, held: Feed, where: str) -> np.ndarray | None:
    """The factors (M, F) that the held-out rows were drawn from, where they are known."""
    if fitted.recipe.data.name != "sprites" or where != "test":
        return None
    from lemari.sources.sprites import sprite_factors

    return sprite_factors("test")[held.index]
