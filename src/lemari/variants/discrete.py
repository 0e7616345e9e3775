"""What the variants with discrete codes share: a codebook on the code of any network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.codebook import Codebook, FittedCodes
from lemari.model import Autoencoder
from lemari.networks.select import code_shape
from lemari.terms.base import Term
from lemari.types import Schema


def discrete(
    data: Schema,
    quantiser: Callable[..., Any],
    terms: Sequence[Term],
    width: int | None,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """An autoencoder whose code is rounded by `quantiser`, a function of the vectors' width.

    Pictures get the network `maps` unless another is named, so that a code is a place in them.
    """
    network = shared.get("network", "auto")
    if network == "auto" and data.kind == "image":
        network = "maps"
    shared["network"] = network
    codebook = Codebook(quantiser, code_shape(data, network, shared.get("latent")), width)
    return assemble(data, codebook, terms, prior=lambda *shape: FittedCodes(codebook), **shared)
