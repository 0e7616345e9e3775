"""Small layers that several networks are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Nets:
    """An encoder (x, c) -> (B, heads * Z[0], *Z[1:]), a decoder (z, c) -> (B, *S), and Z."""

    encoder: nn.Module
    decoder: nn.Module
    code: tuple[int, ...]


class Coder(nn.Sequential):
    """A chain of layers whose first input is joined with the condition.

    A condition of width 0 changes nothing, so conditional and unconditional models share code.
    Vectors are joined end to end; for pictures and feature maps each number of the condition
    becomes one constant plane.
    """

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        if c.shape[-1]:
            planes = c.view(*c.shape, *(1,) * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
            x = torch.cat((x, planes.to(x.dtype)), 1)
        if x.dim() == 4 and x.shape[1] > 1:
            x = x.contiguous(memory_format=torch.channels_last)
        return super().forward(x)


class ConvTranspose(nn.ConvTranspose2d):
    """Transposed convolution that adds its bias outside oneDNN.

    The library's own bias gradient takes about a third of a training step on CPUs; the sum of
    a broadcast addition takes almost nothing. Parameters and result are those of the base class.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        strides = (self.stride, self.padding, self.output_padding)
        y = F.conv_transpose2d(input, self.weight, None, *strides)  # pyright: ignore
        return y if self.bias is None else y.add_(self.bias.to(y.dtype).view(1, -1, 1, 1))


class OneMap(nn.Conv2d):
    """A convolution with one output channel, as a matrix product and a sum of shifted maps.

    Libraries' kernels work on blocks of output channels and leave most of a block idle here; this
    takes two thirds of their time. Parameters and result are those of the base class (stride 1).
    """

    def forward(self, input: Tensor) -> Tensor:
        batch, channels, height, width = input.shape
        taps = self.weight[0].flip(1, 2).flatten(1).to(input.dtype)
        parts = input.permute(0, 2, 3, 1).reshape(-1, channels) @ taps
        parts = parts.view(batch, height * width, -1).transpose(1, 2)
        wide = parts.to(self.weight.dtype)
        y = F.fold(wide, (height, width), self.kernel_size, padding=self.padding)  # pyright: ignore
        return y if self.bias is None else y + self.bias


def last_convolution(before: int, after: int) -> nn.Conv2d:
    """The 3x3 convolution that ends a decoder, in its fastest form."""
    return (OneMap if after == 1 else nn.Conv2d)(before, after, 3, padding=1)


class Head(nn.Linear):
    """A linear layer that always works in full precision: the last of an encoder.

    In bfloat16 a code would be rounded to 8 bits, which shows as a lattice in every map of it.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype == self.weight.dtype:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


class Grid(nn.Module):
    """A row of numbers as feature maps of the given (channels, height, width)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        maps = x.view(-1, *self.shape)
        return maps.contiguous(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        return "x".join(map(str, self.shape))


class Crop(nn.Module):
    """The upper left corner of the given (height, width)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.height, : self.width]


class Residual(nn.Module):
    """x + body(x), with `body` two 3x3 convolutions whose sum starts at zero.

    The last convolution starts at zero, so a deep stack starts as the identity and needs no
    normalisation across the batch: a score never depends on an example's batch mates.
    (Zhang, Dauphin and Ma 2019, arXiv:1901.09321)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.relu_(self.first(F.relu(x))))


def halves(height: int, width: int, times: int) -> list[tuple[int, int]]:
    """Sizes of the maps when each layer halves the last, rounding up.

    >>> halves(28, 28, 3)
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    sizes = [(height, width)]
    for _ in range(times):
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return sizes
