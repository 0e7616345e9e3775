"""A short training of encoder and decoder as a plain autoencoder, before the training proper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lemari.optimise import Adam
from lemari.types import View

if TYPE_CHECKING:
    from lemari.feed import Feed

BATCH, RATE = 128, 1e-3


def pretrain(model: Any, feed: Feed, epochs: int) -> None:
    """Maximise log p(x | mean code) over `epochs` passes, in an order drawn by torch."""
    model.train()
    optimiser = Adam(model, RATE)
    for _ in range(epochs):
        order = torch.randperm(len(feed)).numpy()
        for batch in feed.batches(BATCH, order):
            c = model.condition(batch)
            p = model.decode(model.encode(View(batch.x), c).mean.unsqueeze(0), c)
            optimiser.clear()
            (-p.log_prob(batch.x).mean()).backward()
            optimiser.step()
            model.decoder.likelihood.observe(p, batch.x, batch.w)
    for parameter in model.parameters():
        parameter.grad = None


@torch.no_grad()
def codes_of(model: Any, feed: Feed, rows: np.ndarray) -> Tensor:
    """The mean codes of these rows of the feed: (N, D)."""
    model.eval()
    batches = feed.batches(4 * BATCH, rows)
    return torch.cat([model.encode(View(b.x), model.condition(b)).mean.flatten(1) for b in batches])
