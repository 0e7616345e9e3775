"""The default network for pictures of any size: strided convolutions with residual blocks."""

from __future__ import annotations

from torch import nn

from lemari.networks.course import image_shape
from lemari.networks.layers import Coder, ConvTranspose, Crop, Grid, Head, Nets, Residual, halves
from lemari.types import Schema


def depth_for(height: int, width: int) -> int:
    """How often to halve, so that the smaller side ends at 4 to 7.

    >>> [depth_for(side, side) for side in (8, 28, 32, 64, 256)]
    [1, 2, 3, 4, 6]
    """
    side, depth = min(height, width), 0
    while side >= 8:
        side, depth = (side + 1) // 2, depth + 1
    return max(1, depth)


def widths_for(depth: int) -> tuple[int, ...]:
    """Feature maps of each stage, finest first: doubled at each halving, 128 at most.

    Large pictures start with fewer maps, because their first stage is the dearest.

    >>> widths_for(2), widths_for(4), widths_for(6)
    ((32, 64), (24, 48, 96, 128), (16, 32, 64, 128, 128, 128))
    """
    first = 32 if depth < 4 else 24 if depth == 4 else 16
    return tuple(min(128, first * 2**stage) for stage in range(depth))


def residual(
    data: Schema, *, latent: int, heads: int, condition: int = 0, widths: tuple[int, ...] = ()
) -> Nets:
    """Strided convolutions with residual blocks; any size from 8x8. `residual:32-64` sets maps."""
    channels, height, width = image_shape(data, "residual")
    widths = widths or widths_for(depth_for(height, width))
    sizes = halves(height, width, len(widths))
    grid = (widths[-1], *sizes[-1])
    flat = grid[0] * grid[1] * grid[2]
    encoder = [*halving(channels + condition, widths), nn.Flatten(), Head(flat, heads * latent)]
    first = [nn.Linear(latent + condition, flat), Grid(*grid)]
    decoder = [*first, *doubling(widths, sizes, channels)]
    return Nets(Coder(*encoder), Coder(*decoder), (latent,))


def halving(before: int, widths: tuple[int, ...]) -> list[nn.Module]:
    """Layers from `before` maps to widths[-1], each stage with sides half as long."""
    layers: list[nn.Module] = []
    for width, after in zip((before, *widths), widths, strict=False):
        layers += [nn.Conv2d(width, after, 3, 2, 1), Residual(after)]
    return [*layers, nn.ReLU(inplace=True)]


def doubling(
    widths: tuple[int, ...], sizes: list[tuple[int, int]], channels: int
) -> list[nn.Module]:
    """The way back, from widths[-1] maps to `channels` of the first of the sizes (H, W)."""
    layers: list[nn.Module] = []
    for stage in range(len(widths) - 1, 0, -1):
        extra = tuple(1 - side % 2 for side in sizes[stage])
        up = ConvTranspose(widths[stage], widths[stage - 1], 3, 2, 1, extra)  # pyright: ignore[reportArgumentType]
        layers += [Residual(widths[stage]), nn.ReLU(inplace=True), up]
    last = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)
    layers += [Residual(widths[0]), nn.ReLU(inplace=True), last, nn.PixelShuffle(2)]
    return [*layers, Crop(*sizes[0])]
