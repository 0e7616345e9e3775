"""Codes from the model's own prior, as it is or nearer to its middle, and plain N(0, I)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.samplers.base import Codes, Draws, Parts, Sampler


class Prior(Sampler):
    """The model's own prior, with its distance from the middle multiplied by `temperature`.

    The middle is the mean of 4,096 draws.
    """

    def __init__(self, law: Draws, temperature: Tensor) -> None:
        self.law, self.temperature = law, temperature
        self.centre = law(4096, 0).mean(0)

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        """Nothing is fitted: temperature 1."""
        return cls(own(codes.parts), torch.ones(()))

    def draw(self, count: int, seed: int = 0, y: Tensor | None = None) -> Tensor:
        z = self.law(count, seed)
        return z if self.temperature == 1 else self.centre + self.temperature * (z - self.centre)

    def tensors(self) -> dict[str, Tensor]:
        return {"temperature": self.temperature}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        return cls(own(parts), tensors["temperature"])


class Tempered(Prior):
    """The model's own prior at the temperature that gives it the spread of the codes."""

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        law = own(codes.parts)
        drawn = law(4096, seed)
        spread = (drawn - drawn.mean(0)).square().sum(1).mean()
        wanted = (codes.held - drawn.mean(0)).square().sum(1).mean()
        return cls(law, (wanted / spread.clamp(min=1e-12)).sqrt())


def own(parts: Parts) -> Draws:
    if parts.prior is None:
        raise UsageError("This model has no prior to draw from; use another sampler.")
    return parts.prior


@dataclass
class Plain(Sampler):
    """N(0, I), whatever the model: the baseline of every other sampler."""

    zero: Tensor  # (D,)

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        return cls(torch.zeros(codes.z.shape[1]))

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        return torch.randn(count, len(self.zero))
