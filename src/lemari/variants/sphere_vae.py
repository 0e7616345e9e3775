"""The VAE on a sphere."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.sphere import Directional, SpherePrior
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def sphere_vae(
    data: Schema, *, beta: float = 1.0, warm_up: int = 500, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose codes are directions: von Mises-Fisher clouds on the unit sphere, drawn evenly.

    Use it where the angle between codes should mean likeness, and no code may be more central
    than another; best with few numbers (up to about 20). `beta` multiplies the KL, which `warm_up`
    steps raise from 0. (Davidson et al. 2018, arXiv:1804.00891)
    """
    terms = [Recon(), KL(Ramp(beta, warm_up))]
    return assemble(data, Directional(), terms, prior=SpherePrior, **shared)
