"""The vector-quantised autoencoder."""

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


def vq_vae(
    data: Schema,
    *,
    codes: int = 512,
    width: int | None = None,
    commitment: float = 0.25,
    decay: float = 0.99,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """Autoencoder whose code is a few whole numbers: each vector of it is one of `codes` learned.

    Use it to compress, or to give a sequence model tokens; samples are sharper than a VAE's once
    a law of the sequence is fitted. `width` numbers make one vector. (van den Oord, Vinyals and
    Kavukcuoglu 2017, arXiv:1711.00937)
    """
    books = partial(VectorBooks, codes=codes, decay=decay)
    return discrete(data, books, [Recon(), Commitment(commitment)], width, **shared)
