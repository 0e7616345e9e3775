"""The regularised autoencoder with a gradient penalty."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.terms.penalty import CodeNorm, Smoothness
from lemari.types import Schema


def rae_gp(
    data: Schema,
    *,
    norm: float = 0.01,
    smooth: float = 0.01,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """Regularised autoencoder with a gradient penalty: its decoder changes slowly with the code.

    Use it as rae-l2, where a direct bound on the decoder's slope is wanted. `norm` weighs half
    the squared length of codes, `smooth` half the squared Frobenius norm of the decoder's
    Jacobian, estimated without bias from a random direction. (Ghosh et al. 2020, arXiv:1903.12436)
    """
    terms = [Recon(), CodeNorm(norm), Smoothness(smooth)]
    return assemble(data, PointCode(), terms, prior=FittedNormal, **shared)
