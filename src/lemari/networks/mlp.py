"""Fully connected networks, for tables and for small pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import nn

from lemari.networks.layers import Coder, Head, Nets
from lemari.types import Schema

ReLU = partial(nn.ReLU, inplace=True)


def chain(sizes: list[int], act: Callable[[], nn.Module] = ReLU) -> list[nn.Module]:
    """Linear layers from size to size, with an activation between."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), act()]
    return layers[:-1]


def widths_for(size: int) -> tuple[int, ...]:
    """Two hidden layers that suit examples of `size` numbers.

    >>> widths_for(784), widths_for(30), widths_for(3)
    ((512, 256), (64, 32), (32, 16))
    """
    first = 32
    while first * 2 <= min(2.2 * size, 512):
        first *= 2
    return first, first // 2


def mlp(
    data: Schema,
    *,
    latent: int,
    heads: int,
    condition: int = 0,
    widths: tuple[int, ...] = (),
    act: Callable[[], nn.Module] = ReLU,
) -> Nets:
    """Fully connected encoder and mirrored decoder. `mlp:300-300` sets the hidden widths."""
    hidden = list(widths or widths_for(data.size))
    before = chain([data.size + condition, *hidden], act)
    encoder = FlatCoder(*before, act(), Head(hidden[-1], heads * latent))
    layers = chain([latent + condition, *reversed(hidden), data.size], act)
    if len(data.shape) > 1:
        layers.append(nn.Unflatten(1, data.shape))
    return Nets(encoder, Coder(*layers), (latent,))


def mlp_tanh(data: Schema, **options) -> Nets:
    """The same with tanh: learns binary pictures faster and over-fits them less than ReLU."""
    return mlp(data, **options, act=nn.Tanh)


class FlatCoder(Coder):
    """A chain that flattens its input before the condition is joined to it."""

    def forward(self, x, c):
        return super().forward(x.flatten(1), c)
