"""The ladder VAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.chain import BottomUp, TopDown
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def ladder_vae(data: Schema, *, warm_up: int = 500, **shared: Unpack[Shared]) -> Autoencoder:
    """VAE with two levels of codes: the last third sets where the others are expected.

    Use it when one level of N(0, I) is too simple and a step must stay cheap. What the encoder
    says of the lower level is weighed against what the top says, by precision. Raise the KL
    slowly (`warm_up` steps), or the top stays unused. (Sonderby et al. 2016, arXiv:1602.02282)
    """
    terms = [Recon(), KL(Ramp(1.0, warm_up))]
    model = assemble(data, BottomUp(), terms, prior=TopDown, **shared)
    model.posterior.borrow(model.prior)
    return model
