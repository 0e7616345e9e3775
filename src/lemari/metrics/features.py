"""A small net trained on the data at hand, in whose features generated examples are judged.

Distances in pixels say little of what people see; features of a net that has learned something of
the data say more. Scores are comparable only within one net, so every score carries its name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.feed import Feed
from lemari.starting import random_state

ROWS, STEPS, BATCH, RATE = 20_000, 400, 128, 2e-3
SIDE = 32  # larger pictures are averaged down to it
WIDEST = 64  # features
BLOCK = 512


@dataclass
class Features:
    """Examples (N, *S), as the model sees them, to features (N, F) float64.

    They are scaled so that over the training rows a feature has variance 1 on average. `name`
    says what the net is and what it was trained for.
    """

    net: nn.Module
    name: str
    scale: float = 1.0

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.net.eval()
        parts = [
            self.net(torch.from_numpy(np.ascontiguousarray(x[i : i + BLOCK], np.float32)))
            for i in range(0, len(x), BLOCK)
        ]
        return torch.cat(parts).double().numpy() * self.scale


def learn_features(train: Feed, seed: int = 0, compared: int = 1 << 20) -> Features:
    """Train a net of three layers on up to 20,000 of these rows, in seconds.

    It learns to tell the classes apart where at least two are known, else to rebuild the rows. It
    has an eighth as many features as rows will be `compared`, at most 64: the moments of more could
    not be told from chance.
    """
    order = np.sort(np.random.default_rng(seed).permutation(len(train))[:ROWS])
    some = Feed(train.x, train.y, train.format, train.index[order])
    y = None if some.y is None else some.y[some.index]
    classes = 0 if y is None else int(y.max(initial=-1)) + 1
    labelled = y is not None and len(np.unique(y[y >= 0])) > 1
    if labelled:
        some = Feed(some.x, some.y, some.format, some.index[y >= 0])  # pyright: ignore[reportOptionalOperand]
    shape = tuple(some.gather(np.arange(1)).x.shape[1:])
    width = int(np.clip(min(len(some) // 20, compared // 8), 4, WIDEST))
    with random_state(seed):
        net = encoder(shape, width)
        head = nn.Linear(width, classes if labelled else math.prod(shape))
        learn(net, head, some, labelled, np.random.default_rng(seed))
    kind = "convolutional net" if len(shape) == 3 else "net"
    task = "told their classes" if labelled else "to rebuild them"
    name = f"{width} features of a 3-layer {kind} trained on {len(some):,} of these rows, {task}"
    made = Features(net, name)
    spread = math.sqrt(float(made(sample(some, 2000)).var(0).mean()))
    made.scale = 1 / max(spread, 1e-12)
    return made


def encoder(shape: tuple[int, ...], width: int) -> nn.Module:
    """Three layers from examples of this shape to `width` features."""
    if len(shape) != 3:
        size = math.prod(shape)
        wide = int(np.clip(2 * size, 32, 256))
        return nn.Sequential(nn.Flatten(), nn.Linear(size, wide), nn.ReLU(), nn.Linear(wide, wide),
                             nn.ReLU(), nn.Linear(wide, width), nn.Tanh())  # fmt: skip
    height, breadth = (min(side, SIDE) for side in shape[1:])
    last = math.prod(-(-side // 4) for side in (height, breadth))
    return nn.Sequential(
        nn.AdaptiveAvgPool2d((height, breadth)),
        nn.Conv2d(shape[0], 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * last, width),
        nn.Tanh(),
    )


def learn(
    net: nn.Module, head: nn.Module, feed: Feed, labelled: bool, rng: np.random.Generator
) -> None:
    """Adam for a few hundred steps on cross-entropy, or on the squared error."""
    parameters = [*net.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, RATE)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        batch = feed.gather(rng.integers(len(feed), size=min(BATCH, len(feed))))
        guess = head(net(batch.x))
        if labelled:
            loss = F.cross_entropy(guess, batch.y)  # pyright: ignore[reportArgumentType]
        else:
            loss = F.mse_loss(guess, batch.x.flatten(1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def sample(feed: Feed, most: int, seed: int = 0) -> np.ndarray:
    """Up to `most` examples of a feed, drawn at random without repetition: (n, *S)."""
    order = np.random.default_rng(seed).permutation(len(feed))[:most]
    x: Tensor = feed.gather(order).x
    return x.numpy()
