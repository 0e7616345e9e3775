"""The VAE with a flow as its prior."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.flow import FlowPrior
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def flow_prior_vae(
    data: Schema, *, transforms: int = 4, warm_up: int = 0, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose prior is a learned autoregressive flow, which bends towards where the codes lie.

    Use it for the best likelihood and samples of a given network; drawing a code takes one pass a
    number. `transforms` counts the flow's layers; `warm_up` steps raise the KL from 0. Needs
    zuko. (Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057)
    """
    prior = partial(FlowPrior, transforms=transforms)
    terms = [Recon(), KL(Ramp(1.0, warm_up))]
    return assemble(data, DiagonalGaussian(), terms, prior=prior, **shared)
