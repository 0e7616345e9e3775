"""The Wasserstein autoencoder with maximum mean discrepancy."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.mmd import MMD
from lemari.types import Schema


def wae_mmd(data: Schema, *, weight: float | None = None, **shared: Unpack[Shared]) -> Autoencoder:
    """Wasserstein autoencoder: codes are points, and all of them together follow N(0, I).

    Use it to generate with less blur than a VAE, whose single clouds are drawn to the prior.
    `weight` is the worth, in nats, of the squared maximum mean discrepancy (0 to 2) of a batch's
    codes from the prior: one for each value of an example when left out.
    (Tolstikhin et al. 2018, arXiv:1711.01558)
    """
    terms = [Recon(), MMD(data.size if weight is None else weight)]
    return assemble(data, PointCode(), terms, **shared)
