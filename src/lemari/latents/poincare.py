"""Codes in the Poincare ball, a model of hyperbolic space: room for trees.

All formulas are for a ball of curvature -c, so of radius 1 / sqrt(c).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.latents.gaussian import soft_bound
from lemari.laws import Normal


def inside(z: Tensor, c: float) -> Tensor:
    """Points moved just within the ball, where rounding has put them on its edge or beyond."""
    most = (1 - (1e-5 if z.dtype == torch.float32 else 1e-10)) / math.sqrt(c)
    length = z.norm(dim=-1, keepdim=True).clamp(min=1e-15)
    return torch.where(length > most, z * (most / length), z)


def added(a: Tensor, b: Tensor, c: float) -> Tensor:
    """Mobius addition, the ball's translation: b moved as the origin is moved to a."""
    ab = (a * b).sum(-1, keepdim=True)
    aa, bb = a.square().sum(-1, keepdim=True), b.square().sum(-1, keepdim=True)
    above = (1 + 2 * c * ab + c * bb) * a + (1 - c * aa) * b
    return above / (1 + 2 * c * ab + c * c * aa * bb).clamp(min=1e-15)


def wrapped(v: Tensor, c: float) -> Tensor:
    """The point at distance |v| from the origin, in the direction of v."""
    length = v.norm(dim=-1, keepdim=True).clamp(min=1e-15)
    return inside(torch.tanh(0.5 * math.sqrt(c) * length) * v / (math.sqrt(c) * length), c)


def unwrapped(z: Tensor, c: float) -> Tensor:
    """The inverse of `wrapped`."""
    z = inside(z, c)
    length = z.norm(dim=-1, keepdim=True).clamp(min=1e-15)
    return 2 * torch.atanh(math.sqrt(c) * length) * z / (math.sqrt(c) * length)


class WrappedNormal:
    """N(0, sigma^2) wrapped around the ball at `centre`, as a sheet of paper around a globe.

    A draw v of the normal becomes the point at distance |v| from the centre in v's direction. The
    density is that of the coordinates of the ball, so that it integrates to 1 over it as any
    density does. Shapes: centre, log_sigma (B, D). (Nagano et al. 2019, arXiv:1902.02992)
    """

    def __init__(self, centre: Tensor, log_sigma: Tensor, c: float, shape: tuple[int, ...]) -> None:
        self.centre, self.log_sigma, self.c, self.shape = centre, log_sigma, c, shape
        self.event = len(shape)

    @property
    def mean(self) -> Tensor:
        return self.centre.unflatten(-1, self.shape)

    @property
    def tangent(self) -> Normal:
        return Normal(torch.zeros_like(self.log_sigma), self.log_sigma)

    def rsample(self, k: int = 1) -> Tensor:
        around = wrapped(self.tangent.rsample(k), self.c)
        return inside(added(self.centre, around, self.c), self.c).unflatten(-1, self.shape)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        z = inside(value.flatten(-self.event), self.c)
        v = unwrapped(added(-self.centre, z, self.c), self.c)
        reach = math.sqrt(self.c) * v.norm(dim=-1).clamp(min=1e-15)
        size = z.shape[-1]
        stretch = math.log(2) - torch.log1p(-self.c * z.square().sum(-1))
        return self.tangent.log_prob(v) - (size - 1) * log_sinhc(reach) + size * stretch

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A wrapped normal has no density per dimension; use log_prob.")


def log_sinhc(x: Tensor) -> Tensor:
    """log(sinh(x) / x) for x >= 0: how much a circle of this radius is longer than a flat one."""
    small = x < 1e-2
    safe = torch.where(small, torch.ones_like(x), x)
    large = safe + torch.log1p(-(-2 * safe).exp()) - math.log(2) - safe.log()
    return torch.where(small, x.square() / 6, large)


class WrappedPosterior(nn.Module):
    """A wrapped normal from the encoder's output: centre (wrapped from the origin) and log sigma.

    The tangent vector that becomes the centre is kept shorter than 8 by a soft bound, because
    single precision cannot tell points further out from the edge.
    """

    heads = 2
    traits = frozenset({"density"})

    def __init__(self, curvature: float = 1.0) -> None:
        super().__init__()
        if not 0 < curvature < math.inf:
            raise UsageError(f"curvature must be above 0, but is {curvature}.")
        self.c = curvature

    def forward(self, h: Tensor) -> WrappedNormal:
        first, second = h.chunk(2, 1)
        way, most = first.flatten(1), 8 / math.sqrt(self.c)
        length = way.norm(dim=1, keepdim=True).clamp(min=1e-15)
        centre = wrapped(way * (most * torch.tanh(length / most) / length), self.c)
        log_sigma = soft_bound(second.flatten(1), -9.0, 2.0)
        return WrappedNormal(centre, log_sigma, self.c, tuple(first.shape[1:]))


class WrappedPrior(nn.Module):
    """The wrapped standard normal at the origin of the ball."""

    traits = frozenset({"density"})
    zero: Tensor

    def __init__(self, *shape: int, curvature: float = 1.0) -> None:
        super().__init__()
        self.shape, self.c = shape, curvature
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, c: Tensor) -> WrappedNormal:
        zero = self.zero.expand(len(c), math.prod(self.shape))
        return WrappedNormal(zero, zero, self.c, self.shape)
