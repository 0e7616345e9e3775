"""The variational autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def vae(
    data: Schema, *, beta: float = 1.0, warm_up: int = 0, **shared: Unpack[Shared]
) -> Autoencoder:
    """Variational autoencoder: every example becomes a small cloud of codes, all clouds N(0, I).

    Use it to generate, to interpolate and to score. `beta` multiplies the KL, which `warm_up`
    steps can raise from 0. (Kingma and Welling 2014, arXiv:1312.6114)
    """
    return assemble(data, DiagonalGaussian(), [Recon(), KL(Ramp(beta, warm_up))], **shared)
