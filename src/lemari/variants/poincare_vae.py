"""The VAE in hyperbolic space."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.poincare import WrappedPosterior, WrappedPrior
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def poincare_vae(
    data: Schema, *, curvature: float = 1.0, warm_up: int = 500, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose codes lie in the Poincare ball, where room grows with distance as a tree grows.

    Use it for data with a hierarchy, in 2 or few numbers; the codes of 2 make a map in a disk of
    radius 1 / sqrt(`curvature`). `warm_up` steps raise the KL from 0.
    (Mathieu et al. 2019, arXiv:1901.06033)
    """
    prior = partial(WrappedPrior, curvature=curvature)
    terms = [Recon(), KL(Ramp(1.0, warm_up))]
    return assemble(data, WrappedPosterior(curvature), terms, prior=prior, **shared)
