"""The models of the course chapter and the lesson under their own names: presets, no new parts."""

from __future__ import annotations

from lemari.model import Autoencoder
from lemari.types import Schema
from lemari.variants.ae import ae
from lemari.variants.vae import vae


def chapter_ae(data: Schema, *, latent: int | None = 2) -> Autoencoder:
    """The chapter's autoencoder: its convolutional network and squared error."""
    return ae(data, latent=2 if latent is None else latent, network="chapter", likelihood="mse")


def chapter_vae(data: Schema, *, latent: int | None = 2, beta: float = 1.0) -> Autoencoder:
    """The chapter's VAE: the same network with two heads, reconstruction plus KL."""
    return vae(data, latent=2 if latent is None else latent, network="chapter", beta=beta)


def chapter_faces_vae(
    data: Schema, *, latent: int | None = 200, weight: float = 2000.0
) -> Autoencoder:
    """The chapter's VAE for faces, with its "beta 2000" where the source book has it.

    There 2000 multiplies the *mean* squared error, not the KL. The mean over the D values of a
    picture times 2000 is the sum over them divided by 2 sigma^2 with sigma^2 = D / 4000, so this
    is a Gaussian likelihood of that fixed sigma and an ordinary KL: at 3x32x32, sigma 0.876 and
    effective beta 0.768. Read as a KL weight, 2000 would collapse every dimension.
    (Foster 2023, Generative Deep Learning, 2nd edition, chapter 3)
    """
    sigma = (data.size / (2 * weight)) ** 0.5
    return vae(data, latent=200 if latent is None else latent, network="chapter-faces", sigma=sigma)


def lesson_conv_ae(data: Schema, *, latent: int | None = None) -> Autoencoder:
    """The lesson's convolutional autoencoder, whose code is 8 feature maps."""
    return ae(data, latent=latent, network="lesson-conv", likelihood="bernoulli")


def lesson_mlp_vae(data: Schema, *, latent: int | None = 2) -> Autoencoder:
    """The lesson's fully connected VAE: 784 > 512 > 2 and back, Bernoulli pixels."""
    return vae(
        data, latent=2 if latent is None else latent, network="lesson-mlp", likelihood="bernoulli"
    )


def lesson_conv_vae(data: Schema, *, latent: int | None = None) -> Autoencoder:
    """The lesson's assignment: its convolutional network as a VAE, Bernoulli pixels."""
    return vae(data, latent=latent, network="lesson-conv", likelihood="bernoulli")


chapter_ae.network = chapter_vae.network = "chapter"
chapter_faces_vae.network = "chapter-faces"
lesson_conv_ae.network = lesson_conv_vae.network = "lesson-conv"
lesson_mlp_vae.network = "lesson-mlp"
