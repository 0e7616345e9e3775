"""A fully convolutional network for pictures, whose code is a small stack of feature maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.networks.course import image_shape
from lemari.networks.layers import Coder, Nets, halves
from lemari.networks.residual import doubling, halving
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
    encoder = [*halving(channels + condition, widths), MapHead(widths[-1], heads * latent, 1)]
    first = nn.Conv2d(latent + condition, widths[-1], 3, padding=1)
    decoder = [first, *doubling(widths, sizes, channels)]
    return Nets(Coder(*encoder), Coder(*decoder), (latent, *sizes[-1]))
