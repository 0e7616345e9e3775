"""What pre-training is worth when few examples have labels."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.feed import Feed
from lemari.model import Autoencoder
from lemari.train import random_state

STEPS, BATCH = 300, 100
HEAD_LR, CODER_LR = 1e-2, 1e-3


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


def features(model: Autoencoder, x: Tensor) -> Tensor:
    """The posterior mean (B, D), with a gradient."""
    nothing = x.new_zeros(len(x), 0)
    return model.encode(model.corrupt.given(x), nothing).mean.flatten(1)


class Classifier(nn.Module):
    """The encoder of a model, its code standardised once and for all, and a linear layer."""

    def __init__(self, model: Autoencoder, feed: Feed, classes: int) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        with torch.no_grad():
            z = features(self.model, feed.gather(np.arange(min(2000, len(feed)))).x)
        self.mean, self.spread = z.mean(0), z.std(0).clamp(min=1e-3)
        self.head = nn.Linear(z.shape[1], classes)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((features(self.model, x) - self.mean) / self.spread)

    @torch.no_grad()
    def accuracy(self, feed: Feed, truth: np.ndarray) -> float:
        """Share of the rows with a known class that are told rightly."""
        found = torch.cat([self(batch.x).argmax(1) for batch in feed.batches(500)]).numpy()
        return float((found == truth)[truth >= 0].mean())


def fine_tuned(
    model: Autoencoder, feed: Feed, labels: np.ndarray, chosen: np.ndarray, seed: int = 0
) -> Classifier:
    """Encoder and linear layer trained together on the chosen rows alone (Adam, 300 steps).

    `labels` (N,) are those of the rows of `feed`, `chosen` positions among them.
    """
    batch = feed.gather(chosen)
    y = torch.from_numpy(labels[chosen])
    net = Classifier(model, feed, int(labels.max()) + 1)
    coder = [*net.model.encoder.parameters(), *net.model.posterior.parameters()]
    groups = [{"params": net.head.parameters(), "lr": HEAD_LR}, {"params": coder, "lr": CODER_LR}]
    with random_state(seed):
        optimiser = torch.optim.Adam(groups)
        for step in range(STEPS):
            rows = torch.randperm(len(y))[:BATCH]
            for group, top in zip(optimiser.param_groups, (HEAD_LR, CODER_LR), strict=True):
                group["lr"] = top * (1 - step / STEPS)
            optimiser.zero_grad()
            F.cross_entropy(net(batch.x[rows]), y[rows]).backward()
            optimiser.step()
    return net


def nearest_on_pixels(
    feed: Feed, labels: np.ndarray, chosen: np.ndarray, held: Feed, truth: np.ndarray
) -> float:
    """Accuracy of the nearest labelled rows in raw values: the better of one and five votes."""
    from lemari.metrics.representation import knn_accuracy

    x = feed.gather(chosen).x.flatten(1).numpy()
    test = np.concatenate([batch.x.flatten(1).numpy() for batch in held.batches(2000)])
    return max(knn_accuracy(x, labels[chosen], test, truth, k) for k in (1, 5))
