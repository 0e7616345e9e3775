"""The doctor's visit: evidence of a trained model, and the findings on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lemari.doctor import Evidence, Run, during, examine
from lemari.doctor.data import other_range
from lemari.doctor.probe import probe
from lemari.feed import Feed
from lemari.files import read_json
from lemari.latents.point import NoPrior
from lemari.metrics.likelihood import kl_profile
from lemari.model import Autoencoder, effective_beta
from lemari.sources import open_data
from lemari.store import Fitted
from lemari.tasks.embed import reconstruct
from lemari.tasks.history import keep_history
from lemari.tasks.job import Job, reopen
from lemari.tasks.mend import degraded_and_restored
from lemari.types import Epoch, Finding

ROWS, RESTORED, PROFILED = 256, 64, 2000
LATE = 10**9  # a step at which every weight has its final value


def evidence(
    model: Autoencoder,
    feed: Feed,
    run: Run | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> Evidence:
    """All that the doctor looks at, on rows that were not trained on where there are some."""
    inputs, outputs = examples(model, feed, seed)
    some = Feed(feed.x, feed.y, feed.format, feed.index[:PROFILED], given=feed.given)
    bare = isinstance(model.prior, NoPrior)
    profile = (None if bare else kl_profile(model, some)) or {"kl": None, "variance": None}
    kl, variance = (None if v is None else v.numpy() for v in profile.values())
    found = probe(model, feed, seed)
    run = run or course(model)
    return Evidence(kl, variance, outputs, inputs, notes, effective_beta(model), run, found)


@torch.no_grad()
def examples(model: Autoencoder, feed: Feed, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Up to 256 rows and what the model makes of them; a network without a code restores them."""
    model.eval()
    if isinstance(model.prior, NoPrior):
        batch, _, made = next(degraded_and_restored(model, feed, seed, RESTORED))
    else:
        batch = feed.gather(np.arange(min(ROWS, len(feed))))
        made = reconstruct(model, batch)
    return batch.x.numpy(), made.numpy()


def course(
    model: Autoencoder, history: Sequence[Any] = (), rows: int = 0, batch_size: int = 1
) -> Run:
    """How the training of a model went: Epochs or records of metrics.jsonl, and the weights."""
    records = [asdict(r) | {"lr": r.rate} if isinstance(r, Epoch) else r for r in history]
    weights = {term.name: float(term.weight(LATE)) for term in model.terms}  # pyright: ignore
    return Run(records, weights, ceil(rows / batch_size))


def findings(
    model: Autoencoder,
    feed: Feed,
    run: Run | None = None,
    notes: Sequence[str] = (),
    seed: int = 0,
) -> list[Finding]:
    """What the doctor says of a trained model, the gravest first."""
    return examine(evidence(model, feed, run, notes, seed))


def examined(fitted: Fitted, job: Job, history: Sequence[Any]) -> list[Finding]:
    """The same of the model of a job, on its held-out rows."""
    run = course(fitted.model, history, len(job.train), job.recipe.batch_size)
    return findings(fitted.model, job.feeds()[1], run, job.notes, job.recipe.seed)


class Watch:
    """Tells each finding once, at the end of the epoch in which it first holds."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.told = {f.name for f in during(run)}

    def __call__(self, history: Sequence[Any]) -> list[Finding]:
        found = during(replace(self.run, history=history))
        found = [f for f in found if f.name not in self.told]
        self.told |= {f.name for f in found}
        return found


def examine_run(folder: Path, data: str | None = None, progress=None) -> list[Finding]:
    """The findings on a finished run, made again from its weights, its epochs and its data.

    `data` names new data, whose range is compared with that of the run's training data.
    """
    fitted = Fitted.load(folder)
    job = reopen(fitted.recipe, fitted.format, progress)
    kept = folder / "data.json"
    job.notes[:] = read_json(kept).get("notes", job.notes) if kept.is_file() else job.notes
    found = examined(fitted, job, keep_history(folder, fitted.recipe.epochs))
    if data is not None:
        reading = {k: v for k, v in fitted.recipe.data.options.items() if k in ("label", "drop")}
        found += other_range(fitted.format, open_data(data, **reading).learn())
    return diverged(folder) + found


def diverged(folder: Path) -> list[Finding]:
    """The finding that a training which diverged left: its last good weights show nothing."""
    path = folder / "summary.json"
    kept = read_json(path).get("findings", []) if path.is_file() else []
    return [Finding(**f) for f in kept if f.get("name") == "diverged"]
