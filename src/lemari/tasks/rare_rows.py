"""A conditional VAE of mixed rows, and new rows of one class drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from lemari.condition import OneHot
from lemari.decoders import Decoder
from lemari.feed import Feed
from lemari.latents.gaussian import DiagonalGaussian, StandardNormal
from lemari.model import Autoencoder, likelihood_of
from lemari.networks.select import select
from lemari.schedule import Constant
from lemari.tasks.mixed_likelihood import MixedLikelihood, Places
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.train import Plan, Training, random_state
from lemari.types import Schema, View

NETWORK = "mlp:128-64"
MOST_LATENT = 12
MOST_ROWS = 4096  # rows of an epoch of training, all classes together
LEAST_ROWS = 64  # rows of one class in it
STEPS, BATCH, RATE = 400, 128, 4e-3
WIDEST = 20.0  # standard deviations to which numbers are limited
NEAR = 5  # rows of a class among which the second of a pair is chosen
FRESH = 0.5  # share of new rows whose numbers keep no residual of given ones
JITTER = 0.05  # of a column's standard deviation


class Plain:
    """Stored rows are what the network sees."""

    def unit(self, x: Tensor) -> Tensor:
        """The rows, unchanged."""
        return x


def rare_rows_vae(width: int, classes: int, places: Places) -> Autoencoder:
    """A conditional VAE of rows (N, width) of `classes` classes."""
    condition = OneHot(classes)
    data = Schema("table", (width,), tuple(map(str, range(classes))))
    latent = max(2, min(MOST_LATENT, width // 2))
    nets = select(data, NETWORK, latent=latent, heads=2, condition=condition.width)
    return Autoencoder(
        data,
        encoder=nets.encoder,
        posterior=DiagonalGaussian(),
        prior=StandardNormal(*nets.code),
        decoder=Decoder(nets.decoder, MixedLikelihood(places)),
        terms=[Recon(), KL(Constant(1.0))],
        condition=condition,
    )


def train(x: np.ndarray, y: np.ndarray, places: Places, seed: int) -> Autoencoder:
    """The VAE of rows x (N, F) with classes y (N,); every class is met equally often."""
    rng = np.random.default_rng(seed)
    classes = int(y.max()) + 1
    rows = max(LEAST_ROWS, min(len(y), MOST_ROWS) // classes)
    picks = [np.resize(rng.permutation(np.flatnonzero(y == c)), rows) for c in range(classes)]
    feed = Feed(x, y, Plain(), np.concatenate(picks))
    epochs = max(1, round(STEPS * BATCH / len(feed)))
    with random_state(seed):
        model = rare_rows_vae(x.shape[1], classes, places)
        for _ in Training(model, feed, Plan(epochs, BATCH, RATE, seed)).run():
            pass
    return model.eval()


@dataclass(frozen=True, slots=True, eq=False)
class RareRows:
    """A trained VAE that makes rows of the classes it was trained with."""

    model: Autoencoder
    places: Places
    classes: int

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, places: Places, seed: int) -> RareRows:
        """From features x (N, F) and classes y (N,) int64."""
        return cls(train(seen(x, places), y, places, seed), places, int(y.max()) + 1)

    @torch.no_grad()
    def draw(
        self, own: np.ndarray, c: int, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Features (count, F) of new rows of class c, and which of its rows (n, F) each is like.

        Of two rows, one has a code drawn from the posterior of a row of the class, and numbers
        with the learned spread. The other has a code on the line between the codes of two near
        rows, spread in the same way, and numbers that keep what the network cannot rebuild of
        these two: their residuals are mixed as their codes are. So are the chances of truths and
        levels in both.
        """
        x = seen(own, self.places)
        condition = torch.zeros(1, self.classes)
        condition[0, c] = 1.0
        q: Any = self.model.encode(View(torch.from_numpy(x)), condition.expand(len(x), -1))
        codes, sigma = q.mean.numpy(), q.sigma.numpy()
        first, second, t = pairs(codes, count, rng)
        fresh = rng.random((count, 1)) < FRESH
        t[fresh] = 0.0
        line = codes[first] * (1 - t) + codes[second] * t
        line += sigma[first] * rng.standard_normal(line.shape, np.float32)
        residual = x - self._rebuilt(codes, condition)
        mixed = residual[first] * (1 - t) + residual[second] * t
        numbers, spread = self.places.numbers.numpy(), likelihood_of(self.model).variance.sqrt()
        noise = spread.numpy() * rng.standard_normal((count, len(spread)))
        mixed[:, numbers] = np.where(fresh, noise, mixed[:, numbers])
        made = self._rebuilt(line, condition) + mixed
        return drawn(made, self.places, rng), np.where(t[:, 0] < 0.5, first, second)

    def _rebuilt(self, z: np.ndarray, condition: Tensor) -> np.ndarray:
        """Means (n, F) of the rows with codes z (n, Z)."""
        z = z.astype(np.float32)
        parts = [torch.from_numpy(z[i : i + MOST_ROWS]) for i in range(0, len(z), MOST_ROWS)]
        laws = [self.model.decode(part[None], condition.expand(len(part), -1)) for part in parts]
        return np.concatenate([law.mean[0].numpy() for law in laws])


def between(
    own: np.ndarray, places: Places, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features (count, F) between two near rows of own (n, F), numbers jittered; and the nearer.

    For classes of too few rows to train a network with.
    """
    x = seen(own, places)
    first, second, t = pairs(x, count, rng)
    made = x[first] * (1 - t) + x[second] * t
    numbers = places.numbers.numpy()
    noise = rng.standard_normal((count, len(numbers))) * x[:, numbers].std(0)
    made[:, numbers] += (JITTER * noise).astype(np.float32)
    return drawn(made, places, rng), np.where(t[:, 0] < 0.5, first, second)


def seen(x: np.ndarray, places: Places) -> np.ndarray:
    """Features (N, F) as the network sees them: numbers limited, truths as 0 and 1."""
    out = np.clip(x, -WIDEST, WIDEST)
    truths = places.truths.numpy()
    out[:, truths] = x[:, truths] > 0
    return out


def pairs(
    codes: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `count` new rows a row, one of the 5 nearest to it, and a share (count, 1).

    Every row is used equally often, give or take one.
    """
    some = min(NEAR, len(codes) - 1)
    near = np.asarray(KDTree(codes).query(codes, some + 1)[1])
    first = np.resize(rng.permutation(len(codes)), count)
    second = near[first, rng.integers(1, some + 1, count)]
    return first, second, rng.random((count, 1), np.float32)


def drawn(made: np.ndarray, places: Places, rng: np.random.Generator) -> np.ndarray:
    """Means (n, F) with truths drawn as -1 or 1 and one level of each column drawn as 1."""
    out = made.copy()
    truths, levels_at, group = (t.numpy() for t in (places.truths, places.levels, places.group))
    chances = made[:, truths]
    out[:, truths] = np.where(rng.random(chances.shape) < chances, 1.0, -1.0)
    for column in np.unique(group):
        levels = levels_at[group == column]
        upto = np.cumsum(made[:, levels].clip(1e-9), 1)
        hit = rng.random((len(made), 1)) * upto[:, -1:] < upto
        out[:, levels] = np.eye(len(levels))[hit.argmax(1)]
    return out
