"""The network without any bend: one matrix to the code, one back."""

from __future__ import annotations

from torch import nn

from lemari.networks.layers import Coder, Nets
from lemari.networks.mlp import FlatCoder, chain
from lemari.types import Schema


def linear(data: Schema, *, latent: int, heads: int, condition: int = 0) -> Nets:
    """One linear layer each way and no sigmoid: with squared errors it finds PCA's subspace."""
    encoder = FlatCoder(*chain([data.size + condition, heads * latent]))
    layers: list[nn.Module] = chain([latent + condition, data.size])
    if len(data.shape) > 1:
        layers.append(nn.Unflatten(1, data.shape))
    return Nets(encoder, Coder(*layers), (latent,))


linear.linear = True  # gives pixel values, not what a sigmoid turns into them
