"""Networks that give back a picture from a degraded one, at any size: no bottleneck, but skips.

Their code is the degraded picture itself (with the planes that tell of it: noise level, seen
pixels), so they take part in the one data flow as the decoder.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.degrade import upscale as bicubic
from lemari.errors import UsageError
from lemari.networks.layers import Nets, Residual
from lemari.types import Schema


class Through(nn.Module):
    """The encoder of a network without a bottleneck: its code is what it sees."""

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return x


class UNet(nn.Module):
    """x minus what a convolutional encoder-decoder with skips finds too much in it.

    Works at half the resolution and below (2x2 pixels become channels), where a convolution sees
    far for little. Sides need not be multiples of anything: they are padded by reflection.
    (Mao, Shen and Yang 2016, arXiv:1603.09056; Ronneberger, Fischer and Brox 2015,
    arXiv:1505.04597; half resolution as in Zhang, Zuo and Zhang 2018, arXiv:1710.04026)
    """

    def __init__(self, channels: int, planes: int, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.channels, self.multiple = channels, 2 ** len(widths)
        self.enter = nn.Conv2d(4 * (channels + planes), widths[0], 3, padding=1)
        chain = lambda width: nn.Sequential(*(Residual(width) for _ in range(blocks)))  # noqa: E731
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(chain(width) for width in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in pairs)
        self.up = nn.ModuleList(chain(width) for width in widths[:-1])
        self.leave = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        padded = pad_to(x, self.multiple)
        h = F.pixel_unshuffle(padded, 2).contiguous(memory_format=torch.channels_last)
        h, kept = self.enter(h), []
        for level, chain in enumerate(self.down):
            h = chain(h)
            if level < len(self.shrink):
                kept.append(h)
                h = self.shrink[level](h)
        for level in reversed(range(len(self.up))):
            h = self.up[level](kept[level] + F.pixel_shuffle(self.grow[level](h), 2))
        off = F.pixel_shuffle(self.leave(F.relu_(h)), 2)[:, :, :height, :width]
        return x[:, : self.channels] - off.to(x.dtype)

    @property
    def halo(self) -> int:
        """Pixels around a place that can influence it: each level's convolutions, and its grid."""
        reach, side = 4.0, 2
        for level, chain in enumerate(self.down):
            turns = 2 if level < len(self.up) else 1
            reach += side * (2 * len(chain) * turns + 1)  # pyright: ignore[reportArgumentType]
            side *= 2
        return math.ceil(reach)


class Upscaler(nn.Module):
    """The bicubic enlargement plus what a convolutional network adds to it.

    All layers work on the small picture; the last one holds the pixels of each scale x scale
    block as channels. (Shi et al. 2016, arXiv:1609.05158; Lim et al. 2017, arXiv:1707.02921)
    """

    multiple = 1

    def __init__(self, channels: int, planes: int, scale: int, width: int, blocks: int) -> None:
        super().__init__()
        self.channels, self.scale = channels, scale
        self.enter = nn.Conv2d(channels + planes, width, 3, padding=1)
        self.body = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.leave = nn.Conv2d(width, channels * scale**2, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        first = self.enter(x.contiguous(memory_format=torch.channels_last))
        h = self.leave(F.relu_(self.body(first)))
        with torch.autocast(x.device.type, enabled=False):
            large = bicubic(x[:, : self.channels].float(), self.scale)
        return large.to(x.dtype) + F.pixel_shuffle(h, self.scale).to(x.dtype)

    @property
    def halo(self) -> int:
        return 2 * len(self.body) + 4


def pad_to(x: Tensor, multiple: int) -> Tensor:
    """Right and lower edge mirrored until both sides are multiples; repeated where too small."""
    height, width = x.shape[2:]
    below, right = -height % multiple, -width % multiple
    if not (below or right):
        return x
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, below), mode=mode)


def picture(data: Schema, name: str, restores: bool, latent: int | None) -> int:
    """Channels of the pictures; a sentence where a code, its law or a class is asked for."""
    if data.kind != "image":
        raise UsageError(
            f"Network {name!r} needs pictures, but the data is a {data.kind}; use mlp."
        )
    if not restores:
        raise UsageError(
            f"Network {name!r} restores pictures and has no code; use it with denoising-ae, "
            "super-resolution-ae or inpainting-ae, or choose --network residual."
        )
    if latent is not None:
        raise UsageError(
            f"Network {name!r} has skips in place of a code; leave --latent out, or choose a "
            "network with a bottleneck such as residual."
        )
    return data.shape[0]


def unet(
    data: Schema,
    *,
    latent: int | None = None,
    heads: int = 1,
    condition: int = 0,
    planes: int | None = None,
    widths: tuple[int, ...] = (32, 64, 128),
    blocks: int = 1,
) -> Nets:
    """Encoder-decoder with skips, for pictures of any size. `unet:32-64-128` sets its maps."""
    restores = planes is not None and heads == 1 and not condition
    channels = picture(data, "unet", restores, latent)
    planes = planes or 0
    code = (channels + planes, *data.shape[1:])
    return Nets(Through(), UNet(channels, planes, widths, blocks), code)


def upscale(
    data: Schema,
    *,
    latent: int | None = None,
    heads: int = 1,
    condition: int = 0,
    planes: int = 0,
    scale: int | None = None,
    widths: tuple[int, ...] = (48,) * 6,
) -> Nets:
    """Residual blocks on the small picture, then pixel shuffle. `upscale:48-48` sets its blocks."""
    restores = scale is not None and heads == 1 and not condition
    channels = picture(data, "upscale", restores, latent)
    scale = scale or 1
    height, width = data.shape[1:]
    code = (channels + planes, height // scale, width // scale)
    return Nets(Through(), Upscaler(channels, planes, scale, widths[0], len(widths)), code)


for network in (unet, upscale):
    network.own_latent = True
    network.skips = True
    network.linear = True  # gives pixel values, not what a sigmoid turns into them
unet.planes = upscale.planes = True
