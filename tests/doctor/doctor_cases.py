"""Short real trainings for the doctor to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from lemari.feed import Feed
from lemari.formats import ImageFormat, TableFormat
from lemari.model import Autoencoder
from lemari.registry import VARIANTS
from lemari.tasks.examine import course, findings
from lemari.tasks.generate import settle
from lemari.train import Plan, Training, random_state
from lemari.types import Epoch, Finding

PICTURES = ImageFormat((1, 8, 8), layout="hw", native=(8, 8), classes=tuple("0123456789"))


@dataclass
class Visit:
    """A model, the rows it is examined on, and its epochs."""

    model: Autoencoder
    held: Feed
    history: list[Epoch] = field(default_factory=list)
    steps: int = 0

    @property
    def findings(self) -> list[Finding]:
        run = course(self.model, self.history, self.steps)
        return findings(self.model, self.held, run)

    @property
    def names(self) -> list[str]:
        return [finding.name for finding in self.findings]

    def finding(self, name: str) -> Finding:
        (found,) = (f for f in self.findings if f.name == name)
        assert found.evidence and found.remedy.endswith(".")
        return found


def digits(rows: int = 1400, y: np.ndarray | None = None) -> tuple[Feed, Feed]:
    """Handwritten digits to train on, and the rest."""
    data = load_digits()
    x = (data.images[:, None] / 16 * 255).astype(np.uint8)
    y = (data.target if y is None else y).astype(np.int64)
    return tuple(Feed(x, y, PICTURES, i) for i in (np.arange(rows), np.arange(1400, 1797)))  # pyright: ignore


def table(x: np.ndarray) -> tuple[Feed, Feed]:
    """Two feeds of a table, standardised by the first three quarters of its rows."""
    first = 3 * len(x) // 4
    mean, scale = x[:first].mean(0), x[:first].std(0)
    names = tuple(f"c{i}" for i in range(x.shape[1]))
    fmt = TableFormat(names, tuple(mean), tuple(scale), tuple(mean))
    stored = fmt.from_array(x)
    return tuple(Feed(stored, None, fmt, i) for i in
                 (np.arange(first), np.arange(first, len(x))))  # pyright: ignore  # fmt: skip


def factors(rows: int = 800, seed: int = 0) -> np.ndarray:
    """Six columns that are linear in two normal factors, with a little noise."""
    rng = np.random.default_rng(seed)
    z, a = rng.normal(size=(rows, 2)), rng.normal(size=(2, 6))
    return z @ a + 0.1 * rng.normal(size=(rows, 6))


def trained(variant: str, feeds: tuple[Feed, Feed], plan: dict[str, Any], **options) -> Visit:
    """A variant trained on the first feed and watched on the second."""
    train, held = feeds
    options = {"network": "mlp:64", "latent": 8} | options
    with random_state(0):
        model = VARIANTS[variant](train.format.schema, **options)  # pyright: ignore
    return visit(model, feeds, **plan)


def visit(model: Autoencoder, feeds: tuple[Feed, Feed], **plan) -> Visit:
    """A model trained by a plan."""
    train, held = feeds
    training = Training(
        model, train, Plan(**{"epochs": 8, "batch_size": 50, "lr": 3e-3} | plan), held
    )
    history = [r for r in training.run() if isinstance(r, Epoch)]
    settle(model, train)
    return Visit(model, held, history, training.steps)
