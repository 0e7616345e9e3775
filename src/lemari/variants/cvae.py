"""The conditional VAE."""

from __future__ import annotations

from lemari.condition import OneHot
from lemari.decoders import Decoder
from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian, StandardNormal
from lemari.likelihoods import likelihood_for
from lemari.model import Autoencoder
from lemari.networks.select import select
from lemari.schedule import Ramp
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.types import Schema


def cvae(
    data: Schema,
    *,
    latent: int | None = None,
    network: str = "auto",
    likelihood: str = "gaussian",
    sigma: float | None = None,
    beta: float = 1.0,
) -> Autoencoder:
    """Conditional VAE: encoder and decoder are told the class, so the code keeps what is left.

    Use it to generate a class on demand, or the same style in every class. Needs labels.
    (Sohn, Lee and Yan 2015)
    """
    if not data.classes:
        raise UsageError(
            "A conditional VAE needs labels, but the data has none; put the pictures into class "
            "folders, pass y to fit, or use --variant vae."
        )
    condition = OneHot(len(data.classes))
    nets = select(
        data, network, latent=latent, heads=DiagonalGaussian.heads, condition=condition.width
    )
    return Autoencoder(
        data,
        encoder=nets.encoder,
        posterior=DiagonalGaussian(),
        prior=StandardNormal(*nets.code),
        decoder=Decoder(nets.decoder, likelihood_for(data, likelihood, sigma)),
        terms=[Recon(), KL(Ramp(beta, 0))],
        condition=condition,
    )
