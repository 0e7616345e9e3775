"""A law of codes for each class, also of models that were never told the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.samplers.base import Codes, Sampler, need_narrow
from lemari.samplers.mixture import around, components

SIZES = (1, 4, 12)


@dataclass
class ByClass(Sampler):
    """A mixture of normal laws for each class, which can be asked for one class.

    How many components each has is chosen on held-out codes; classes come as often as in training.
    """

    by_class = True
    weights: Tensor  # (M,) of all components, 1 in sum
    means: Tensor  # (M, D)
    factors: Tensor  # (M, D, D)
    owners: Tensor  # (M,) int64, the class of each component

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        need_narrow(codes, "A mixture for each class")
        if codes.y is None or codes.held_y is None or not (codes.y >= 0).any():
            raise UsageError(
                "The sampler class needs classes, which the training data has not; use mixture."
            )
        found = []
        for k in codes.y.unique():
            mine, held = codes.z[codes.y == k], codes.held[codes.held_y == k]
            if k >= 0 and len(mine) >= 2:
                sizes = SIZES if len(held) else SIZES[:1]
                w, m, f = components(mine, held if len(held) else mine, seed, sizes)
                found.append((w * len(mine), m, f, torch.full((len(w),), int(k))))
        weights, means, factors, owners = (torch.cat(parts) for parts in zip(*found, strict=True))
        return cls(weights / weights.sum(), means, factors, owners)

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        if y is None:
            chosen = torch.multinomial(self.weights, count, replacement=True)
            return around(chosen, self.means, self.factors)
        fits = self.weights * (self.owners == y[:, None])
        if not fits.any(1).all():
            raise UsageError(
                "The sampler class was fitted without this class, of which there was no example; "
                "ask for another."
            )
        return around(torch.multinomial(fits, 1).flatten(), self.means, self.factors)
