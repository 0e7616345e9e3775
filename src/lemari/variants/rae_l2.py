"""The regularised autoencoder with weight decay."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.penalty import CodeNorm, Decay
from lemari.types import Schema


def rae_l2(
    data: Schema,
    *,
    norm: float = 0.01,
    decay: float = 1e-3,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """Regularised autoencoder with weight decay: a VAE without noise, for sharper samples.

    Use it to generate from a normal law (or a mixture) fitted to its codes. `norm` weighs half the
    squared length of codes, `decay` half the squared weights of the decoder, which keeps it
    smooth between codes. (Ghosh et al. 2020, arXiv:1903.12436)
    """
    terms = [Recon(), CodeNorm(norm), Decay(decay)]
    return assemble(data, PointCode(), terms, prior=FittedNormal, **shared)
