"""Probability laws: what posteriors, priors and decoders return.

A law has a batch shape and an event shape; `log_prob` sums over the event and is in nats. They
carry no argument checks and build no intermediate objects, because one training step of a small
network takes a fifth of a millisecond and `torch.distributions` would spend a third of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@runtime_checkable
class Law(Protocol):
    """A distribution over events of `event` trailing dimensions."""

    event: int

    @property
    def mean(self) -> Tensor: ...
    def rsample(self, k: int = 1) -> Tensor: ...
    def sample(self, k: int = 1) -> Tensor: ...


@runtime_checkable
class Density(Law, Protocol):
    """A law whose log-density or log-mass is known."""

    def log_density(self, value: Tensor) -> Tensor: ...
    def log_prob(self, value: Tensor) -> Tensor: ...


def total(values: Tensor, event: int) -> Tensor:
    """Sum over the last `event` dimensions."""
    return values.sum(tuple(range(-event, 0))) if event else values


def widened(h: Tensor) -> Tensor:
    """bfloat16 as float32; wider numbers as they are. Laws and losses never see half precision."""
    return h.float() if h.dtype in (torch.bfloat16, torch.float16) else h


class Point:
    """All mass on one value: the code of a plain autoencoder. It has no density."""

    def __init__(self, value: Tensor, event: int = 1) -> None:
        self.value, self.event = value, event

    @property
    def mean(self) -> Tensor:
        return self.value

    def rsample(self, k: int = 1) -> Tensor:
        return self.value.unsqueeze(0) if k == 1 else self.value.expand(k, *self.value.shape)

    def sample(self, k: int = 1) -> Tensor:
        return self.rsample(k).detach()


class Normal:
    """Independent normals, one sigma for each value."""

    def __init__(self, mean: Tensor, log_sigma: Tensor, event: int = 1) -> None:
        self.mean, self.log_sigma, self.event = mean, log_sigma, event

    @property
    def sigma(self) -> Tensor:
        return self.log_sigma.exp()

    def rsample(self, k: int = 1) -> Tensor:
        noise = torch.randn((k, *self.mean.shape), device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + self.sigma * noise

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_density(self, value: Tensor) -> Tensor:
        scaled = (value - self.mean) * (-self.log_sigma).exp()
        return -0.5 * scaled.square() - self.log_sigma - HALF_LOG_2PI

    def log_prob(self, value: Tensor) -> Tensor:
        return total(self.log_density(value), self.event)


class Isotropic:
    """Independent normals that share one variance, a number or a tensor of no dimensions."""

    def __init__(self, mean: Tensor, variance: float | Tensor, event: int = 1) -> None:
        self.mean, self.variance, self.event = mean, variance, event

    @property
    def log_scale(self) -> float | Tensor:
        """log(sigma sqrt(2 pi)): what each value adds to the negative log-density."""
        v = self.variance
        return 0.5 * (v.log() if isinstance(v, Tensor) else math.log(v)) + HALF_LOG_2PI

    def rsample(self, k: int = 1) -> Tensor:
        noise = torch.randn((k, *self.mean.shape), device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + self.variance**0.5 * noise

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_density(self, value: Tensor) -> Tensor:
        return (value - self.mean).square() * (-0.5 / self.variance) - self.log_scale

    def log_prob(self, value: Tensor) -> Tensor:
        mean = self.mean
        if value.dim() == mean.dim() - 1:
            value = value.unsqueeze(0)
        if mean.shape != value.shape:
            mean, value = torch.broadcast_tensors(mean, value)
        error = total(F.mse_loss(mean, value, reduction="none"), self.event)
        size = math.prod(mean.shape[mean.dim() - self.event :])
        if isinstance(self.variance, Tensor):
            return error * (-0.5 / self.variance) - size * self.log_scale
        return torch.rsub(error, -size * self.log_scale, alpha=0.5 / self.variance)


class Student:
    """Multivariate Student t around `mean` (..., *E): a normal whose variance is unknown.

    The variance that all values of one example share has been integrated out, with an inverse
    gamma law of `freedom` degrees of freedom around `scale`^2. So each example is weighed by its
    own error: the slope of -log p is that of the logarithm of the squared error.
    (Kotz and Nadarajah 2004, Multivariate t Distributions)
    """

    freedom = 4.0  # the smallest whole number with both a variance and a heavy tail

    def __init__(self, mean: Tensor, scale: float | Tensor, event: int = 1) -> None:
        self.mean, self.scale, self.event = mean, scale, event

    def rsample(self, k: int = 1) -> Tensor:
        mean, n = self.mean, self.freedom
        noise = torch.randn((k, *mean.shape), device=mean.device, dtype=mean.dtype)
        batch = noise.shape[: noise.dim() - self.event]
        drawn = torch.distributions.Chi2(mean.new_tensor(n)).sample(batch)
        return mean + self.scale * (n / drawn).sqrt().view(*batch, *[1] * self.event) * noise

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        n, size = self.freedom, math.prod(self.mean.shape[self.mean.dim() - self.event :])
        spread = n * torch.as_tensor(self.scale, dtype=self.mean.dtype) ** 2
        error = total((value - self.mean).square(), self.event)
        constant = math.lgamma((n + size) / 2) - math.lgamma(n / 2) - size / 2 * math.log(math.pi)
        half = (n + size) / 2
        return constant + n / 2 * spread.log() - half * (spread + error).log()

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A multivariate t has no density per value; use log_prob.")


class FullNormal:
    """Correlated normals: mean (B, *E) and `factor` (D, D) with covariance factor @ factor.T."""

    def __init__(self, mean: Tensor, factor: Tensor, event: int = 1) -> None:
        self.mean, self.factor, self.event = mean, factor, event

    def rsample(self, k: int = 1) -> Tensor:
        noise = torch.randn((k, *self.mean.shape), device=self.mean.device, dtype=self.mean.dtype)
        turned = noise.flatten(-self.event) @ self.factor.T
        return self.mean + turned.view(noise.shape)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        off = (value - self.mean).flatten(-self.event)
        white = torch.linalg.solve_triangular(self.factor, off.unsqueeze(-1), upper=False)
        size = self.factor.diagonal().log().sum() + off.shape[-1] * HALF_LOG_2PI
        return -0.5 * white.square().sum((-2, -1)) - size

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A correlated normal has no density per dimension; use log_prob.")


class Bernoulli:
    """Independent Bernoulli laws, given by logits.

    For a grey value x between 0 and 1 the log-mass is the cross-entropy
    x log p + (1 - x) log(1 - p), whose best value is not 0 but minus the entropy of x.
    """

    def __init__(self, logits: Tensor, event: int = 1) -> None:
        self.logits, self.event = logits, event

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()

    def rsample(self, k: int = 1) -> Tensor:
        return self.sample(k)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(k, *self.logits.shape))

    def log_density(self, value: Tensor) -> Tensor:
        logits, value = torch.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def log_prob(self, value: Tensor) -> Tensor:
        return total(self.log_density(value), self.event)


KL: dict[tuple[type, type], Callable] = {}


def closed_form(q: type, p: type) -> Callable[[Callable], Callable]:
    """Register the exact KL(q || p) of two kinds of law."""

    def register(function: Callable) -> Callable:
        KL[q, p] = function
        return function

    return register


@closed_form(Normal, Normal)
def kl_normal(q: Normal, p: Normal) -> Tensor:
    """KL per dimension of two diagonal normals, shape batch + event, in nats."""
    ratio = 2 * (q.log_sigma - p.log_sigma)
    return 0.5 * (ratio.exp() + ((q.mean - p.mean) * (-p.log_sigma).exp()).square() - 1 - ratio)


TOTAL: dict[tuple[type, type], Callable] = {}


def closed_total(q: type, p: type) -> Callable[[Callable], Callable]:
    """Register a KL(q || p) that does not split by dimension: function(q, p, z) -> (B,).

    For a KL that is exact as a whole, or that needs fewer of the drawn codes `z` (K, B, *Z) than
    log q - log p does.
    """

    def register(function: Callable) -> Callable:
        TOTAL[q, p] = function
        return function

    return register


def kl_per_dimension(q: Law, p: Law) -> Tensor | None:
    """KL(q || p) of each dimension where a closed form is known, else None."""
    function = KL.get((type(q), type(p)))
    return None if function is None else function(q, p)


def divergence(q: Density, p: Density, z: Tensor) -> Tensor:
    """KL(q || p) in nats, shape (B,): exact where known, else log q - log p averaged over `z`.

    Shapes: z (K, B, *Z), drawn from q.
    """
    exact = kl_per_dimension(q, p)
    if exact is not None:
        return total(exact, q.event)
    whole = TOTAL.get((type(q), type(p)))
    if whole is not None:
        return whole(q, p, z)
    return (q.log_prob(z) - p.log_prob(z)).mean(0)
