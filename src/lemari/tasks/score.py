"""Scores, and what they are taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lemari.feed import Feed
from lemari.metrics.pca import PCA
from lemari.model import Autoencoder
from lemari.store import Recipe


@dataclass(frozen=True, slots=True)
class Score:
    """One number, which way is better, and the same number for the baselines."""

    name: str
    value: float
    better: str
    rows: int
    split: str
    baselines: tuple[dict, ...] = ()
    unit: str = ""


@dataclass
class Evaluation:
    """Scores and what they were computed from, for pictures and findings."""

    scores: list[Score]
    codes: np.ndarray  # (N, D) of the training rows
    held_codes: np.ndarray  # (M, D) of the held-out rows
    labels: np.ndarray | None
    held_labels: np.ndarray | None
    pca: PCA | None = None
    kl: np.ndarray | None = None
    variance: np.ndarray | None = None
    floor: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # measure -> why


@dataclass
class Subject:
    """What measures look at, and the evaluation that they add their scores to.

    `recipe` is needed to build the same network anew, `factors` (M, F) are those that the
    held-out pictures were drawn from, `draws` is the number of codes a row for the likelihood.
    """

    model: Autoencoder
    train: Feed
    held: Feed
    e: Evaluation
    split: str = "test"
    seed: int = 0
    draws: int = 100
    recipe: Recipe | None = None
    factors: np.ndarray | None = None
    say: Callable[[str], None] = lambda text: None

    def add(
        self,
        name: str,
        value: float,
        better: str = "",
        baselines: dict[str, float] | None = None,
        *,
        unit: str = "",
        rows: int | None = None,
    ) -> None:
        """Add one score, on all held-out rows unless `rows` says how many."""
        beside = tuple({"name": n, "value": float(v)} for n, v in (baselines or {}).items())
        count = len(self.held) if rows is None else rows
        self.e.scores.append(Score(name, float(value), better, count, self.split, beside, unit))

    @property
    def pca_name(self) -> str:
        return f"PCA-{len(self.pca.components)}"

    @property
    def pca(self) -> PCA:
        assert self.e.pca is not None
        return self.e.pca

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Classes of the training rows and of the held-out rows."""
        assert self.e.labels is not None and self.e.held_labels is not None
        return self.e.labels, self.e.held_labels

    @property
    def known(self) -> int:
        """How many held-out rows have a class."""
        return int((self.labels[1] >= 0).sum())

    @property
    def labelled(self) -> bool:
        y, held = self.e.labels, self.e.held_labels
        return y is not None and held is not None and bool((y >= 0).any() and (held >= 0).any())

    @property
    def told(self) -> bool:
        """Whether the model is told the class, so that its code says nothing new of it."""
        return bool(getattr(self.model.condition, "width", 0))


def flat_blocks(feed: Feed, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The rows, in the given order of positions, as (n, D) arrays of a few megabytes."""
    for batch in feed.batches(2000, order):
        yield batch.x.flatten(1).numpy()


def flat(feed: Feed, most: int | None = None) -> np.ndarray:
    """The first rows, all unless `most` is given, as one array (N, D)."""
    order = None if most is None else np.arange(min(most, len(feed)))
    return np.concatenate(list(flat_blocks(feed, order)))
