"""The VAE with learned sigmas."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema

LAWS = {"per-value": "per-value", "shared": "gaussian"}


def sigma_vae(data: Schema, *, law: str = "per-value", **sizes: Unpack[Sizes]) -> Autoencoder:
    """Sigma-VAE: how exactly each pixel or column is to be rebuilt is learned too.

    Use it for tables whose columns differ in noise, or pictures with steady and busy places.
    `vae` already learns the one sigma for all values that fits best (`law` shared is just that);
    here, with per-value, each has its own. Steady pixels then count for more than busy ones, so the
    squared error is higher than that of `vae`.
    (Rybkin, Daniilidis and Levine 2021, arXiv:2006.13202)
    """
    if law not in LAWS:
        raise UsageError(f"There is no law of sigma {law!r}; choose per-value or shared.")
    terms = [Recon(), KL()]
    return assemble(data, DiagonalGaussian(), terms, likelihood=LAWS[law], **sizes)
