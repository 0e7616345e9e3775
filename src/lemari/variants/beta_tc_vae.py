"""The beta-TC-VAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.correlation import TotalCorrelation
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def beta_tc_vae(
    data: Schema, *, beta: float = 6.0, stratified: bool = True, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE of which only the total correlation, a part of the KL, counts `beta` times.

    Use it for separate factors: unlike beta-vae it does not charge the code for what it says of
    an example, only for dimensions that depend on each other. As there, give `sigma=1` to keep the
    trade fixed. Without `stratified` the batch stands for the whole set.
    (Chen et al. 2018, arXiv:1802.04942)
    """
    if not beta >= 1:
        raise UsageError(f"beta-tc-vae needs a beta of 1 (a plain VAE) or more, not {beta:g}.")
    terms = [Recon(), KL(), TotalCorrelation(beta - 1, stratified=stratified)]
    return assemble(data, DiagonalGaussian(), terms, **shared)
