"""Codes on the unit sphere: von Mises-Fisher posteriors and the uniform prior."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function

from lemari.errors import UsageError
from lemari.latents.bessel import bessel_ratio, log_bessel
from lemari.latents.gaussian import soft_bound
from lemari.laws import closed_total

NODES, SHARES = (a.copy() for a in np.polynomial.legendre.leggauss(96))
LOG_2PI = math.log(2 * math.pi)


def log_area(size: int) -> float:
    """log of the area of the unit sphere in `size` dimensions.

    >>> round(math.exp(log_area(3)) / math.pi, 9)
    4.0
    """
    return math.log(2) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)


class Angle(Function):
    """The angle between a von Mises-Fisher draw and its mean direction, with an exact slope.

    The cosine is drawn by rejection (Wood 1994). Its slope in kappa does not go through the
    rejection, which would leave out how acceptance depends on kappa: at a fixed value of the
    distribution function G, d angle / d kappa = -(dG / d kappa) / (dG / d angle), and the first
    factor is an integral over [0, angle] that 96 nodes give to many digits.
    (Figurnov, Mohamed and Mnih 2018, arXiv:1805.08498)
    """

    @staticmethod
    def forward(ctx: Any, kappa: Tensor, size: int) -> Tensor:
        cosine = wood(kappa.double(), size)
        angle = cosine.clamp(-1, 1).acos().clamp(1e-9, math.pi - 1e-9)
        ctx.save_for_backward(kappa.double(), angle)
        ctx.size = size
        return angle.to(kappa.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        kappa, angle = ctx.saved_tensors
        return slopes[0] * angle_slope(kappa, angle, ctx.size).to(slopes[0].dtype), None


def angle_slope(kappa: Tensor, angle: Tensor, size: int) -> Tensor:
    """d angle / d kappa at a fixed value of the distribution function, float64."""
    nodes = torch.as_tensor(NODES, device=angle.device)
    shares = torch.as_tensor(SHARES, device=angle.device)
    end = angle.unsqueeze(-1)
    s = 0.5 * end * (nodes + 1)
    centre = bessel_ratio(0.5 * size - 1, kappa).unsqueeze(-1)
    log_ratio = kappa.unsqueeze(-1) * (s.cos() - end.cos())
    log_ratio = log_ratio + (size - 2) * (s.sin().log() - end.sin().log())
    inside = ((s.cos() - centre) * log_ratio.exp() * shares).sum(-1)
    return -0.5 * angle * inside


def wood(kappa: Tensor, size: int) -> Tensor:
    """Cosines of von Mises-Fisher draws with the mean direction, by rejection: like kappa.

    NaN where kappa is not finite, for training to notice.
    """
    d = size - 1
    root = (4 * kappa.square() + d * d).sqrt()
    b = d / (2 * kappa + root)
    a = 0.25 * (d + 2 * kappa + root)
    limit = 4 * a * b / (1 + b) - d * math.log(d)
    found, open_ = torch.full_like(kappa, math.nan), kappa.isfinite()
    beta = torch.distributions.Beta(kappa.new_tensor(0.5 * d), kappa.new_tensor(0.5 * d))
    while bool(open_.any()):
        e = beta.sample(kappa.shape)
        w = (1 - (1 + b) * e) / (1 - (1 - b) * e)
        t = 2 * a * b / (1 - (1 - b) * e)
        taken = open_ & (d * t.log() - t + limit >= torch.rand_like(kappa).log())
        found, open_ = torch.where(taken, w, found), open_ & ~taken
    return found


class VonMisesFisher:
    """Density in proportion to exp(kappa direction.z) on the unit sphere.

    Shapes: direction (B, D) of length 1, kappa (B,). `mean` is the mean direction: the point of
    the sphere that the draws surround, not their average, which lies inside.
    """

    def __init__(self, direction: Tensor, kappa: Tensor, shape: tuple[int, ...]) -> None:
        self.direction, self.kappa, self.shape, self.event = direction, kappa, shape, len(shape)

    @property
    def size(self) -> int:
        return self.direction.shape[-1]

    @property
    def mean(self) -> Tensor:
        return self.direction.unflatten(-1, self.shape)

    def rsample(self, k: int = 1) -> Tensor:
        angle = Angle.apply(self.kappa.expand(k, -1), self.size).unsqueeze(-1)  # pyright: ignore
        noise = torch.randn_like(self.direction.expand(k, *self.direction.shape))
        along = (noise * self.direction).sum(-1, keepdim=True) * self.direction
        across = nn.functional.normalize(noise - along, dim=-1)
        return (angle.cos() * self.direction + angle.sin() * across).unflatten(-1, self.shape)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    @property
    def log_constant(self) -> Tensor:
        """log of the factor before the exponential: (B,)."""
        order = 0.5 * self.size - 1
        return order * self.kappa.log() - 0.5 * self.size * LOG_2PI - log_bessel(order, self.kappa)

    def log_prob(self, value: Tensor) -> Tensor:
        cosine = (value.flatten(-self.event) * self.direction).sum(-1)
        return self.kappa * cosine + self.log_constant

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A law on the sphere has no density per dimension; use log_prob.")


class SphereUniform:
    """Every point of the unit sphere alike. Its `mean` is the centre, 0."""

    def __init__(self, batch: int, shape: tuple[int, ...], like: Tensor) -> None:
        self.shape, self.event = shape, len(shape)
        self.mean = like.expand(batch, *shape)

    def rsample(self, k: int = 1) -> Tensor:
        noise = torch.randn_like(self.mean.expand(k, *self.mean.shape))
        return nn.functional.normalize(noise.flatten(-self.event), dim=-1).view(noise.shape)

    def sample(self, k: int = 1) -> Tensor:
        return self.rsample(k)

    def tempered(self, temperature: float) -> SphereUniform:
        """Itself: all directions are equally likely, and none is nearer to a middle."""
        return self

    def log_prob(self, value: Tensor) -> Tensor:
        lead = value.shape[: value.dim() - self.event]
        return value.new_full(lead, -log_area(math.prod(self.shape)))

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A law on the sphere has no density per dimension; use log_prob.")


@closed_total(VonMisesFisher, SphereUniform)
def kl_sphere(q: VonMisesFisher, p: SphereUniform, z: Tensor) -> Tensor:
    """KL from the uniform law, (B,) nats: it depends on kappa alone."""
    length = bessel_ratio(0.5 * q.size - 1, q.kappa)
    return q.kappa * length + q.log_constant + log_area(q.size)


class Directional(nn.Module):
    """Posterior on the sphere: a direction, and one kappa, from the encoder's output.

    The first half of the output is the direction before it is brought to length 1. The mean of the
    second half is log(kappa / D), kept between -6 and 6 by a soft bound: kappa near the dimension
    D is where draws begin to stay on one side of the sphere.
    """

    heads = 2
    traits = frozenset({"density"})

    def forward(self, h: Tensor) -> VonMisesFisher:
        first, second = h.chunk(2, 1)
        way = first.flatten(1)
        kappa = way.shape[1] * soft_bound(second.flatten(1).mean(1), -6.0, 6.0).exp()
        direction = nn.functional.normalize(way, dim=1)
        return VonMisesFisher(direction, kappa, tuple(first.shape[1:]))


class SpherePrior(nn.Module):
    """The uniform law on the unit sphere of codes of shape Z."""

    traits = frozenset({"density"})
    zero: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        if math.prod(shape) < 2:
            raise UsageError("A sphere needs a code of at least 2 numbers; raise --latent.")
        self.shape = shape
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, c: Tensor) -> SphereUniform:
        return SphereUniform(len(c), self.shape, self.zero)
