"""A fully convolutional network for pictures, whose code is a small stack of feature maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.networks.course import image_shape
from lemari.networks.layers import Coder, ConvTranspose, Crop, Nets, Residual, halves
from lemari.types import Schema


class MapHead(nn.Conv2d):
    """A 1x1 convolution in full precision: the last layer of an encoder, as `Head` is."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype == self.weight.dtype:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return F.conv2d(input.to(self.weight.dtype), self.weight, self.bias)


def depth_for(height: int, width: int) -> int:
    """How often to halve: twice, and more until the smaller side is at most 16.

    >>> [depth_for(side, side) for side in (8, 28, 64, 65, 256)]
    [2, 2, 2, 3, 4]
    """
    side, depth = (min(height, width) + 3) // 4, 2
    while side > 16:
        side, depth = (side + 1) // 2, depth + 1
    return depth


def maps(
    data: Schema, *, latent: int, heads: int, condition: int = 0, widths: tuple[int, ...] = ()
) -> Nets:
    """Convolutions only; the code is (latent, h, w) feature maps, a quarter of each side or less.

    For pictures from 8x8 whose code must keep its place in the picture. `maps:32-64` sets the
    maps of each stage, and with that how often the sides are halved.
    """
    channels, height, width = image_shape(data, "maps")
    widths = widths or tuple(min(128, 32 * 2**i) for i in range(depth_for(height, width)))
    sizes = halves(height, width, len(widths))
    encoder: list[nn.Module] = []
    for before, after in zip((channels + condition, *widths), widths, strict=False):
        encoder += [nn.Conv2d(before, after, 3, 2, 1), Residual(after)]
    encoder += [nn.ReLU(inplace=True), MapHead(widths[-1], heads * latent, 1)]
    decoder: list[nn.Module] = [nn.Conv2d(latent + condition, widths[-1], 3, padding=1)]
    for stage in range(len(widths) - 1, 0, -1):
        extra = tuple(1 - side % 2 for side in sizes[stage])
        up = ConvTranspose(widths[stage], widths[stage - 1], 3, 2, 1, extra)  # pyright: ignore[reportArgumentType]
        decoder += [Residual(widths[stage]), nn.ReLU(inplace=True), up]
    last = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)
    decoder += [Residual(widths[0]), nn.ReLU(inplace=True), last, nn.PixelShuffle(2)]
    decoder += [Crop(height, width)]
    return Nets(Coder(*encoder), Coder(*decoder), (latent, *sizes[-1]))
