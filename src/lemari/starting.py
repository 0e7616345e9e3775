"""What comes before the first step: seeds, the decoder's last bias, a look at the training rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from lemari.feed import Feed
from lemari.model import Autoencoder, likelihood_of


def mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers, well spread (splitmix64 of each in turn)."""
    state = 0
    for number in numbers:
        state = (state ^ number) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Run a block under its own random state, and give the caller's back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def start_at_mean(model: Autoencoder, feed: Feed, most: int = 5000) -> None:
    """Set the decoder's last bias so that training starts from the mean example.

    Otherwise the first steps can drive every output of mostly dark pictures so far below zero
    that a squared error through the sigmoid has no slope left, and the model stays black for
    ever. Published networks keep the start that their source has.
    """
    layers = [m for m in model.decoder.net.modules() if getattr(m, "bias", None) is not None]
    if not layers or getattr(model.decoder.net, "published", False):
        return
    some = np.arange(len(feed))[:: math.ceil(len(feed) / most)]
    centre = sum(batch.x.double().sum(0) for batch in feed.batches(16, some)) / len(some)
    bias, link = layers[-1].bias, likelihood_of(model).link
    if bias.numel() == centre.numel():  # pyright: ignore[reportAttributeAccessIssue]
        start = link(centre.flatten())  # pyright: ignore[reportAttributeAccessIssue]
    else:
        channels = centre.flatten(1).mean(1)  # pyright: ignore[reportAttributeAccessIssue]
        start = link(channels).repeat_interleave(bias.numel() // len(channels))
    if bool(start.isfinite().all()):
        bias.copy_(start)


def prepare(model: Autoencoder, feed: Feed, seed: int) -> None:
    """Let priors, posteriors and terms look at the training rows before the first step."""
    with random_state(seed):
        for part in (model.posterior, model.prior, *model.terms):
            if hasattr(part, "prepare"):
                part.prepare(model, feed)
