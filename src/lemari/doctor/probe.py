"""Trying out a model: gradients, corruption, condition and codes, on a few rows."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from lemari.doctor.evidence import Probe, Told
from lemari.feed import Feed
from lemari.likelihoods import BernoulliLikelihood
from lemari.model import Autoencoder, likelihood_of
from lemari.train import random_state, update
from lemari.types import Batch

STEPS = (0, 1000, 10**9)  # a weight may be raised from 0, or lowered to it
ROWS, CODES = 64, 500
NUMBERS = 200_000  # of examples in a trial step, unless one is larger


def probe(model: Autoencoder, feed: Feed, seed: int = 0) -> Probe:
    """Everything that a trial of the model shows; the model is left as it was."""
    model.eval()
    likelihood = likelihood_of(model)
    squashed = bool(getattr(likelihood, "squash", False))
    codes, draws = code_draws(model, feed, seed)
    idle, died = idle_parameters(model, feed, seed)
    return Probe(
        bounded=squashed or isinstance(likelihood, BernoulliLikelihood),
        squashed=squashed,
        columns=model.data.columns,
        idle=idle,
        died=died,
        frozen=frozen_corruption(model, feed.gather(np.arange(min(ROWS, len(feed)))), seed),
        told=told(model, feed.gather(np.arange(min(CODES, len(feed))))),
        codes=codes,
        draws=draws,
    )


class Noted:
    """In the place of an optimiser: notes which parameters have a gradient, and moves none."""

    lr = 0.0

    def __init__(self, model: nn.Module) -> None:
        self.model, self.moved = model, set()

    def clear(self) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None

    def step(self) -> None:
        self.moved |= {n for n, p in self.model.named_parameters()
                       if p.grad is not None and bool(p.grad.any())}  # fmt: skip


def idle_parameters(
    model: Autoencoder, feed: Feed, seed: int = 0
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Trainable parameters without a gradient: those that never had one, and those that lost it.

    The latter have one again in a copy whose layers are drawn anew: they died in training.
    """
    trial = copy.deepcopy(model)
    idle = without_gradient(trial, feed, seed)
    if not idle:
        return (), ()
    with random_state(seed):
        for part in trial.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
    never = without_gradient(trial, feed, seed)
    return tuple(n for n in idle if n in never), tuple(n for n in idle if n not in never)


def without_gradient(trial: Autoencoder, feed: Feed, seed: int) -> list[str]:
    """Trainable parameters to which three training steps bring no gradient other than 0.

    The steps are real ones but for the optimiser, so they route gradients exactly as training
    does.
    """
    trial.train()
    trial.mixed = False
    noted = Noted(trial)
    few = max(2, min(ROWS, NUMBERS // trial.data.size))
    with random_state(seed), torch.enable_grad():
        for number, step in enumerate(STEPS):
            first = number * few % len(feed)
            order = np.arange(first, min(first + few, len(feed)))
            update(trial, noted, feed.gather(order), step)  # pyright: ignore[reportArgumentType]
    names = [n for n, p in trial.named_parameters() if p.requires_grad]
    return [n for n in names if n not in noted.moved]


@torch.no_grad()
def frozen_corruption(model: Autoencoder, batch: Batch, seed: int = 0) -> bool:
    """Whether what degrades the examples is random, but drawn once and for all.

    Two draws under different seeds are compared. Equal draws are right for a function of the
    example alone, such as a blur. So the examples are also exchanged among the places of the
    batch: such a function's results move along with them, noise tied to a place or a row number
    does not. Noise that is the same in every place shows as one difference for all examples.
    """
    if batch.given is not None or len(batch.x) < 2:
        return False
    with random_state(seed):
        first = model.corrupt(batch).x
    with random_state(seed + 1):
        second = model.corrupt(batch).x
        moved = model.corrupt(Batch(batch.x.roll(1, 0), batch.y, rows=batch.rows)).x
    if not torch.equal(first, second):
        return False
    if not torch.allclose(moved, first.roll(1, 0), atol=1e-6):
        return True
    return same_difference(batch.x, first)


def same_difference(x: Tensor, view: Tensor) -> bool:
    """Whether one pattern, other than 0, was added to all examples, though these differ."""
    if view.shape != x.shape or torch.equal(x, x.roll(1, 0)):
        return False
    off = view - x
    return bool(off.abs().max() > 1e-6) and torch.allclose(off, off.roll(1, 0), atol=1e-6)


@torch.no_grad()
def told(model: Autoencoder, batch: Batch) -> Told | None:
    """Squared error when encoder and decoder know the class, and when the decoder is told another.

    None for a model without a condition, or rows of fewer than two classes.
    """
    if not getattr(model.condition, "width", 0) or batch.y is None:
        return None
    known = batch.y >= 0
    batch = Batch(batch.x[known], batch.y[known])
    other = another_class(batch.y)  # pyright: ignore[reportArgumentType]
    if other is None:
        return None
    c = model.condition(batch)
    q = model.encode(model.corrupt.given(batch.x), c)
    lied = model.condition(Batch(batch.x, other))
    right, wrong = (
        float((model.decode(q.mean.unsqueeze(0), given).mean[0] - batch.x).square().mean())
        for given in (c, lied)
    )
    return Told(right, wrong, len(batch.x))


def another_class(y: Tensor) -> Tensor | None:
    """For each row the next class that occurs among the rows; None if there is only one."""
    classes, place = y.unique(return_inverse=True)
    return classes[(place + 1) % len(classes)] if len(classes) > 1 else None


@torch.no_grad()
def code_draws(
    model: Autoencoder, feed: Feed, seed: int = 0
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """A code of each of up to 500 rows, drawn from q(z | x), and as many from the prior: (N, D).

    None for a model whose prior has no density, which stands for none at all.
    """
    if "density" not in getattr(model.prior, "traits", ()):
        return None, None
    batch = feed.gather(np.arange(min(CODES, len(feed))))
    c = model.condition(batch)
    with random_state(seed):
        codes = model.encode(model.corrupt.given(batch.x), c).sample()[0]
        draws = model.prior(c).sample()[0]
    return codes.flatten(1).double().numpy(), draws.flatten(1).double().numpy()
