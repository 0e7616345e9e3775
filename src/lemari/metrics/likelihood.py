"""Likelihoods of held-out data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.laws import Density, Law, divergence, kl_per_dimension
from lemari.model import Autoencoder
from lemari.starting import random_state
from lemari.types import Batch

MOST_NUMBERS = 20_000_000  # decoded at a time


@torch.no_grad()
def importance_nll(
    model: Autoencoder, feed: Feed, samples: int = 1000, seed: int = 0, progress=None
) -> Tensor:
    """-log p(x) of each row by importance sampling from the posterior, in nats: (N,).

    log p(x) is estimated by log mean_k p(x | z_k) p(z_k) / q(z_k | x) with `samples` draws, a lower
    bound in expectation that tightens with the number of draws (Burda et al. 2016,
    arXiv:1509.00519). Draws are made in blocks, so memory does not grow with their number.
    """
    if not isinstance(model_posterior(model, feed), Density):
        raise UsageError(
            "Importance sampling needs a posterior with a density, but a plain autoencoder has "
            "none; compare the reconstruction error, or train --variant vae."
        )
    model.eval()
    rows = max(1, min(100, MOST_NUMBERS // (50 * model.data.size)))
    draws = max(1, min(samples, MOST_NUMBERS // (rows * model.data.size)))
    found = []
    with random_state(seed):
        for batch in feed.batches(rows):
            found.append(nll_of_batch(model, batch, samples, draws))
            if progress:
                progress(sum(map(len, found)), len(feed))
    return torch.cat(found)


def model_posterior(model: Autoencoder, feed: Feed) -> Law:
    batch = next(feed.batches(1))
    return model.encode(model.corrupt.given(batch.x), model.condition(batch))


def nll_of_batch(model: Autoencoder, batch: Batch, samples: int, draws: int) -> Tensor:
    """-log p(x), shape (B,), float64."""
    c = model.condition(batch)
    q, prior = model.encode(model.corrupt.given(batch.x), c), model.prior(c)
    parts, left = [], samples
    while left:
        z = q.sample(min(draws, left))
        left -= len(z)
        weight = model.decode(z, c).log_prob(batch.x) + prior.log_prob(z) - q.log_prob(z)  # pyright: ignore[reportAttributeAccessIssue]
        parts.append(weight.double().logsumexp(0))
    return math.log(samples) - torch.stack(parts).logsumexp(0)


@torch.no_grad()
def kl_profile(model: Autoencoder, feed: Feed) -> dict[str, Tensor] | None:
    """Mean KL of each dimension (nats) and variance of the posterior mean over the rows.

    A dimension counts as active when that variance exceeds 0.01 (Burda et al. 2016). None when
    the posterior has no density, or a KL that does not split by dimension.
    """
    sums, means = None, []
    model.eval()
    for batch in feed.batches(500):
        c = model.condition(batch)
        q = model.encode(model.corrupt.given(batch.x), c)
        kl = kl_per_dimension(q, model.prior(c))
        if kl is None:
            return None
        sums = kl.double().flatten(1).sum(0) + (0 if sums is None else sums)
        means.append(q.mean.flatten(1))
    variance = torch.cat(means).double().var(0, correction=0)
    return {"kl": sums / len(feed), "variance": variance}  # pyright: ignore[reportOptionalOperand]


@torch.no_grad()
def scores(model: Autoencoder, batch: Batch) -> Tensor:
    """Log-likelihood bound of each row at the posterior mean, (B,), nats; higher is more normal.

    Each term of the training loss is evaluated at the mean code, so the score has no noise and
    does not depend on what else is in the batch. A KL without a closed form counts as the
    log q - log p of that code.
    """
    model.eval()
    c = model.condition(batch)
    q = model.encode(model.corrupt.given(batch.x), c)
    score = model.decode(q.mean.unsqueeze(0), c).log_prob(batch.x)[0]
    if not (isinstance(q, Density) and "density" in model.prior.traits):
        return score
    return score - divergence(q, model.prior(c), q.mean.unsqueeze(0))
