"""A training code, moved a little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemari.samplers.base import WIDEST, Codes, Sampler
from lemari.samplers.moments import cholesky, standard

WIDTHS = tuple(10 ** (step / 8) for step in range(-16, 1))  # 0.01 to 1 of the codes' own spread
JUDGES = 500  # held-out codes that a width is judged on


@dataclass
class Kernel(Sampler):
    """A training code plus normal noise of the codes' own shape and a width chosen on held-out
    codes (Parzen 1962).

    With a width of 0 it would repeat what it was fitted to.
    """

    codes: Tensor  # (N, D)
    factor: Tensor  # (D, D), or (D,) for wide codes
    width: Tensor  # ()

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        z = codes.z
        factor = standard(z)[1] if z.shape[1] > WIDEST else cholesky(z)
        width = chosen_width(whitened(z, factor), whitened(codes.held, factor))
        return cls(z.clone(), factor, torch.tensor(width))

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        start = self.codes[torch.randint(len(self.codes), (count,))]
        noise = self.width * torch.randn_like(start)
        return start + (noise * self.factor if self.factor.dim() == 1 else noise @ self.factor.T)


def whitened(z: Tensor, factor: Tensor) -> Tensor:
    """Codes in units in which they have no correlation."""
    if factor.dim() == 1:
        return z / factor
    return torch.linalg.solve_triangular(factor, z.T, upper=False).T


def chosen_width(z: Tensor, held: Tensor) -> float:
    """The width of a spherical normal kernel on codes (N, D) that makes `held` likeliest."""
    squares = torch.cdist(held[:JUDGES].double(), z.double()).square()
    size = z.shape[1]
    likelihoods = [
        float(torch.logsumexp(-squares / (2 * w * w), 1).mean()) - size * math.log(w)
        for w in WIDTHS
    ]
    return WIDTHS[max(range(len(WIDTHS)), key=likelihoods.__getitem__)]
