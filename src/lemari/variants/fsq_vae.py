"""The autoencoder with finite scalar quantisation."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared
from lemari.latents.quantisers import ScalarLevels
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.types import Schema
from lemari.variants.discrete import discrete


def fsq_vae(
    data: Schema,
    *,
    levels: str = "8-5-5-5",
    width: int | None = None,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """Autoencoder of discrete codes, but no codebook: each number takes one of a few levels.

    Use it in place of `vq-vae` where codes die or training is unsteady: there is no codebook to
    learn and no second loss. `8-5-5-5` makes 1000 codes. (Mentzer et al. 2024, arXiv:2309.15505)
    """
    return discrete(data, partial(ScalarLevels, levels=levels), [Recon()], width, **shared)
