"""The code of a plain autoencoder: one point, no spread."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import Point


class PointCode(nn.Module):
    """Posterior with all its mass on the encoder's output."""

    heads = 1
    traits = frozenset({"point"})

    def forward(self, h: Tensor) -> Point:
        return Point(h, event=h.dim() - 1)


class NoPrior(nn.Module):
    """In the place of a prior where codes are pictures, which nothing draws: one point at 0."""

    traits = frozenset({"point"})

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, c: Tensor) -> Point:
        return Point(c.new_zeros(()).expand(len(c), *self.shape), event=len(self.shape))
