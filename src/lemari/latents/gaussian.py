"""Gaussian posterior, standard normal prior, and a normal fitted to codes after training."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lemari.laws import FullNormal, Law, Normal


class DiagonalGaussian(nn.Module):
    """Posterior N(mean, diag(sigma^2)): the encoder's first half is the mean, its second log sigma.

    log sigma is kept between -9 and 6 by a soft bound, so that a wild first step cannot overflow.
    """

    heads = 2
    traits = frozenset({"density", "gaussian"})

    def forward(self, h: Tensor) -> Normal:
        mean, log_sigma = h.chunk(2, 1)
        return Normal(mean, soft_bound(log_sigma, -9.0, 6.0), event=h.dim() - 1)


def soft_bound(x: Tensor, low: float, high: float) -> Tensor:
    """x itself near 0, bent smoothly so that it stays between `low` and `high`."""
    return torch.where(x < 0, low * torch.tanh(x / low), high * torch.tanh(x / high))


class StandardNormal(nn.Module):
    """Prior N(0, I) over codes of shape Z, whatever the condition."""

    traits = frozenset({"density", "gaussian"})
    zero: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, c: Tensor) -> Normal:
        zero = self.zero.expand(c.shape[0], *self.shape)
        return Normal(zero, zero, event=len(self.shape))


class FittedNormal(nn.Module):
    """A normal law with the mean and covariance of the training codes.

    For codes that nothing drew towards a prior: it says where they lie, so that new ones can be
    drawn there. `fit` is called once, after training; until then it is N(0, I). Codes of more
    than 1024 numbers keep only their variances.
    """

    traits = frozenset({"density"})
    widest = 1024
    centre: Tensor
    factor: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape, size = shape, math.prod(shape)
        full = size <= self.widest
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("factor", torch.eye(size) if full else torch.ones(size))

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Take mean and covariance from codes of shape (N, D)."""
        codes = codes.double()
        self.centre.copy_(codes.mean(0))
        off = codes - codes.mean(0)
        variance = off.square().mean(0)
        if self.factor.dim() == 1:
            self.factor.copy_(variance.clamp(min=1e-12).sqrt())
            return
        ridge = 1e-6 * variance.mean().clamp(min=1e-6)
        covariance = off.T @ off / len(codes) + ridge * torch.eye(codes.shape[1])
        self.factor.copy_(torch.linalg.cholesky(covariance))

    def forward(self, c: Tensor) -> Law:
        mean = self.centre.view(self.shape).expand(c.shape[0], *self.shape)
        if self.factor.dim() == 1:
            return Normal(mean, self.factor.log().view(self.shape).expand_as(mean), len(self.shape))
        return FullNormal(mean, self.factor, len(self.shape))
