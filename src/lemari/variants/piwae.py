"""The partially importance-weighted autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.base import CODER
from lemari.terms.bound import Bound, drawn
from lemari.types import Schema


def piwae(
    data: Schema, *, draws: int = 5, groups: int = 3, **shared: Unpack[Shared]
) -> Autoencoder:
    """Importance-weighted autoencoder whose two halves follow different bounds.

    Use it where both a good likelihood and a good encoder count: the decoder learns from all draws
    at once, the encoder from `groups` of `draws`. The loss is the mean of the two bounds.
    (Rainforth et al. 2018, arXiv:1802.04537)
    """
    terms = [
        Bound(0.5, trains=("prior", "decoder")),
        Bound(0.5, trains=CODER, draws=draws, name="bound-coder"),
    ]
    return assemble(data, DiagonalGaussian(), terms, k=drawn(draws, groups), **shared)
