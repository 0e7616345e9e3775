"""Training: one update, and the generator of records around it.

Everything random is a function of (seed, epoch, step): the order of the rows, the corruption,
the draws of the code. So training that was interrupted goes on to the same weights, bit for bit
(same machine, same threads), and nothing of a random state is ever stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lemari.augment import AUGMENTATIONS, augment
from lemari.errors import Diverged, UsageError
from lemari.feed import Feed
from lemari.model import Autoencoder, likelihood_of
from lemari.optimise import Adam
from lemari.schedule import Constant, Cosine
from lemari.starting import mix, prepare, random_state, start_at_mean
from lemari.types import Batch, Epoch, Pulse

PULSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `schedule` is constant or cosine; `lr` its highest value.

    With `patience` N, training stops when the loss on the validation rows has not improved for N
    epochs, and ends with the weights of the best epoch.
    """

    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0
    schedule: str = "cosine"
    augment: str = "none"
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise UsageError(
                f"epochs and batch size must be at least 1, but are {self.epochs} and "
                f"{self.batch_size}."
            )
        if not (0 < self.lr < math.inf):
            raise UsageError(f"The learning rate must be above 0, but is {self.lr}; try 1e-3.")
        if self.schedule not in ("constant", "cosine"):
            raise UsageError(f"schedule is constant or cosine, not {self.schedule!r}.")
        if self.augment not in AUGMENTATIONS:
            raise UsageError(f"augment is {', '.join(AUGMENTATIONS)}, not {self.augment!r}.")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience must be at least 1 epoch, but is {self.patience}.")


@dataclass(frozen=True, slots=True)
class Best:
    """The epoch with the lowest loss on the validation rows (nats per example), and its weights."""

    epoch: int
    loss: float
    weights: dict[str, Tensor]


def update(model: Autoencoder, optimiser: Adam, batch: Batch, step: int) -> dict[str, Tensor]:
    """One step of descent. Returns the mean of each term over the batch, in nats, detached."""
    trace = model(batch, step)
    optimiser.clear()
    values: dict[str, Tensor] = {}
    groups: dict[tuple[str, ...], Tensor] = {}
    for term in model.terms:
        value = term(trace, model).mean()
        values[term.name] = value.detach()
        weight = term.weight(step)
        weighted = value if weight == 1 else value * weight
        before = groups.get(term.trains)
        groups[term.trains] = weighted if before is None else before + weighted
    backward(model, groups)
    optimiser.step()
    likelihood_of(model).observe(trace.p, batch.x, batch.w)
    return values


def backward(model: nn.Module, groups: dict[tuple[str, ...], Tensor]) -> None:
    """Each sum of terms sends its gradient into the parts that it trains, and nowhere else."""
    if len(groups) == 1:
        (parts, loss), *_ = groups.items()
        if model._modules.keys() <= {*parts, "terms"}:
            loss.backward()
            return
    for parts, loss in groups.items():
        parameters = [p for part in parts for p in getattr(model, part).parameters()]
        if not parameters:
            continue
        slopes = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        for parameter, slope in zip(parameters, slopes, strict=True):
            if slope is not None:
                parameter.grad = slope if parameter.grad is None else parameter.grad + slope


