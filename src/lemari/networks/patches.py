"""A transformer over the patches of a picture, both ways, with a vector as code."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.networks.course import image_shape
from lemari.networks.layers import Coder, Crop, Head, Nets
from lemari.networks.restoring import pad_to
from lemari.types import Schema

MOST_PATCHES = 100  # attention costs the square of their number


def side_for(height: int, width: int) -> int:
    """The side of a patch, a power of two: the smallest that cuts a picture into 100 at most.

    >>> [side_for(side, side) for side in (8, 28, 32, 64, 256)]
    [2, 4, 4, 8, 32]
    """
    side = 2
    while -(-height // side) * -(-width // side) > MOST_PATCHES:
        side *= 2
    return side


class Cut(nn.Module):
    """Pictures (B, C, H, W) as rows of patches (B, N, C side^2), padded where a side is over."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(pad_to(x, self.side), self.side).flatten(2).transpose(1, 2)


class Join(nn.Module):
    """Rows of patches as pictures of `rows` x `columns` patches: what Cut cut."""

    def __init__(self, side: int, rows: int, columns: int) -> None:
        super().__init__()
        self.side, self.rows, self.columns = side, rows, columns

    def forward(self, x: Tensor) -> Tensor:
        maps = x.transpose(1, 2).unflatten(2, (self.rows, self.columns))
        return F.pixel_shuffle(maps, self.side)


class Places(nn.Module):
    """Adds to each patch a learned row that says where it lies; attention alone cannot tell."""

    def __init__(self, number: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(0.02 * torch.randn(number, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rows


class Block(nn.Module):
    """Attention between patches, then two layers on each, both added to what came in.

    Normalises the numbers of each patch before either, never across examples. Queries and keys
    have no bias: that of the keys would change nothing. (Dosovitskiy et al. 2021,
    arXiv:2010.11929)
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = next((n for n in (8, 4, 2) if width % n == 0 and width >= 16 * n), 1)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width, bias=False)
        self.answer = nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.answer(self.attention(self.ask(self.before(x))))
        return x + self.each(self.after(x))

    def attention(self, x: Tensor) -> Tensor:
        """Values mixed by likeness of queries and keys: (B, N, 3 D) -> (B, N, D).

        Written out, because torch's fused kernel has no second derivative on a CPU, which
        penalties on slopes need.
        """
        q, k, v = x.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        likeness = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return (likeness.softmax(-1) @ v).transpose(1, 2).flatten(2)


def blocks(widths: tuple[int, ...]) -> list[nn.Module]:
    """One block for each width, and a linear layer where the width changes."""
    layers: list[nn.Module] = [Block(widths[0])]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after)] if before != after else []
        layers.append(Block(after))
    return [*layers, nn.LayerNorm(widths[-1])]


def patches(
    data: Schema,
    *,
    latent: int,
    heads: int,
    condition: int = 0,
    widths: tuple[int, ...] = (64, 64, 64),
) -> Nets:
    """Transformer over patches, both ways; pictures of any size. `patches:64-64` sets its blocks.

    The patches are as large as keeps them at 100 or fewer. The code is a linear function of all
    of them, so it can hold places.
    """
    channels, height, width = image_shape(data, "patches")
    side = side_for(height, width)
    rows, columns = -(-height // side), -(-width // side)
    number, values = rows * columns, side * side
    first, last = widths[0], widths[-1]
    encoder = Coder(
        Cut(side),
        nn.Linear((channels + condition) * values, first),
        Places(number, first),
        *blocks(widths),
        nn.Flatten(),
        Head(number * last, heads * latent),
    )
    decoder = Coder(
        nn.Linear(latent + condition, number * last),
        nn.Unflatten(1, (number, last)),
        *blocks(widths[::-1]),
        nn.Linear(first, channels * values),
        Join(side, rows, columns),
        Crop(height, width),
    )
    return Nets(encoder, decoder, (latent,))
