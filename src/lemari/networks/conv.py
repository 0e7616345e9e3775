"""Plain strided convolutions: the usual network of papers, for pictures of any size."""

from __future__ import annotations

from math import prod

from torch import nn

from lemari.networks.course import image_shape
from lemari.networks.layers import Coder, ConvTranspose, Crop, Grid, Head, Nets, halves
from lemari.networks.residual import depth_for, widths_for
from lemari.types import Schema


def conv(
    data: Schema, *, latent: int, heads: int, condition: int = 0, widths: tuple[int, ...] = ()
) -> Nets:
    """Strided convolutions without blocks or normalisation; any size. `conv:32-64` sets maps.

    Each layer halves the maps, rounding up; on the way back a 4x4 transposed convolution doubles
    them (each pixel is then made from equally many, so no chequered pattern appears), and an odd
    side loses its last row or column again.
    """
    channels, height, width = image_shape(data, "conv")
    widths = widths or widths_for(depth_for(height, width))
    sizes = halves(height, width, len(widths))
    grid = (widths[-1], *sizes[-1])
    encoder: list[nn.Module] = []
    for before, after in zip((channels + condition, *widths), widths, strict=False):
        encoder += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU(inplace=True)]
    encoder += [nn.Flatten(), Head(prod(grid), heads * latent)]
    decoder: list[nn.Module] = [nn.Linear(latent + condition, prod(grid)), Grid(*grid)]
    for stage in range(len(widths) - 1, -1, -1):
        after = widths[stage - 1] if stage else channels
        decoder += [nn.ReLU(inplace=True), ConvTranspose(widths[stage], after, 4, 2, 1)]
        decoder += [Crop(*sizes[stage])]
    return Nets(Coder(*encoder), Coder(*decoder), (latent,))
