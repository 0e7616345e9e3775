"""The beta-VAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared
from lemari.model import Autoencoder
from lemari.types import Schema
from lemari.variants.vae import vae


def beta_vae(
    data: Schema, *, beta: float = 4.0, warm_up: int = 0, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE whose KL counts `beta` times: above 1 it trades sharpness for separate factors.

    With a learned sigma the likelihood adapts and undoes part of a large beta; give `sigma=1` (or
    the mse likelihood) to keep the trade fixed. (Higgins et al. 2017)
    """
    return vae(data, beta=beta, warm_up=warm_up, **shared)
