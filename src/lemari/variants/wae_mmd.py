"""The Wasserstein autoencoder with maximum mean discrepancy."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.mmd import MMD
from lemari.types import Schema


def wae_mmd(
    data: Schema, *, weight: float = 100.0, likelihood: str = "mse", **sizes: Unpack[Sizes]
) -> Autoencoder:
    """Wasserstein autoencoder: codes are points, and all of them together follow N(0, I).

    Use it to generate with less blur than a VAE, whose single clouds are drawn to the prior.
    `weight` is the worth, in nats, of the squared maximum mean discrepancy (0 to 2) of a batch's
    codes from the prior. (Tolstikhin et al. 2018, arXiv:1711.01558)
    """
    return assemble(data, PointCode(), [Recon(), MMD(weight)], likelihood=likelihood, **sizes)
