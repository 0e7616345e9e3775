"""The variational autoencoder."""

from __future__ import annotations

from lemari.decoders import Decoder
from lemari.latents.gaussian import DiagonalGaussian, StandardNormal
from lemari.likelihoods import likelihood_for
from lemari.model import Autoencoder
from lemari.networks.select import select
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def vae(
    data: Schema,
    *,
    latent: int | None = None,
    network: str = "auto",
    likelihood: str = "gaussian",
    sigma: float | None = None,
    beta: float = 1.0,
    warm_up: int = 0,
) -> Autoencoder:
    """Variational autoencoder: every example becomes a small cloud of codes, all clouds N(0, I).

    Use it to generate, to interpolate and to score. `beta` multiplies the KL, which `warm_up`
    steps can raise from 0. (Kingma and Welling 2014, arXiv:1312.6114)
    """
    nets = select(data, network, latent=latent, heads=DiagonalGaussian.heads)
    return Autoencoder(
        data,
        encoder=nets.encoder,
        posterior=DiagonalGaussian(),
        prior=StandardNormal(*nets.code),
        decoder=Decoder(nets.decoder, likelihood_for(data, likelihood, sigma)),
        terms=[Recon(), KL(Ramp(beta, warm_up))],
    )
