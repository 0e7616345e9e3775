"""Decoders: a network and a likelihood, together p(x | z, c)."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import Density, widened


class Decoder(nn.Module):
    """All values of an example at once: the network gives the likelihood's parameters."""

    def __init__(self, net: nn.Module, likelihood: nn.Module) -> None:
        super().__init__()
        self.net, self.likelihood = net, likelihood

    def forward(self, z: Tensor, c: Tensor) -> Density:
        """Law of x, batch (K, B). Shapes: z (K, B, *Z), c (B, C)."""
        k, b = z.shape[:2]
        h = self.net(z.flatten(0, 1), c if k == 1 else c.repeat(k, 1))
        return self.likelihood(widened(h).view(k, b, *h.shape[1:]))
