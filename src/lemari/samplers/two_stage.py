"""A second VAE, on the codes of the first model."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor

from lemari.errors import ModelFileError
from lemari.feed import Feed
from lemari.model import Autoencoder
from lemari.samplers.base import Codes, Parts, Sampler, need_narrow
from lemari.samplers.moments import standard
from lemari.train import Plan, Training, random_state
from lemari.types import Schema
from lemari.variants.vae import vae

STEPS, BATCH = 2000, 128


class TwoStage(Sampler):
    """A VAE whose examples are the codes; N(0, I) through its decoder gives new codes.

    Codes have as many dimensions as their manifold, so that the second VAE can match their law
    where the first could not. (Dai and Wipf 2019, arXiv:1903.05789)
    """

    def __init__(self, model: Autoencoder, centre: Tensor, spread: Tensor) -> None:
        self.model, self.centre, self.spread = model.eval(), centre, spread

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        need_narrow(codes, "A second VAE")
        centre, spread = standard(codes.z)
        with random_state(seed):
            model = build(codes.z.shape[1])
        epochs = max(1, STEPS * BATCH // len(codes.z))
        plan = Plan(epochs=epochs, batch_size=BATCH, lr=2e-3, seed=seed)
        white = ((codes.z - centre) / spread).numpy()
        for _ in Training(model, Feed(np.ascontiguousarray(white), None, AsIs()), plan).run():
            pass
        return cls(model, centre, spread)

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        u = torch.randn(1, count, len(self.centre))
        z = self.model.decode(u, u.new_zeros(count, 0)).sample()[0, 0]
        return z * self.spread + self.centre

    def tensors(self) -> dict[str, Tensor]:
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        return {"centre": self.centre, "spread": self.spread, **model}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        state = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        try:
            model = build(len(tensors["centre"]))
            model.load_state_dict(state)
            return cls(model, tensors["centre"], tensors["spread"])
        except (KeyError, RuntimeError, TypeError) as fault:
            raise ModelFileError(
                "The saved sampler is no second VAE; fit it anew with --sampler auto --refit."
            ) from fault


def build(size: int) -> Autoencoder:
    """A VAE of codes of `size` numbers, with as many numbers in its own code."""
    return vae(Schema("table", (size,)), latent=size, network="mlp:128-128")


class AsIs:
    """A format that changes nothing."""

    def unit(self, x: Tensor) -> Tensor:
        return x
