"""The VAE of controlled capacity."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import Capacity
from lemari.terms.fit import Recon
from lemari.types import Schema


def capacity_vae(
    data: Schema,
    *,
    capacity: float = 25.0,
    warm_up: int = 1000,
    gamma: float = 30.0,
    both: bool = False,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """VAE of controlled capacity: its code carries so many nats, raised slowly from none.

    Use it for separate factors (they come in one by one, the most telling first), or to compare
    models at the same rate. The KL is kept under a value that rises to `capacity` nats over
    `warm_up` steps: what is above costs `gamma` times as much. With `both` what is below costs it
    too, as in the paper; short trainings then fill the capacity with nothing.
    (Burgess et al. 2018, arXiv:1804.03599)
    """
    terms = [Recon(), Capacity(gamma, Ramp(capacity, warm_up), both)]
    return assemble(data, DiagonalGaussian(), terms, **shared)
