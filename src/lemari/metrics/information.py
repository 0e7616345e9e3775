"""What a code tells of its example, and how far all codes together are from the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemari.feed import Feed
from lemari.model import Autoencoder
from lemari.starting import random_state
from lemari.types import Batch

ROWS = 2000
DRAWS = 2000  # of codes, over all rows
MOST_NUMBERS = 4_000_000  # of codes against posteriors at a time


@dataclass(frozen=True, slots=True)
class Information:
    """In nats a row: rate = mutual + marginal. `most` is the largest that `mutual` can be."""

    rate: float
    mutual: float
    marginal: float
    most: float


@torch.no_grad()
def information(model: Autoencoder, feed: Feed, rows: int = ROWS, seed: int = 0) -> Information:
    """Split the rate into what codes tell of the rows and the distance of all codes to the prior.

    The mean of KL(q(z|x) || p(z)) is the mutual information of row number and code plus
    KL(q(z) || p(z)), with q(z) the mean of all posteriors (Hoffman and Johnson 2016, "ELBO
    surgery"). All three are taken at draws from the first `rows` posteriors, 2,000 or more in all,
    and q(z) over the same rows, so mutual information cannot exceed the log of their number: a
    model that knows each row apart reaches it. For any posterior and prior with a density.
    """
    batch = feed.gather(np.arange(min(rows, len(feed))))
    model.eval()
    c = model.condition(batch)
    q = posteriors(model, batch)
    with random_state(seed):
        z = q.sample(math.ceil(DRAWS / len(batch.x)))
    own, prior = q.log_prob(z).double(), model.prior(c).log_prob(z).double()
    mixed = torch.stack([log_mean(model, batch, each) for each in z])
    mutual, marginal = float((own - mixed).mean()), float((mixed - prior).mean())
    return Information(float((own - prior).mean()), mutual, marginal, math.log(len(batch.x)))


def posteriors(model: Autoencoder, batch: Batch) -> Any:
    """q(z|x) of every row of the batch."""
    return model.encode(model.corrupt.given(batch.x), model.condition(batch))


def log_mean(model: Autoencoder, batch: Batch, z: Tensor) -> Tensor:
    """log of the mean density of all posteriors of the batch at each code: z (N, *Z) -> (N,)."""
    n, size = len(z), max(1, z[0].numel())
    step = max(1, int(math.sqrt(MOST_NUMBERS / size)))
    sums = torch.full((n,), -math.inf, dtype=torch.float64)
    for first in range(0, n, step):
        part = slice(first, first + step)
        y = None if batch.y is None else batch.y[part]
        q = posteriors(model, Batch(batch.x[part], y))
        width = len(batch.x[part])
        for at in range(0, n, step):
            codes = z[at : at + step, None].expand(-1, width, *z.shape[1:])
            found = q.log_prob(codes).double().logsumexp(1)
            sums[at : at + step] = torch.logaddexp(sums[at : at + step], found)
    return sums - math.log(n)
