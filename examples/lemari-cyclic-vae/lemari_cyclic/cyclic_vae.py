"""The VAE with cyclical annealing of the KL weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


@dataclass(frozen=True, slots=True)
class Cycles:
    """`count` times: from 0 to `value` over the first half of `steps`, then constant.

    After the last cycle the weight stays at `value`.

    >>> [Cycles(1.0, 2, 4)(step) for step in (0, 1, 2, 3, 4, 5, 8)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0]
    """

    value: float
    count: int
    steps: int

    def __call__(self, step: int) -> float:
        if step >= self.count * self.steps:
            return self.value
        return self.value * min(1.0, 2 * (step % self.steps) / self.steps)


def cyclic_vae(
    data: Schema,
    *,
    beta: float = 1.0,
    cycles: int = 4,
    cycle_steps: int = 200,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """VAE whose KL weight rises from 0 to `beta` several times instead of once.

    Use it when a powerful decoder ignores the code. `cycles` of `cycle_steps` steps each are
    followed by a constant weight. (Fu et al. 2019, arXiv:1903.10145)
    """
    terms = [Recon(), KL(Cycles(beta, cycles, cycle_steps))]
    return assemble(data, DiagonalGaussian(), terms, **shared)
