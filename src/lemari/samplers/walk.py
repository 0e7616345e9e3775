"""A random walk over the training codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemari.errors import ModelFileError
from lemari.samplers.base import Codes, Parts, Sampler

NEIGHBOURS, STEPS = 5, 3


@dataclass
class Walk(Sampler):
    """Start at a training code, step three times to one of its five nearest neighbours, and end at
    a random place on the way of the last step.

    It stays where codes are, however bent their manifold is.
    """

    codes: Tensor  # (N, D)
    neighbours: Tensor  # (N, 5) positions of the nearest others, int64

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        return cls(codes.z.clone(), nearest(codes.z, NEIGHBOURS))

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        made = super().from_tensors(tensors, parts)
        ways = made.neighbours
        if ways.dtype != torch.int64 or ways.min() < 0 or ways.max() >= len(made.codes):
            raise ModelFileError("The saved walk leads nowhere; fit it anew with --refit.")
        return made

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        here = before = torch.randint(len(self.codes), (count,))
        for _ in range(STEPS):
            way = torch.randint(self.neighbours.shape[1], (count,))
            before, here = here, self.neighbours[here, way]
        return torch.lerp(self.codes[before], self.codes[here], torch.rand(count, 1))


def nearest(z: Tensor, k: int) -> Tensor:
    """Positions of the k nearest other rows of each row (N, D): (N, k)."""
    found = []
    for first in range(0, len(z), 1000):
        block = z[first : first + 1000]
        far = torch.cdist(block, z)
        far[torch.arange(len(block)), first + torch.arange(len(block))] = torch.inf
        found.append(far.topk(k, largest=False).indices)
    return torch.cat(found)
