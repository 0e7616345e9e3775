"""Which rows a model may be judged on: never silently those it was trained on."""

from __future__ import annotations

import numpy as np

from lemari.errors import RunError
from lemari.feed import Feed
from lemari.store import Fitted
from lemari.tasks.fit import reopen
from lemari.tasks.plan import fingerprint, hold_out
from lemari.types import Rows


def feeds_for(fitted: Fitted, other: Rows | None, progress=None) -> tuple[Feed, Feed, str]:
    """Training rows, rows to judge on, and what the latter are called.

    Without other data these are the run's own held-out rows. When the data given is what the
    model was trained on, only its held-out rows are used. When the training data is gone, one
    half of the other data takes its place as the reference of neighbours and PCA.
    """
    recipe = fitted.recipe
    if other is not None and fingerprint(other) == recipe.data.fingerprint:
        if recipe.data.official_split:
            raise RunError(
                "These are the rows that the model was trained on; judge it on the test part "
                "(leave --split out)."
            )
        other = None
    try:
        job = reopen(recipe, fitted.format, progress)
    except RunError:
        if other is None:
            raise
        train, held = hold_out(len(other), 0.5, 0)
        feeds = (Feed(other.x, other.y, fitted.format, i) for i in (train, held))
        return *feeds, "other data, half of it as reference"  # pyright: ignore[reportReturnType]
    train, held = job.feeds()
    if other is None:
        return train, held, job.split
    index = np.arange(len(other))
    return train, Feed(other.x, other.y, fitted.format, index), "given data"
