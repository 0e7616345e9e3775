"""Learning from few labels: where they spread, and that no other label is looked at."""

import numpy as np
import pytest
import torch
from torch import nn

from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.metrics.few_labels import Classifier, drawn_labels, tuned_on_labels, tuned_on_spread
from lemari.metrics.spreading import spread_labels
from lemari.types import Schema
from lemari.variants.ae import ae

RNG = np.random.default_rng(4)


def rings(rows: int = 240):
    """Two rings, one inside the other: neighbours tell them apart, straight lines do not."""
    y = np.arange(rows) % 2
    angle = RNG.uniform(0, 2 * np.pi, rows)
    radius = 1 + 2 * y + 0.05 * RNG.normal(size=rows)
    return np.c_[radius * np.cos(angle), radius * np.sin(angle)].astype(np.float32), y


def test_labels_spread_along_neighbours_and_not_across_gaps():
    x, y = rings()
    chosen = np.array([0, 1])
    found, certain = spread_labels(x, chosen, y[chosen], 2)
    assert (found == y).all() and certain[chosen].tolist() == [1.0, 1.0]
    assert (certain > 0.99).all()


def test_rows_that_no_label_reaches_have_no_certainty():
    x = np.concatenate([RNG.normal(size=(40, 2)), 1000 + RNG.normal(size=(40, 2))])
    found, certain = spread_labels(x, np.array([0, 1]), np.array([0, 1]), 3)
    assert (certain[40:] < 1e-9).all() and certain[:40].max() == 1


def test_labels_are_drawn_evenly_and_never_unknown_ones():
    labels = np.r_[np.repeat(np.arange(4), 25), np.full(50, -1)]
    chosen = drawn_labels(labels, 10, seed=1)
    counts = np.bincount(labels[chosen], minlength=4)
    assert sorted(counts) == [2, 2, 3, 3] and len(np.unique(chosen)) == 10
    assert drawn_labels(labels, 101) is None
    assert (drawn_labels(labels, 10, seed=1) == chosen).all()


class Same(nn.Linear):
    """An encoder that starts as the identity."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        nn.init.eye_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x, c):
        return super().forward(x)


@pytest.fixture(scope="module")
def setting():
    """Two long parallel bands; the first two rows lie at their opposite ends."""
    y = np.arange(240) % 2
    x = np.c_[RNG.uniform(-3, 3, 240), y + 0.05 * RNG.normal(size=240)].astype(np.float32)
    x[:2, 0] = -3, 3
    fmt = TableFormat(("a", "b"), (0.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    model = ae(Schema("table", (2,)), network="mlp:8", latent=2)
    model.encoder = Same()
    return model, Feed(x, y, fmt), y


def test_what_is_learned_from_labels_alone_fits_them_and_leaves_the_model_as_it_was(setting):
    model, feed, y = setting
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chosen = drawn_labels(y, 20)
    net = tuned_on_labels(model, feed, chosen, y[chosen], 2)
    assert net.accuracy(Feed(feed.x, y, feed.format, chosen), y[chosen]) == 1.0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    start = Classifier(model, feed, 2)
    assert start(feed.gather(chosen).x).abs().max() == 0  # no opinion before learning


@pytest.mark.slow
def test_rows_without_labels_help_and_the_seed_decides(setting):
    model, feed, y = setting
    chosen = np.array([0, 1])
    spread = [tuned_on_spread(model, feed, chosen, y[chosen], 2, seed=3) for _ in range(2)]
    alone = tuned_on_labels(model, feed, chosen, y[chosen], 2, seed=3)
    assert spread[0].accuracy(feed, y) > 0.95 > alone.accuracy(feed, y)
    for a, b in zip(spread[0].parameters(), spread[1].parameters(), strict=True):
        assert torch.equal(a, b)
