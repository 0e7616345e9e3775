"""What a sampler is fitted to, and what every sampler can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

from lemari.errors import ModelFileError, UsageError
from lemari.starting import random_state

Draws = Callable[[int, int], Tensor]  # (count, seed) -> codes (count, D)
LEAST = 20  # codes below which nothing can be fitted and judged
WIDEST = 256  # numbers in a code up to which covariances and nets are fitted


@dataclass(frozen=True, slots=True)
class Parts:
    """What of the model itself a sampler may use: draws of its own prior, and its codebook."""

    prior: Draws | None = None
    codebook: Any = None


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of training rows, flattened; `held` are others of them, to choose settings on.

    `sigma` holds the spread of each posterior, where posteriors have one; `y` class numbers (-1
    where unknown).
    """

    z: Tensor  # (N, D) float32
    held: Tensor  # (M, D) float32
    y: Tensor | None = None  # (N,) int64
    held_y: Tensor | None = None  # (M,) int64
    sigma: Tensor | None = None  # (N, D)
    parts: Parts = Parts()

    def __post_init__(self) -> None:
        if len(self.z) < LEAST or not len(self.held):
            raise UsageError(
                f"A sampler is fitted to at least {LEAST} training codes and judged on others, but "
                f"there are {len(self.z)} and {len(self.held)}; train on more rows, or draw from "
                "the prior."
            )


class Sampler:
    """A law of codes. A concrete one is a dataclass of tensors, which are all that is saved."""

    by_class = False  # whether it can be asked for classes

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        """Fit to codes; every setting is chosen on `codes.held`. UsageError where it cannot."""
        raise TypeError(f"{cls.__name__} must define fit")

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        """Codes (count, D), from the present random state."""
        raise TypeError(f"{type(self).__name__} must define drawn")

    @torch.no_grad()
    def draw(self, count: int, seed: int = 0, y: Tensor | None = None) -> Tensor:
        """New codes (count, D) float32, a function of the seed; `y` (count,) asks for classes."""
        with random_state(seed):
            return self.drawn(count, y).float()

    def tensors(self) -> dict[str, Tensor]:
        """All that `from_tensors` needs."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        """The sampler that had these tensors, of a model with these parts."""
        if set(tensors) != {field.name for field in fields(cls)}:  # pyright: ignore[reportArgumentType]
            raise ModelFileError(
                f"The saved sampler is no {cls.__name__}; fit it anew with --sampler auto --refit."
            )
        return cls(**tensors)


def need_narrow(codes: Codes, what: str) -> None:
    """A UsageError for codes too wide for covariances or nets."""
    if codes.z.shape[1] > WIDEST:
        raise UsageError(
            f"{what} takes codes of up to {WIDEST} numbers, not {codes.z.shape[1]}; use the "
            "sampler kernel or walk."
        )
