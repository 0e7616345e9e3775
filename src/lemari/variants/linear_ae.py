"""The linear autoencoder."""

from __future__ import annotations

from lemari.assemble import assemble
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.types import Schema


def linear_ae(data: Schema, *, latent: int | None = None) -> Autoencoder:
    """Linear autoencoder: one matrix to the code and one back, so it ends where PCA does.

    Use it as the honest baseline of every other: what they gain on it is what their bends are
    worth. Its code spans PCA's subspace, but its axes are not PCA's. (Baldi and Hornik 1989)
    """
    return assemble(
        data,
        PointCode(),
        [Recon()],
        prior=FittedNormal,
        latent=latent,
        network="linear",
        likelihood="mse",
    )


linear_ae.network = "linear"  # pyright: ignore[reportFunctionMemberAccess]
