"""Critics: networks that tell values of two laws apart, one logit a value."""

from __future__ import annotations

from functools import partial
from math import prod

from torch import Tensor, nn

from lemari.networks.layers import halves
from lemari.networks.mlp import chain
from lemari.networks.mlp import widths_for as widths_of_table
from lemari.networks.residual import depth_for
from lemari.networks.residual import widths_for as maps_for
from lemari.types import Schema

# Not ReLU: a unit that is off for every value would leave what the critic judges without a slope.
Leaky = partial(nn.LeakyReLU, 0.2, inplace=True)


class Critic(nn.Module):
    """A body (N, *E) -> (N, F) and a linear head on these features."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(features, 1)

    def features(self, values: Tensor) -> Tensor:
        """Shapes: values (K, B, *E), features (K, B, F)."""
        return self.body(values.flatten(0, 1)).unflatten(0, values.shape[:2])

    def forward(self, values: Tensor) -> Tensor:
        """Logits (K, B) of values (K, B, *E)."""
        return self.head(self.features(values)).squeeze(-1)


def code_critic(*code: int, widths: tuple[int, ...] = (256, 256, 256)) -> Critic:
    """Fully connected, for codes of shape Z."""
    layers = chain([prod(code), *widths], Leaky)
    return Critic(nn.Sequential(nn.Flatten(), *layers, Leaky()), widths[-1])


def example_critic(data: Schema) -> Critic:
    """For examples: strided convolutions for pictures, fully connected layers for the rest.

    Each example's features are brought to mean 0 and variance 1, so that an error measured in them
    has a scale that training cannot change.
    """
    if data.kind == "image":
        layers, size = picture_layers(*data.shape)
    else:
        widths = widths_of_table(data.size)
        layers, size = [nn.Flatten(), *chain([data.size, *widths], Leaky), Leaky()], widths[-1]
    return Critic(nn.Sequential(*layers, nn.LayerNorm(size, elementwise_affine=False)), size)


def picture_layers(channels: int, height: int, width: int) -> tuple[list[nn.Module], int]:
    """Convolutions that halve the sides down to 4 to 7, and how many numbers come out."""
    maps = maps_for(depth_for(height, width))
    layers: list[nn.Module] = []
    for before, after in zip((channels, *maps), maps, strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1), Leaky()]
    low, narrow = halves(height, width, len(maps))[-1]
    return [*layers, nn.Flatten()], maps[-1] * low * narrow
