"""The FactorVAE."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.gaussian import DiagonalGaussian
from lemari.model import Autoencoder
from lemari.networks.critic import code_critic
from lemari.terms.adversary import Judge, LogRatio, shuffled_and_codes
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def factor_vae(data: Schema, *, gamma: float = 10.0, **shared: Unpack[Shared]) -> Autoencoder:
    """VAE that pays `gamma` times for the total correlation of its code, measured by a critic.

    Use it for separate factors, like beta-tc-vae; the critic needs no large batches, but some
    epochs. It tells codes from codes whose dimensions are shuffled over the batch.
    (Kim and Mnih 2018, arXiv:1802.05983)
    """
    terms = [Recon(), KL(), LogRatio(gamma, name="tc"), Judge(shuffled_and_codes)]
    return assemble(data, DiagonalGaussian(), terms, critic=code_critic, **shared)
