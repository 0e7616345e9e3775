"""The combination importance-weighted autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.bound import Bound, drawn
from lemari.types import Schema


def ciwae(
    data: Schema, *, draws: int = 5, beta: float = 0.5, **shared: Unpack[Shared]
) -> Autoencoder:
    """Importance-weighted autoencoder on a mixture of two bounds: `beta` of it the VAE's own.

    Use it to move smoothly from iwae (`beta` 0) to vae (`beta` 1), such as where iwae's encoder is
    too diffuse to embed with. (Rainforth et al. 2018, arXiv:1802.04537)
    """
    if not 0 <= beta <= 1:
        raise UsageError(f"ciwae mixes two bounds: beta must be from 0 to 1, but is {beta:g}.")
    terms = [Bound(beta, draws=1, name="elbo"), Bound(1 - beta)]
    return assemble(data, DiagonalGaussian(), terms, k=drawn(draws), **shared)
