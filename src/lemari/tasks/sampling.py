"""Samplers on the frozen codes of a fitted model: one of them fitted, or all of them ranked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemari.errors import Diverged, MissingExtra, UsageError
from lemari.feed import Feed
from lemari.metrics.features import Features, learn_features, sample
from lemari.metrics.generation import (
    copied_share,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from lemari.model import Autoencoder
from lemari.registry import SAMPLERS
from lemari.samplers.base import Codes, Parts, Sampler
from lemari.starting import mix
from lemari.tasks.embed import decode, encode, reconstruct
from lemari.tasks.generate import own_prior

ROWS = 10_000  # training codes that samplers are fitted to, a tenth of them set apart
EXAMPLES = 2_500  # examples of each sampler that are judged, at most
COPIES = 0.5  # share of copies above which a sampler is not chosen
BLOCK = 512
Say = Callable[[str], None]


def codes_of(model: Autoencoder, train: Feed, seed: int = 0, most: int = ROWS) -> Codes:
    """Codes of up to `most` training rows, a tenth of them set apart to choose settings on."""
    order = np.random.default_rng(mix(seed, 20260103)).permutation(len(train))[:most]
    some = part_of(train, order)
    z = torch.from_numpy(encode(model, some))
    y = None if some.y is None else torch.from_numpy(some.y[some.index])
    sigma, cut = spread_of(model, some), max(1, len(z) // 10)
    return Codes(
        z[cut:],
        z[:cut],
        None if y is None else y[cut:],
        None if y is None else y[:cut],
        None if sigma is None else sigma[cut:],
        parts_of(model),
    )


def parts_of(model: Autoencoder) -> Parts:
    """What of a model samplers may use."""
    discrete = "codes" in getattr(model.posterior, "traits", ())
    return Parts(own_prior(model), model.posterior if discrete else None)


def part_of(feed: Feed, order: np.ndarray) -> Feed:
    """The rows at these positions of a feed."""
    return Feed(feed.x, feed.y, feed.format, feed.index[order])


@torch.no_grad()
def spread_of(model: Autoencoder, feed: Feed) -> Tensor | None:
    """Sigma of each posterior, (N, D); None where posteriors have no spread."""
    parts = []
    for batch in feed.batches(BLOCK):
        q = model.eval().encode(model.corrupt.given(batch.x), model.condition(batch))
        if not hasattr(q, "log_sigma"):
            return None
        parts.append(q.log_sigma.exp().flatten(1))  # pyright: ignore[reportAttributeAccessIssue]
    return torch.cat(parts).float()


def fit_sampler(name: str, model: Autoencoder, train: Feed, seed: int = 0) -> Sampler:
    """One sampler by its name, fitted to the codes of training rows."""
    return SAMPLERS[name].fit(codes_of(model, train, seed), seed)


def classes_drawn(model: Autoencoder, train: Feed, count: int, seed: int) -> np.ndarray | None:
    """Classes as often as among the training rows; None for a model without a condition."""
    if not model.condition.width or train.y is None:
        return None
    return np.random.default_rng(seed).choice(train.y[train.index], count)


@dataclass(frozen=True, slots=True)
class Judge:
    """Held-out rows in two halves, one to rank on and one to score on, and how to compare.

    Both halves have as many rows as each sampler draws examples.
    """

    features: Features
    rank: np.ndarray  # (n, F)
    score: np.ndarray  # (n, F)
    rebuilt: np.ndarray  # (m, F) held-out rows, as the model rebuilds them
    train: np.ndarray  # (N, F) training rows that samplers were fitted to, rebuilt too

    def row(self, name: str, x: np.ndarray, seconds: float = 0.0, copies: bool = True) -> dict:
        """Everything that is measured of n examples (n, *S)."""
        made = self.features(x)
        precision, recall = precision_recall(made, self.score)
        return {
            "sampler": name,
            "rank_frechet": frechet_distance(made, self.rank),
            "frechet": frechet_distance(made, self.score),
            "kernel": kernel_distance(made, self.score),
            "precision": precision,
            "recall": recall,
            "copies": copied_share(made, self.rebuilt, self.train) if copies else None,
            "seconds": seconds,
        }


@dataclass
class LineUp:
    """What a contest of samplers found: rows of figures, best first, then baselines."""

    rows: list[dict[str, Any]]
    baselines: list[dict[str, Any]]
    left_out: dict[str, str]
    examples: int
    features: str
    fitted: dict[str, Sampler] = field(default_factory=dict)
    shown: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def best(self) -> str:
        return self.rows[0]["sampler"]


def judge_for(model: Autoencoder, train: Feed, held: Feed, seed: int) -> Judge:
    """The feature net and the features that examples are compared with."""
    if len(held) < 4:
        raise UsageError(
            f"Samplers are ranked on held-out rows, of which there are {len(held)}; hold out "
            "more (--held-out at training), or name one sampler in place of auto."
        )
    n = min(len(held) // 2, EXAMPLES)
    features = learn_features(train, seed, n)
    order = np.random.default_rng(mix(seed, 20260104)).permutation(len(held))
    rank, score = part_of(held, order[:n]), part_of(held, order[n : 2 * n])
    fitted_to = np.random.default_rng(mix(seed, 20260103)).permutation(len(train))[:ROWS]
    return Judge(
        features,
        features(sample(rank, n)),
        features(sample(score, n)),
        features(rebuilt(model, part_of(held, order[: 2 * n]))),
        features(rebuilt(model, part_of(train, fitted_to))),
    )


def rebuilt(model: Autoencoder, feed: Feed) -> np.ndarray:
    """What the model makes of each row, (N, *S)."""
    model.eval()
    return np.concatenate([reconstruct(model, b).float().numpy() for b in feed.batches(BLOCK)])


def line_up(
    model: Autoencoder,
    train: Feed,
    held: Feed,
    *,
    names: Iterable[str] = tuple(SAMPLERS),
    seed: int = 0,
    say: Say = lambda text: None,
) -> LineUp:
    """Fit every sampler that the codes allow to training codes, and rank them on held-out rows.

    Best is the smallest Frechet distance to one half of the held-out rows, among those that do not
    merely repeat training rows; the figures are of the other half.
    """
    codes = codes_of(model, train, seed)
    say("learning features")
    judge = judge_for(model, train, held, seed)
    n = len(judge.score)
    y = classes_drawn(model, train, n, seed)
    found = LineUp([], [], {}, n, judge.features.name)
    for name in names:
        say(f"fitting {name}")
        begin = time.perf_counter()
        try:
            sampler = SAMPLERS[name].fit(codes, seed)
            z = drawn(sampler, n, mix(seed, 1), y)
        except (UsageError, MissingExtra, Diverged) as fault:
            found.left_out[name] = str(fault)
            continue
        seconds = time.perf_counter() - begin
        x = decode(model, z, y)
        found.rows.append(judge.row(name, x, seconds))
        found.fitted[name], found.shown[name] = sampler, x[:12]
    found.rows.sort(key=lambda row: (row["copies"] > COPIES, row["rank_frechet"]))
    base = partial(judge.row, copies=False)
    picked = part_of(train, np.random.default_rng(mix(seed, 2)).permutation(len(train))[:n])
    if len(picked) == n:
        found.baselines = [
            base("training rows", sample(picked, n)),
            base("training rows, rebuilt", rebuilt(model, picked)),
        ]
    found.shown["held-out rows"] = sample(held, 12, seed)
    return found


def drawn(sampler: Sampler, count: int, seed: int, y: np.ndarray | None) -> np.ndarray:
    """Codes (count, D) for these classes, where the sampler knows of any."""
    wanted = torch.from_numpy(y) if sampler.by_class and y is not None else None
    return sampler.draw(count, seed, wanted).numpy()
