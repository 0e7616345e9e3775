"""The InfoVAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.terms.mmd import MMD
from lemari.types import Schema


def infovae(
    data: Schema, *, alpha: float = 0.5, weight: float | None = None, **shared: Unpack[Shared]
) -> Autoencoder:
    """InfoVAE: part of the KL is traded for a distance of all codes together from the prior.

    Use it where a VAE's code keeps too little of the data. `alpha` is the part of the KL that is
    left out, 1 for all of it; `weight` (alpha + lambda - 1 in the paper) is the worth in nats of
    the squared maximum mean discrepancy, one for each value when left out.
    (Zhao, Song and Ermon 2019, arXiv:1706.02262)
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha is the part of the KL to leave out, from 0 to 1, not {alpha:g}.")
    terms = [Recon(), KL(1 - alpha), MMD(data.size if weight is None else weight)]
    return assemble(data, DiagonalGaussian(), terms, **shared)
