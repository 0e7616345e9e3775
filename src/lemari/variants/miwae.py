"""The multiply importance-weighted autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.bound import Bound, drawn
from lemari.types import Schema


def miwae(
    data: Schema, *, draws: int = 5, groups: int = 3, **shared: Unpack[Shared]
) -> Autoencoder:
    """Importance-weighted autoencoder whose bound is a mean over `groups` of `draws` codes each.

    Use it between vae and iwae: each group tightens the bound, their number steadies the encoder's
    gradient, which many draws in one group would drown in noise.
    (Rainforth et al. 2018, arXiv:1802.04537)
    """
    k = drawn(draws, groups)
    return assemble(data, DiagonalGaussian(), [Bound(draws=draws)], k=k, **shared)
