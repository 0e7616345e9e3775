"""The plain autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.types import Schema


def ae(data: Schema, *, likelihood: str = "mse", **sizes: Unpack[Sizes]) -> Autoencoder:
    """Plain autoencoder: the code that rebuilds best, with no law of its own.

    Use it to compress or to embed; it says nothing on where codes lie, so codes drawn at random
    often decode to nothing. After training a normal law is fitted to the training codes, which is
    what `generate` draws from. (Rumelhart, Hinton and Williams 1986)
    """
    terms = [Recon()]
    return assemble(data, PointCode(), terms, prior=FittedNormal, likelihood=likelihood, **sizes)
