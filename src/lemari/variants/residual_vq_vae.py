"""The autoencoder with several quantizers in a row."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared
from lemari.latents.quantisers import VectorBooks
from lemari.model import Autoencoder
from lemari.terms.commitment import Commitment
from lemari.terms.fit import Recon
from lemari.types import Schema
from lemari.variants.discrete import discrete


def residual_vq_vae(
    data: Schema,
    *,
    codes: int = 512,
    quantizers: int = 4,
    width: int | None = None,
    commitment: float = 0.25,
    decay: float = 0.99,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """VQ-VAE in which each of several codebooks rounds what the one before it left over.

    Use it where one codebook is too coarse: `quantizers` small ones in a row tell apart as many
    vectors as one of `codes` to that power. (Zeghidour et al. 2021, arXiv:2107.03312)
    """
    books = partial(VectorBooks, codes=codes, depth=quantizers, decay=decay)
    return discrete(data, books, [Recon(), Commitment(commitment)], width, **shared)
