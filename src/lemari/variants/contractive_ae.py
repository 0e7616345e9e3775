"""The contractive autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.penalty import Contraction, Decay
from lemari.types import Schema


def contractive_ae(data: Schema, *, weight: float = 1.0, **shared: Unpack[Shared]) -> Autoencoder:
    """Contractive autoencoder: a code moves only along the directions in which examples differ.

    Use it for codes that shrug off small noise. `weight` multiplies the squared Frobenius norm of
    the encoder's Jacobian, estimated without bias from a random direction; small weight decay
    keeps the decoder from making up for small codes, as tied weights do in the paper.
    (Rifai et al. 2011)
    """
    terms = [Recon(), Contraction(weight), Decay(1e-3)]
    return assemble(data, PointCode(), terms, prior=FittedNormal, **shared)
