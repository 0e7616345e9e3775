"""The VAE with a VampPrior."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.latents.mixture import VampPrior
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def vamp_vae(
    data: Schema, *, components: int = 500, warm_up: int = 0, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose prior is the average posterior of learned examples, so codes lie where it draws.

    Use it for a better likelihood and better samples than N(0, I) gives; each step also encodes
    the `components` examples. `warm_up` steps raise the KL from 0.
    (Tomczak and Welling 2018, arXiv:1705.07120)
    """
    prior = partial(VampPrior, example=data.shape, components=components)
    terms = [Recon(), KL(Ramp(1.0, warm_up))]
    model = assemble(data, DiagonalGaussian(), terms, prior=prior, **shared)
    model.prior.borrow(model)
    return model
