"""The code of a plain autoencoder: one point, no spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lemari.laws import Point


class PointCode(nn.Module):
    """Posterior with all its mass on the encoder's output."""

    heads = 1
    traits = frozenset({"point"})

    def forward(self, h: Tensor) -> Point:
        return Point(h, event=h.dim() - 1)


class StandardisedCode(nn.Module):
    """A point code, each number of which has mean 0 and variance 1 over the training rows.

    In training that is over the batch, and a running mean of both is kept; in use, and for an
    example alone, the running values serve. It takes from a critic what needs no critic, the place
    and the scale of the codes, by whose drift the two would otherwise chase each other.
    """

    heads = 1
    traits = frozenset({"point"})
    centre: Tensor
    variance: Tensor
    seen: Tensor

    def shape_to(self, *code: int) -> None:
        """Make room for codes of this shape."""
        self.register_buffer("centre", torch.zeros(code))
        self.register_buffer("variance", torch.ones(code))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, h: Tensor) -> Point:
        variance, centre = self.variance, self.centre
        if self.training and len(h) > 1:
            variance, centre = torch.var_mean(h, 0, correction=0)
            self.observe(variance.detach(), centre.detach())
        return Point((h - centre) * (variance + 1e-5).rsqrt(), event=h.dim() - 1)

    @torch.no_grad()
    def observe(self, variance: Tensor, centre: Tensor) -> None:
        """Take the moments of one training batch into the running ones."""
        self.seen += 1
        share = torch.clamp(1 / self.seen, min=0.05).to(centre.dtype)
        self.variance.lerp_(variance, share)
        self.centre.lerp_(centre, share)


class NoPrior(nn.Module):
    """In the place of a prior where codes are pictures, which nothing draws: one point at 0."""

    traits = frozenset({"point"})

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, c: Tensor) -> Point:
        return Point(c.new_zeros(()).expand(len(c), *self.shape), event=len(self.shape))
