"""The autoencoder whose code is a map of neighbourhoods."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.neighbours import Neighbours
from lemari.types import Schema


def neighbour_ae(
    data: Schema,
    *,
    neighbours: int = 15,
    min_dist: float = 0.1,
    weight: float = 30.0,
    likelihood: str = "mse",
    **sizes: Unpack[Sizes],
) -> Autoencoder:
    """Autoencoder whose code is a map: rows that are alike in the data lie together, as in UMAP.

    Use it to look at data (`--latent 2`) or to find clusters in it (`--latent 10`), where new rows
    must be placed at once and places must decode. Each row is held near its `neighbours`, as
    close as `min_dist`; `weight` is what an edge counts beside a nat of reconstruction.
    (Sainburg, McInnes and Gentner 2021, arXiv:2009.12981)
    """
    terms = [Recon(), Neighbours(weight, neighbours, min_dist)]
    return assemble(data, PointCode(), terms, prior=FittedNormal, likelihood=likelihood, **sizes)
