"""The plain autoencoder."""

from __future__ import annotations

from lemari.decoders import Decoder
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.likelihoods import likelihood_for
from lemari.model import Autoencoder
from lemari.networks.select import select
from lemari.terms.fit import Recon
from lemari.types import Schema


def ae(
    data: Schema, *, latent: int | None = None, network: str = "auto", likelihood: str = "mse"
) -> Autoencoder:
    """Plain autoencoder: the code that rebuilds best, with no law of its own.

    Use it to compress or to embed; it says nothing on where codes lie, so codes drawn at random
    often decode to nothing. After training a normal law is fitted to the training codes, which is
    what `generate` draws from. (Rumelhart, Hinton and Williams 1986)
    """
    nets = select(data, network, latent=latent, heads=PointCode.heads)
    return Autoencoder(
        data,
        encoder=nets.encoder,
        posterior=PointCode(),
        prior=FittedNormal(*nets.code),
        decoder=Decoder(nets.decoder, likelihood_for(data, likelihood)),
        terms=[Recon()],
    )
