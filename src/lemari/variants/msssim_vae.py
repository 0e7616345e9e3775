"""The VAE that rebuilds structure."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.similarity import Dissimilarity
from lemari.types import Schema


def msssim_vae(
    data: Schema, *, weight: float | None = None, beta: float = 1.0, **sizes: Unpack[Sizes]
) -> Autoencoder:
    """VAE that rebuilds structure: edges and textures as the eye compares them, not squared errors.

    Use it for pictures that are to look right; its likelihood and squared error are worse than
    those of `vae`. `weight` is the worth of the whole similarity (1 - MS-SSIM) in nats, one for
    each value when left out. Small pictures are compared at fewer scales. (Snell et al. 2017,
    arXiv:1511.06409)
    """
    terms = [Dissimilarity(data, data.size if weight is None else weight), KL(beta)]
    return assemble(data, DiagonalGaussian(), terms, **sizes)