class Training:
    """A model, its optimiser and how far they have come: all that a checkpoint must hold.

    `valid` are rows for the loss at each epoch's end; with patience, they decide when to stop, so
    nothing may be scored on them later.
    """

    def __init__(
        self, model: Autoencoder, feed: Feed, plan: Plan, valid: Feed | None = None
    ) -> None:
        if plan.patience and not valid:
            raise UsageError("patience needs validation rows; give some, or leave patience out.")
        self.model, self.feed, self.plan, self.valid = model, feed, plan, valid
        start_at_mean(model, feed)
        prepare(model, feed, plan.seed)
        self.optimiser = Adam(model, plan.lr)
        self.steps = math.ceil(len(feed) / plan.batch_size)
        self.epoch, self.step, self.sums, self.seconds = 0, 0, {}, 0.0
        all_steps = plan.epochs * self.steps
        warm = min(200, all_steps // 20)
        self.rate = (
            Cosine(plan.lr, all_steps, warm) if plan.schedule == "cosine" else Constant(plan.lr)
        )
        self.good: dict[str, Tensor] = self.snapshot()
        self.best: Best | None = None

    @property
    def finished(self) -> bool:
        """All epochs are done, or as many as patience allows went by without a better one."""
        most = self.plan.epochs
        if self.plan.patience and self.best:
            most = min(most, self.best.epoch + self.plan.patience)
        return self.epoch >= most

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of the weights."""
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def run(self) -> Iterator[Pulse | Epoch]:
        """Train to the end. Yields a Pulse a few times a second and an Epoch at each epoch's end.

        At every yield the object is consistent: it may be saved, and training may stop there.
        At the end, with patience, the weights of the best epoch are put back. Raises Diverged,
        with the weights of the last good epoch put back, when a loss is not finite.
        """
        while not self.finished:
            yield from self.one_epoch()
        if self.best:
            self.model.load_state_dict(self.best.weights)

    def one_epoch(self) -> Iterator[Pulse | Epoch]:
        order = self.feed.order(np.random.default_rng(mix(self.plan.seed, self.epoch)))
        batches = self.feed.batches(self.plan.batch_size, order, self.step)
        while self.step < self.steps:
            self.some_steps(batches)
            if self.step < self.steps:
                loss = self.check()
                yield Pulse(self.epoch, self.step, self.steps, loss)
        yield self.close_epoch()

    def some_steps(self, batches: Iterator[Batch]) -> None:
        """Steps for a quarter of a second, or to the end of the epoch, without reading a loss."""
        begin = time.perf_counter()
        self.model.train()
        with torch.random.fork_rng(enabled=True):
            base = self.epoch * self.steps
            while self.step < self.steps:
                torch.default_generator.manual_seed(mix(self.plan.seed, self.epoch, self.step + 1))
                if self.feed.device.type == "cuda":
                    torch.cuda.manual_seed(mix(self.plan.seed, self.epoch, self.step + 1))
                batch = augment(self.plan.augment, next(batches))
                self.optimiser.lr = self.rate(base + self.step)
                self.add(update(self.model, self.optimiser, batch, base + self.step), batch)
                self.step += 1
                if time.perf_counter() - begin > PULSE_SECONDS:
                    break
        self.seconds += time.perf_counter() - begin

    def add(self, values: dict[str, Tensor], batch: Batch) -> None:
        """Sum each term over the rows seen in this epoch."""
        for name, value in values.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros((), dtype=torch.float64, device=value.device)
            self.sums[name].add_(value, alpha=len(batch.x))

    def means(self) -> dict[str, float]:
        """Mean of each term over the rows seen so far in this epoch."""
        rows = min(self.step * self.plan.batch_size, len(self.feed))
        return {name: float(value) / rows for name, value in self.sums.items()}

    def check(self) -> float:
        """The loss so far in this epoch; Diverged when it is not finite."""
        means = self.means()
        for name, value in means.items():
            if not math.isfinite(value):
                self.model.load_state_dict(self.good)
                raise Diverged(
                    f"The term {name!r} became {value} in epoch {self.epoch + 1}, by step "
                    f"{self.step} of {self.steps}; the weights of the last good epoch are kept. "
                    f"Lower the learning rate (now {self.plan.lr:g}; try "
                    f"{min(self.plan.lr / 10, 1e-3):g})."
                )
        return weighted(self.model, means, self.epoch * self.steps + self.step)

    def close_epoch(self) -> Epoch:
        loss, terms = self.check(), self.means()
        valid = measure(self.model, self.valid, self.plan) if self.valid else {}
        record = Epoch(
            number=self.epoch + 1,
            loss=loss,
            terms=terms,
            valid=valid,
            seconds=self.seconds,
            rate=self.rate((self.epoch + 1) * self.steps - 1),
            measures=measures_of(self.model),
        )
        self.good = self.snapshot()
        self.epoch, self.step, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0
        lowest = self.best.loss if self.best else math.inf
        if self.plan.patience and valid["loss"] < lowest:
            self.best = Best(self.epoch, valid["loss"], self.good)
        return record


def measures_of(model: Autoencoder) -> dict[str, float]:
    """What the parts have to tell of an epoch beside the losses: sigma, the use of codes."""
    told = getattr(model.posterior, "measures", dict)
    return {"sigma": likelihood_of(model).sigma, **told()}


def weighted(model: Autoencoder, means: dict[str, float], step: int) -> float:
    """The loss: terms times their weights at this step."""
    return sum(term.weight(step) * means[term.name] for term in model.terms)


@torch.no_grad()
def measure(model: Autoencoder, feed: Feed, plan: Plan, most: int = 2000) -> dict[str, float]:
    """Loss, terms and mean squared error on (at most `most` of) the rows of a feed."""
    model.eval()
    sums: dict[str, float] = {}
    rows = min(most, len(feed))
    with random_state(plan.seed):
        for batch in feed.batches(plan.batch_size, np.arange(rows)):
            trace = model(batch)
            values = model.loss(trace)
            values["mse"] = (trace.p.mean - batch.x).square().mean(0).flatten(1).mean(1)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value.sum())
    means = {name: value / rows for name, value in sums.items()}
    return {"loss": weighted(model, means, 10**9), **means}
