"""The VAE with flows in its posterior."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.flow import FlowPosterior
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def flow_posterior_vae(
    data: Schema,
    *,
    flow: str = "iaf",
    transforms: int = 2,
    warm_up: int = 0,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """VAE whose clouds of codes may have any shape: a flow bends each of them.

    Use it where a diagonal normal fits the codes of an example badly. `flow` is iaf (autoregressive
    networks; needs zuko), planar or radial (few parameters each, so take 8 or more `transforms`).
    (Kingma et al. 2016, arXiv:1606.04934; Rezende and Mohamed 2015)
    """
    terms = [Recon(), KL(Ramp(1.0, warm_up))]
    return assemble(data, FlowPosterior(flow, transforms), terms, **shared)
