"""The clustering VAE."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.latents.mixture import ClusterPrior
from lemari.model import Autoencoder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def mixture_vae(
    data: Schema, *, clusters: int = 10, pretrain: int = 10, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose prior is a mixture of normals: examples fall into `clusters`, without labels.

    Use it to find groups; `model.prior.responsibilities(z)` says which one a code belongs to. It
    starts with `pretrain` epochs as a plain autoencoder and a mixture fitted to its codes.
    (Jiang et al. 2017, VaDE, arXiv:1611.05148)
    """
    prior = partial(ClusterPrior, clusters=clusters, epochs=pretrain)
    return assemble(data, DiagonalGaussian(), [Recon(), KL()], prior=prior, **shared)
