"""The conditional VAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.condition import labels_of
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def cvae(data: Schema, *, beta: float = 1.0, **shared: Unpack[Shared]) -> Autoencoder:
    """Conditional VAE: encoder and decoder are told the class, so the code keeps what is left.

    Use it to generate a class on demand, or the same style in every class. Needs labels.
    (Sohn, Lee and Yan 2015)
    """
    terms = [Recon(), KL(beta)]
    return assemble(data, DiagonalGaussian(), terms, condition=labels_of(data), **shared)


cvae.conditional = True  # pyright: ignore[reportFunctionMemberAccess]
