"""The sparse autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.sparse import SparseCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.penalty import Decay, Sparsity
from lemari.types import Schema


def sparse_ae(
    data: Schema,
    *,
    kind: str = "l1",
    weight: float = 0.1,
    rate: float = 0.05,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """Sparse autoencoder: of many numbers in a code, each example uses a few.

    Use it with a code wider than the data needs, to find parts that examples are made of. `kind`
    l1 penalises the sum of codes that start at 0, kl keeps each number of codes in (0, 1) active in
    a share `rate` of the examples; `weight` is what it counts. Small weight decay keeps the
    decoder from making up for small codes. (Ng 2011; Olshausen and Field 1996)
    """
    terms = [Recon(), Sparsity(weight, kind, rate), Decay(1e-3)]
    return assemble(data, SparseCode(kind), terms, prior=FittedNormal, **shared)
