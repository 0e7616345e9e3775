"""Codes of two levels: the top first, then the lower level given the top."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.latents.gaussian import soft_bound
from lemari.laws import Normal, closed_total, kl_normal


class Chain:
    """p(top) p(lower | top), in one code whose last numbers are the top.

    `given` makes the law of the lower numbers from top numbers (K, B, T). Its `mean` follows the
    means: the top's, and the lower's at that top.
    """

    def __init__(
        self, top: Normal, given: Callable[[Tensor], Normal], shape: tuple[int, ...]
    ) -> None:
        self.top, self.given, self.shape, self.event = top, given, shape, len(shape)

    def joined(self, lower: Tensor, top: Tensor) -> Tensor:
        return torch.cat((lower, top), -1).unflatten(-1, self.shape)

    def parts(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and top numbers of a code."""
        flat, count = z.flatten(-self.event), self.top.mean.shape[-1]
        return flat[..., :-count], flat[..., -count:]

    @property
    def mean(self) -> Tensor:
        top = self.top.mean
        return self.joined(self.given(top.unsqueeze(0)).mean[0], top)

    def rsample(self, k: int = 1) -> Tensor:
        top = self.top.rsample(k)
        return self.joined(self.given(top).rsample()[0], top)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        lower, top = self.parts(value)
        return self.top.log_prob(top) + self.given(top).log_prob(lower)

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A chain has no density per dimension; use log_prob.")


@closed_total(Chain, Chain)
def kl_chain(q: Chain, p: Chain, z: Tensor) -> Tensor:
    """KL of the tops, and of the lower levels averaged over the drawn tops: (B,), nats."""
    _, top = q.parts(z)
    lower = kl_normal(q.given(top), p.given(top)).sum(-1).mean(0)
    return kl_normal(q.top, p.top).sum(-1) + lower


class TopDown(nn.Module):
    """Prior N(0, I) on the top third of the code; a network gives the normal of the rest."""

    traits = frozenset({"density"})
    zero: Tensor

    def __init__(self, *shape: int, hidden: int = 64) -> None:
        super().__init__()
        size = math.prod(shape)
        if size < 2:
            raise UsageError("A ladder needs a code of at least 2 numbers; raise --latent.")
        self.shape, self.top = shape, max(1, size // 3)
        self.net = nn.Sequential(
            nn.Linear(self.top, hidden), nn.ReLU(), nn.Linear(hidden, 2 * (size - self.top))
        )
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def lower(self, top: Tensor) -> Normal:
        mean, log_sigma = self.net(top).chunk(2, -1)
        return Normal(mean, soft_bound(log_sigma, -9.0, 6.0))

    def forward(self, c: Tensor) -> Chain:
        zero = self.zero.expand(len(c), self.top)
        return Chain(Normal(zero, zero), self.lower, self.shape)


class BottomUp(nn.Module):
    """Posterior whose lower level joins what the example says with what the top says.

    The two normals of the lower level, one from the encoder and one from the prior's network
    given the drawn top, are multiplied: the precisions add, and weigh the means. The prior is
    borrowed by `borrow`, neither saved nor trained twice. (Sonderby et al. 2016, arXiv:1602.02282)
    """

    heads = 2
    traits = frozenset({"density"})
    lender: tuple[Any, ...] = ()

    def borrow(self, prior: TopDown) -> None:
        """Take the top-down network of this prior."""
        self.lender = (prior,)

    def forward(self, h: Tensor) -> Chain:
        (prior,) = self.lender
        mean, log_sigma = (part.flatten(1) for part in h.chunk(2, 1))
        log_sigma, count = soft_bound(log_sigma, -9.0, 6.0), prior.top
        seen = Normal(mean[:, :-count], log_sigma[:, :-count])
        top = Normal(mean[:, -count:], log_sigma[:, -count:])
        return Chain(top, lambda z: product(seen, prior.lower(z)), prior.shape)


def product(a: Normal, b: Normal) -> Normal:
    """The normal in proportion to the product of two densities."""
    precise_a, precise_b = (-2 * a.log_sigma).exp(), (-2 * b.log_sigma).exp()
    precise = precise_a + precise_b
    return Normal((a.mean * precise_a + b.mean * precise_b) / precise, -0.5 * precise.log())
