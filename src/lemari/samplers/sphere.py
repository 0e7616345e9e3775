"""Directions and lengths of codes, apart: for codes on a sphere, in a ball, or near a shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.samplers.base import Codes, Sampler
from lemari.samplers.kernel import chosen_width

EDGE = 1 - 1e-5  # of the unit ball, where hyperbolic distances become infinite


@dataclass
class Sphere(Sampler):
    """The direction of a training code, turned a little, with the length of that code.

    Codes on a sphere stay on it. The width of the turn is chosen on held-out directions.
    """

    codes: Tensor  # (N, D)
    width: Tensor  # ()

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        if codes.z.shape[1] < 2:
            raise UsageError("Codes of one number have no direction; use another sampler.")
        width = chosen_width(F.normalize(codes.z), F.normalize(codes.held))
        return cls(codes.z.clone(), torch.tensor(width))

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        start = self.codes[torch.randint(len(self.codes), (count,))]
        turned = F.normalize(start) + self.width * torch.randn_like(start)
        return F.normalize(turned) * start.norm(dim=1, keepdim=True)


@dataclass
class Disk(Sampler):
    """For codes within the unit ball, as a Poincare disk has them: a training code moved a little.

    The move is made in the tangent space at the centre, where distances from the centre are
    hyperbolic, so that no draw can leave the ball. (Nickel and Kiela 2017, arXiv:1705.08039)
    """

    tangents: Tensor  # (N, D)
    width: Tensor  # ()

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        longest = float(torch.cat((codes.z, codes.held)).norm(dim=1).max())
        if longest >= 1:
            raise UsageError(
                f"The sampler disk needs codes within the unit ball, but one has length "
                f"{longest:.3g}; use sphere."
            )
        tangents = to_tangent(codes.z)
        width = chosen_width(tangents, to_tangent(codes.held))
        return cls(tangents, torch.tensor(width))

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        start = self.tangents[torch.randint(len(self.tangents), (count,))]
        return from_tangent(start + self.width * torch.randn_like(start))


def to_tangent(z: Tensor) -> Tensor:
    """Points of the unit ball as vectors of the same direction and hyperbolic length / 2."""
    return F.normalize(z) * z.norm(dim=1, keepdim=True).clamp(max=EDGE).atanh()


def from_tangent(v: Tensor) -> Tensor:
    """The inverse of `to_tangent`."""
    return F.normalize(v) * v.norm(dim=1, keepdim=True).tanh().clamp(max=EDGE)
