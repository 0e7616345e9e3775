"""Scores on held-out rows, each beside its baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from lemari.feed import Feed
from lemari.metrics.image import psnr
from lemari.metrics.likelihood import importance_nll, kl_profile
from lemari.metrics.pca import PCA, fit_pca
from lemari.metrics.representation import knn_accuracy
from lemari.model import Autoencoder, likelihood_of
from lemari.tasks.embed import BLOCK, encode, reconstruct
from lemari.train import random_state

RAW_NUMBERS = 60_000_000  # of raw pixels kept for their own nearest-neighbour baseline


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


def flat_blocks(feed: Feed, order: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """The rows, in the given order of positions, as (n, D) arrays of a few megabytes."""
    for batch in feed.batches(2000, order):
        yield batch.x.flatten(1).numpy()


def evaluate(
    model: Autoencoder,
    train: Feed,
    held: Feed,
    *,
    split: str = "test",
    nll_samples: int = 0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Every score that the model and the data allow, on the rows of `held`.

    `train` gives the training rows for baselines and neighbours; `nll_samples` above 0 adds the
    importance-sampled likelihood.
    """
    say = progress or (lambda text: None)
    say("encoding")
    codes, held_codes = encode(model, train), encode(model, held)
    y = None if train.y is None else train.y[train.index]
    held_y = None if held.y is None else held.y[held.index]
    e = Evaluation([], codes, held_codes, y, held_y)
    say("measuring the reconstruction")
    width = model.data.size
    mixed = np.random.default_rng(0).permutation(len(train))  # where only some rows are used
    e.pca = fit_pca(flat_blocks(train, mixed), min(codes.shape[1], width), len(train), width)
    reconstruction(model, held, e, split)
    likelihoods(model, held, e, split, seed)
    if nll_samples:
        say(f"importance sampling with {nll_samples} draws a row")
        nll = float(importance_nll(model, held, nll_samples, seed).mean())
        e.scores.append(Score(f"NLL ({nll_samples} draws)", nll, "lower", len(held), split,
                              unit="nats"))  # fmt: skip
    if y is not None and held_y is not None and (held_y >= 0).any() and (y >= 0).any():
        say("asking the nearest neighbours")
        neighbours(train, held, e, split)
    return e


def reconstruction(model: Autoencoder, held: Feed, e: Evaluation, split: str) -> None:
    """MSE and PSNR of the model, of PCA with as many components, and of the mean example."""
    model.eval()
    assert e.pca is not None
    total = np.zeros(3)
    for batch in held.batches(BLOCK):
        flat = batch.x.flatten(1).numpy()
        guesses = (
            reconstruct(model, batch).flatten(1).numpy(),
            e.pca.rebuild(e.pca.codes(flat)),
            e.pca.mean,
        )
        total += [np.square(flat - guess, dtype=np.float64).mean(1).sum() for guess in guesses]
    mine, pca, mean = total / max(1, len(held))
    k = len(e.pca.components)
    names = (f"PCA-{k}", "mean example")
    add = e.scores.append
    rows = [{"name": n, "value": float(v)} for n, v in zip(names, (pca, mean), strict=True)]
    add(Score("MSE", float(mine), "lower", len(held), split, tuple(rows)))
    if model.data.kind == "image":
        rows = [{"name": row["name"], "value": psnr(row["value"])} for row in rows]
        add(Score("PSNR", psnr(float(mine)), "higher", len(held), split, tuple(rows), "dB"))


@torch.no_grad()
def likelihoods(model: Autoencoder, held: Feed, e: Evaluation, split: str, seed: int) -> None:
    """Mean of each term, the loss, KL per dimension, active units, the floor of the loss."""
    sums: dict[str, float] = {}
    likelihood, floor = likelihood_of(model), 0.0
    model.eval()
    with random_state(seed):
        for batch in held.batches(BLOCK):
            for name, value in model.loss(model(batch)).items():
                sums[name] = sums.get(name, 0.0) + float(value.sum())
            lowest = likelihood.floor_nats(batch.x)
            floor = None if lowest is None or floor is None else floor + float(lowest.sum())
    n = max(1, len(held))
    means = {name: value / n for name, value in sums.items()}
    loss = sum(term.weight(10**9) * means[term.name] for term in model.terms)
    e.losses, e.floor = {"loss": loss, **means}, None if floor is None else floor / n
    below = () if e.floor is None else ({"name": "floor", "value": e.floor},)
    add = e.scores.append
    add(Score("loss", loss, "lower", len(held), split, below, "nats"))
    profile = kl_profile(model, held)
    if profile is not None:
        e.kl, e.variance = profile["kl"].numpy(), profile["variance"].numpy()
        add(Score("KL", float(e.kl.sum()), "", len(held), split, (), "nats"))
        active = int((e.variance > 0.01).sum())
        add(Score(f"active units of {len(e.kl)}", active, "", len(held), split))
    elif "kl" in means:
        add(Score("KL", means["kl"], "", len(held), split, (), "nats"))


def neighbours(train: Feed, held: Feed, e: Evaluation, split: str) -> None:
    """kNN-5 accuracy of the code, of PCA's code and of the raw values."""
    assert e.pca is not None and e.labels is not None and e.held_labels is not None
    mine = knn_accuracy(e.codes, e.labels, e.held_codes, e.held_labels)
    flat = [np.concatenate([e.pca.codes(b) for b in flat_blocks(f)]) for f in (train, held)]
    pca = knn_accuracy(flat[0], e.labels, flat[1], e.held_labels)
    rows = [{"name": f"PCA-{len(e.pca.components)}", "value": pca}]
    if (len(train) + len(held)) * train.bytes_per_row // 4 <= RAW_NUMBERS:
        raw = [np.concatenate(list(flat_blocks(f))) for f in (train, held)]
        value = knn_accuracy(raw[0], e.labels, raw[1], e.held_labels)
        rows.append({"name": "raw values", "value": value})
    add = e.scores.append
    add(Score("kNN-5 accuracy", mine, "higher", int((e.held_labels >= 0).sum()), split,
              tuple(rows)))  # fmt: skip
