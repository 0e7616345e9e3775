"""What pre-training is worth when few examples have labels."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.feed import Feed
from lemari.metrics.representation import knn_accuracy
from lemari.metrics.spreading import spread_labels
from lemari.model import Autoencoder
from lemari.starting import random_state

STEPS, BATCH, OWN = 400, 128, 32  # of a fine-tuning; OWN rows of a batch have true labels
HEAD_LR, CODER_LR = 1e-2, 1e-3
UNLABELLED, ROUNDS = 10_000, 2


def drawn_labels(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray | None:
    """Positions of `count` rows, the same number of each class as far as it goes; None if too few.

    Rows with an unknown class (-1) are never drawn.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(labels[labels >= 0])
    pools = [rng.permutation(np.flatnonzero(labels == c)) for c in rng.permutation(classes)]
    shares = [count // len(pools) + (i < count % len(pools)) for i in range(len(pools))]
    if any(share > len(pool) for share, pool in zip(shares, pools, strict=True)):
        return None
    drawn = [pool[:share] for pool, share in zip(pools, shares, strict=True)]
    return np.sort(np.concatenate(drawn))


class Classifier(nn.Module):
    """The encoder of a model, its code standardised once and for all, and a linear layer."""

    def __init__(self, model: Autoencoder, feed: Feed, classes: int) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        z = torch.from_numpy(self.codes(feed, np.arange(min(2000, len(feed)))))
        self.mean, self.spread = z.mean(0), z.std(0).clamp(min=1e-3)
        self.head = nn.Linear(z.shape[1], classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        """The posterior mean (B, D), with a gradient."""
        nothing = x.new_zeros(len(x), 0)
        return self.model.encode(self.model.corrupt.given(x), nothing).mean.flatten(1)

    @torch.no_grad()
    def codes(self, feed: Feed, order: np.ndarray) -> np.ndarray:
        return torch.cat([self.features(b.x) for b in feed.batches(500, order)]).numpy()

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.features(x) - self.mean) / self.spread)

    def learn(
        self, feed: Feed, rows: np.ndarray, y: Tensor, weight: Tensor, own: Tensor, seed: int
    ) -> None:
        """Train all of it on these rows of the feed: Adam, 400 steps, falling learning rates.

        Shapes: rows (N,), y (N,) class numbers, weight (N,); `own` (n,) says which of the rows
        have true labels: a quarter of each batch is drawn from them.
        """
        coder = [*self.model.encoder.parameters(), *self.model.posterior.parameters()]
        head = {"params": self.head.parameters(), "lr": HEAD_LR}
        with random_state(seed):
            optimiser = torch.optim.Adam([head, {"params": coder, "lr": CODER_LR}])
            fall = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
            for _ in range(STEPS):
                others = torch.randint(len(rows), (BATCH - OWN,))
                at = torch.cat((others, own[torch.randint(len(own), (OWN,))]))
                loss = F.cross_entropy(self(feed.gather(rows[at]).x), y[at], reduction="none")
                optimiser.zero_grad()
                (loss * weight[at]).mean().backward()
                optimiser.step()
                fall.step()

    @torch.no_grad()
    def accuracy(self, feed: Feed, truth: np.ndarray) -> float:
        """Share of the rows with a known class (M,) that are told rightly."""
        found = torch.cat([self(batch.x).argmax(1) for batch in feed.batches(500)]).numpy()
        return float((found == truth)[truth >= 0].mean())


def tuned_on_labels(
    model: Autoencoder, feed: Feed, chosen: np.ndarray, y: np.ndarray, classes: int, seed: int = 0
) -> Classifier:
    """The encoder and a linear layer, trained on the chosen rows (n,) and their labels alone."""
    net = Classifier(model, feed, classes)
    every = torch.arange(len(y))
    net.learn(feed, chosen, torch.from_numpy(y), torch.ones(len(y)), every, seed)
    return net


def tuned_on_spread(
    model: Autoencoder, feed: Feed, chosen: np.ndarray, y: np.ndarray, classes: int, seed: int = 0
) -> Classifier:
    """The same with the help of 10,000 rows without labels.

    Labels are spread over the neighbours of the pre-trained code, the encoder learns them,
    weighted by their certainty, and once more from the code that it then has.
    """
    rows = pool(feed, chosen, seed)
    at = np.searchsorted(rows, chosen)
    net = Classifier(model, feed, classes)
    for turn in range(ROUNDS):
        codes = net.codes(feed, rows)
        if turn:
            codes = codes / np.maximum(codes.std(0), 1e-3)
        guess, certain = spread_labels(codes, at, y, classes)
        net = Classifier(model, feed, classes)
        weight = torch.from_numpy(certain.astype(np.float32))
        net.learn(feed, rows, torch.from_numpy(guess), weight, torch.from_numpy(at), seed + turn)
    return net


def pool(feed: Feed, chosen: np.ndarray, seed: int) -> np.ndarray:
    """The chosen rows and up to 10,000 others, in ascending order."""
    others = np.random.default_rng(seed).permutation(len(feed))[:UNLABELLED]
    return np.union1d(chosen, others)


def on_raw_values(
    feed: Feed,
    chosen: np.ndarray,
    y: np.ndarray,
    classes: int,
    held: tuple[np.ndarray, np.ndarray],
    seed: int = 0,
) -> tuple[float, float]:
    """Accuracies without any model: the nearest labelled row, and labels spread first.

    The first is the better of one vote and five; the second asks the nearest of the rows over
    which labels were spread, as in `tuned_on_spread`. `held` are raw values (M, D) and classes.
    """
    rows = pool(feed, chosen, seed)
    x = np.concatenate([b.x.flatten(1).numpy() for b in feed.batches(2000, rows)])
    at = np.searchsorted(rows, chosen)
    near = max(knn_accuracy(x[at], y, *held, k) for k in (1, 5))
    guess, _ = spread_labels(x, at, y, classes)
    return near, knn_accuracy(x, guess, *held)
