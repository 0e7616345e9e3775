"""A second VAE, on the codes of the first model."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from lemari.feed import Feed
from lemari.model import Autoencoder
from lemari.samplers.base import Codes, need_narrow
from lemari.samplers.moments import standard
from lemari.samplers.network import NetworkSampler
from lemari.train import Plan, Training, random_state
from lemari.types import Schema
from lemari.variants.vae import vae

STEPS, BATCH = 2000, 128


class TwoStage(NetworkSampler):
    """A VAE whose examples are the codes; N(0, I) through its decoder gives new codes.

    Codes have as many dimensions as their manifold, so that the second VAE can match their law
    where the first could not. (Dai and Wipf 2019, arXiv:1903.05789)
    """

    what = "second VAE"

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        need_narrow(codes, "A second VAE")
        centre, spread = standard(codes.z)
        with random_state(seed):
            model = cls.build(codes.z.shape[1])
        epochs = max(1, STEPS * BATCH // len(codes.z))
        plan = Plan(epochs=epochs, batch_size=BATCH, lr=2e-3, seed=seed)
        white = ((codes.z - centre) / spread).numpy()
        for _ in Training(model, Feed(np.ascontiguousarray(white), None, AsIs()), plan).run():
            pass
        return cls(model, centre, spread)

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        u = torch.randn(1, count, len(self.centre))
        z = self.net.decode(u, u.new_zeros(count, 0)).sample()[0, 0]
        return z * self.spread + self.centre

    @staticmethod
    def build(size: int) -> Autoencoder:
        """A VAE of codes of `size` numbers, with as many numbers in its own code."""
        return vae(Schema("table", (size,)), latent=size, network="mlp:128-128")


class AsIs:
    """A format that changes nothing."""

    def unit(self, x: Tensor) -> Tensor:
        return x
