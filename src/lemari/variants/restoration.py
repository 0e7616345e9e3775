"""Autoencoders that are shown a degraded picture and must give back the whole one.

With a network that has a bottleneck (residual, chapter, lesson-conv, mlp) they also learn a code;
`unet` and `upscale` have skips in its place and restore pictures of any size.
"""

from __future__ import annotations

from torch import nn

from lemari.corrupt import BlindSpot, Downscale, Filled, Given, Missing, Noise, noise_range
from lemari.corrupt.noise import KINDS as CORRUPTIONS
from lemari.decoders import Decoder
from lemari.errors import UsageError
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import NoPrior, PointCode
from lemari.likelihoods import likelihood_for
from lemari.model import Autoencoder
from lemari.networks.select import has_skips, is_linear, parse, select
from lemari.terms.fit import Recon
from lemari.types import Schema

KINDS = (*CORRUPTIONS, "clipped", "lesson", "blind-spot", "given")
OWN_UNITS = {
    "poisson": "such as 30 photons of a white pixel",
    "jpeg": "such as a quality of 10:60",
    "blur": "such as a spread of 0.5:2 pixels",
}
LESSON = ("lesson", "clipped")  # gaussian noise of mean 0.5 or 0, cut to the pixel range


def check_pictures(data: Schema) -> None:
    """Restoring is for pictures."""
    if data.kind != "image":
        raise UsageError(f"This variant restores pictures, but the data is a {data.kind}; use ae.")


def restoring(
    data: Schema,
    corrupt: nn.Module,
    network: str,
    latent: int | None,
    likelihood: str,
    where: str = "everywhere",
    **further: int,  # what a network with skips must know: planes or scale
) -> Autoencoder:
    """The parts that all three have in common."""
    check_pictures(data)
    name, _ = parse(network)
    skips = has_skips(name)
    if skips and latent is not None:
        raise UsageError(
            f"Network {name!r} has skips and no code of its own; leave out --latent (latent=), or "
            "choose --network residual."
        )
    nets = select(data, network, latent=latent, heads=1, **(further if skips else {}))
    # Hidden pixels are compared with noisy ones, which may lie outside the range.
    limit = is_linear(name) and where == "everywhere"
    law = likelihood_for(data, likelihood, linear=is_linear(name), limit=limit)
    return Autoencoder(
        data,
        corrupt=corrupt,
        encoder=nets.encoder,
        posterior=PointCode(),
        prior=(NoPrior if skips else FittedNormal)(*nets.code),
        decoder=Decoder(nets.decoder, law),
        terms=[Recon(where=where)],
    )


def denoising_ae(
    data: Schema,
    *,
    network: str = "unet",
    latent: int | None = None,
    noise: str | float | None = None,
    kind: str = "gaussian",
    likelihood: str = "mse",
) -> Autoencoder:
    """Denoising autoencoder: is shown noisy pictures, fresh noise every batch, and cleans them.

    Use it on pictures like those that it was trained on. `noise` is a level or a range (0:0.2) in
    units of the pixel range, 0.1 when left out; `kind` is gaussian, clipped (cut to the pixel
    range), lesson (mean 0.5, cut), poisson (`noise` = photons of white), salt-pepper, speckle,
    jpeg (quality), blur (pixels), blind-spot (the data itself is noisy, and nothing cleaner
    exists) or given (pairs, with --degraded). (Vincent et al. 2008; blind-spot: Krull et al.
    2019, Noise2Void)
    """
    check_denoising(parse(network)[0], kind)
    if kind == "blind-spot":
        if likelihood == "student":
            raise UsageError(
                "Training without clean pictures counts single pixels, for which the student "
                "likelihood has no density; use mse."
            )
        return restoring(data, BlindSpot(), network, latent, likelihood, "hidden", planes=0)
    if kind == "given":
        return restoring(data, Given(), network, latent, likelihood, planes=0)
    low, high = noise_range(level_of(kind, noise))
    clip = kind in LESSON
    known = (
        high is not None
        and kind in ("gaussian", "clipped")  # the kinds whose level can be measured in a picture
        and has_skips(parse(network)[0])
    )
    mean = 0.5 if kind == "lesson" else 0.0
    corrupt = Noise("gaussian" if clip else kind, low, high, mean, clip, plane=known)
    return restoring(data, corrupt, network, latent, likelihood, planes=corrupt.planes)


def level_of(kind: str, noise: str | float | None) -> str:
    """The level as text; kinds whose level is no part of the pixel range have no default."""
    if noise is None and kind in OWN_UNITS:
        raise UsageError(
            f"Noise {kind!r} needs a level of its own; give --noise (noise=), {OWN_UNITS[kind]}."
        )
    return "0.1" if noise is None else str(noise)


def check_denoising(network: str, kind: str) -> None:
    """A UsageError for an unknown kind of noise, or a network that changes the size."""
    if kind not in KINDS:
        raise UsageError(f"There is no noise {kind!r}; choose one of {', '.join(KINDS)}.")
    if network == "upscale":
        raise UsageError("Network 'upscale' is for super-resolution; use unet to remove noise.")


def super_resolution_ae(
    data: Schema,
    *,
    network: str = "upscale",
    latent: int | None = None,
    scale: int = 2,
    down: str = "bicubic",
    likelihood: str = "mse",
) -> Autoencoder:
    """Super-resolution autoencoder: is shown pictures made smaller, and gives back the large ones.

    `scale` is 2, 3 or 4; `down` says how they are made smaller: bicubic (antialiased, as the
    field's benchmarks do it) or area. A network with a bottleneck sees the small picture brought
    back to full size. (Dong et al. 2014; Shi et al. 2016)
    """
    check_pictures(data)
    direct = parse(network)[0] == "upscale"
    corrupt = Downscale(scale, down, back=not direct)
    corrupt.shape_of(data.shape)
    further = {"scale": scale} if direct else {"planes": 0}
    return restoring(data, corrupt, network, latent, likelihood, "everywhere", **further)


def inpainting_ae(
    data: Schema,
    *,
    network: str = "unet",
    latent: int | None = None,
    mask: float = 0.25,
    block: int = 1,
    likelihood: str = "mse",
) -> Autoencoder:
    """Inpainting autoencoder: is shown pictures with holes, and fills them.

    `unet` starts from means of the known pixels around each hole and learns what they miss.

    `mask` is the share of pixels that is missing, singly or, with `block`, in squares of so many
    pixels. (Pathak et al. 2016)
    """
    check_pictures(data)
    if parse(network)[0] == "upscale":
        raise UsageError("Network 'upscale' is for super-resolution; use unet to fill holes.")
    skips = has_skips(parse(network)[0])
    corrupt = (Filled if skips else Missing)(mask, block, plane=skips)
    return restoring(data, corrupt, network, latent, likelihood, planes=corrupt.planes)
