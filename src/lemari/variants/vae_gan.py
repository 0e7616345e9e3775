"""The VAE-GAN."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.networks.critic import example_critic
from lemari.terms.adversary import FeatureError, Fool, Judge, examples_and_decoded
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def vae_gan(
    data: Schema, *, fool: float = 1.0, pixels: float = 0.0, **shared: Unpack[Shared]
) -> Autoencoder:
    """VAE that rebuilds what a critic sees, and whose decoder must pass the critic as data.

    Use it for sharp pictures where exact pixels do not matter. `fool` weighs the critic's verdict;
    `pixels` adds the error in input space, which is always measured. (Larsen et al. 2016,
    arXiv:1512.09300)
    """
    terms = [
        FeatureError(),
        KL(),
        Recon(pixels),
        Fool(examples_and_decoded, fool),
        Judge(examples_and_decoded),
    ]
    critic = lambda *code: example_critic(data)  # noqa: E731
    return assemble(data, DiagonalGaussian(), terms, critic=critic, **shared)
