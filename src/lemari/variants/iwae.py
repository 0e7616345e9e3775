"""The importance-weighted autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.bound import Bound, DoublyReparameterised, drawn
from lemari.types import Schema


def iwae(
    data: Schema, *, draws: int = 5, doubly: bool = False, **shared: Unpack[Shared]
) -> Autoencoder:
    """Importance-weighted autoencoder: a VAE trained on a tighter bound, from several draws.

    Use it for the best likelihood; time and memory grow with `draws`. `doubly` gives the encoder
    the doubly reparameterised gradient, which stays clear of noise at many draws.
    (Burda, Grosse and Salakhutdinov 2016, arXiv:1509.00519)
    """
    terms = [Bound()]
    if doubly:
        terms = [Bound(0.5, trains=("prior", "decoder")), DoublyReparameterised(0.5, "bound-coder")]
    return assemble(data, DiagonalGaussian(), terms, k=drawn(draws), **shared)
