"""Scores of how well a model fits the data: reconstruction, likelihood, information."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lemari.laws import Density, divergence
from lemari.metrics.bits import bits_of, independent_bits
from lemari.metrics.image import psnr
from lemari.metrics.information import information
from lemari.metrics.likelihood import importance_nll, kl_profile
from lemari.metrics.similarity import ms_ssim, ssim
from lemari.model import likelihood_of
from lemari.starting import random_state
from lemari.tasks.embed import BLOCK, reconstruct
from lemari.tasks.score import Subject, flat_blocks
from lemari.types import Trace

MOST_COUNTS = 50_000_000  # of values at places: for the baseline of bits per dimension


@torch.no_grad()
def reconstruction_scores(s: Subject) -> None:
    """MSE and, of pictures, PSNR, SSIM and MS-SSIM; beside PCA of equal width and the mean."""
    image = s.model.data.kind == "image"
    s.model.eval()
    totals = np.zeros((3, 3 if image else 1))
    for batch in s.held.batches(BLOCK):
        rows = batch.x.flatten(1).numpy()
        pca = torch.from_numpy(s.pca.rebuild(s.pca.codes(rows)).astype(np.float32))
        mean = torch.from_numpy(s.pca.mean.astype(np.float32)).expand(len(rows), -1)
        guesses = (reconstruct(s.model, batch), pca, mean)
        totals += [closeness(batch.x, g.reshape(batch.x.shape), image) for g in guesses]
    mine, *others = totals / max(1, len(s.held))
    names = (s.pca_name, "mean example")

    def add(name: str, column: int, better: str, convert: Callable = float, unit: str = "") -> None:
        beside = {n: convert(row[column]) for n, row in zip(names, others, strict=True)}
        s.add(name, convert(mine[column]), better, beside, unit=unit)

    add("MSE", 0, "lower")
    if image:
        add("PSNR", 0, "higher", psnr, "dB")
        add("SSIM", 1, "higher")
        add("MS-SSIM", 2, "higher")


def closeness(x: Tensor, guess: Tensor, image: bool) -> list[float]:
    """Sums over the batch of the squared error and, of pictures, of both similarities."""
    error = (x - guess).double().square().flatten(1).mean(1)
    measures = (ssim(x, guess), ms_ssim(x, guess)) if image else ()
    return [float(values.double().sum()) for values in (error, *measures)]


@torch.no_grad()
def likelihood_scores(s: Subject) -> None:
    """Mean of each term, the loss and its floor, distortion, KL (the rate), active units."""
    sums: dict[str, float] = {}
    likelihood, floor = likelihood_of(s.model), 0.0
    s.model.eval()
    with random_state(s.seed):
        for batch in s.held.batches(BLOCK):
            trace = s.model(batch)
            for name, value in (s.model.loss(trace) | parted(trace)).items():
                sums[name] = sums.get(name, 0.0) + float(value.sum())
            lowest = likelihood.floor_nats(batch.x)
            floor = None if lowest is None or floor is None else floor + float(lowest.sum())
    n = max(1, len(s.held))
    means = {name: value / n for name, value in sums.items()}
    found = {name: means.pop(name) for name in ("_distortion", "_rate") if name in means}
    loss = sum(term.weight(10**9) * means[term.name] for term in s.model.terms)
    s.e.losses, s.e.floor = {"loss": loss, **means}, None if floor is None else floor / n
    s.add("loss", loss, "lower", {} if s.e.floor is None else {"floor": s.e.floor}, unit="nats")
    if "_distortion" in found:
        s.add("distortion", found["_distortion"], "lower", unit="nats")
    profile = kl_profile(s.model, s.held)
    if profile is not None:
        s.e.kl, s.e.variance = profile["kl"].numpy(), profile["variance"].numpy()
        s.add("KL", s.e.kl.sum(), unit="nats")
        s.add(f"active units of {len(s.e.kl)}", int((s.e.variance > 0.01).sum()))
    elif "_rate" in found:
        s.add("KL", found["_rate"], unit="nats")


def parted(t: Trace) -> dict[str, Tensor]:
    """-log p(x|z) and the divergence from the prior, (B,) each, where both are known."""
    if not (isinstance(t.q, Density) and isinstance(t.prior, Density)):
        return {}
    distortion = -t.p.log_prob(t.batch.x).mean(0)
    return {"_distortion": distortion, "_rate": divergence(t.q, t.prior, t.z)}


def nll_scores(s: Subject) -> None:
    """Importance-sampled likelihood, and bits per dimension beside independent numbers."""
    s.say(f"importance sampling with {s.draws} draws a row")
    nll = float(importance_nll(s.model, s.held, s.draws, s.seed).mean())
    s.add(f"NLL ({s.draws} draws)", nll, "lower", unit="nats")
    data, bits = s.model.data, bits_of(s.model, nll)
    if bits is None:
        return
    beside = {}
    if data.size * (data.levels + 1) <= MOST_COUNTS:
        blocks = flat_blocks(s.train), flat_blocks(s.held)
        beside["independent values"] = independent_bits(*blocks, data.levels, data.size)
    s.add("bits per dimension", bits, "lower", beside, unit="bits")


def information_scores(s: Subject) -> None:
    """The rate of some rows, split into information about the row and distance to the prior."""
    s.say("comparing all posteriors")
    found = information(s.model, s.held, seed=s.seed)
    rows = min(2000, len(s.held))
    s.add("mutual information", found.mutual, "", {"log of the rows": found.most}, unit="nats",
          rows=rows)  # fmt: skip
    s.add("KL of all codes to the prior", found.marginal, "lower", {"rate": found.rate},
          unit="nats", rows=rows)  # fmt: skip
