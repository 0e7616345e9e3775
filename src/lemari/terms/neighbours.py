"""A term that lays codes out as UMAP does: neighbours together, others apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.schedule import Schedule
from lemari.terms.base import Term
from lemari.terms.fuzzy_graph import Graph, fuzzy_graph, memberships, narrow, nearest
from lemari.types import Batch, Trace

if TYPE_CHECKING:
    from lemari.feed import Feed

MOST_BYTES = 240_000_000  # of the rows whose principal components are found
UNIT = 0.03  # of distances between codes: new networks start with codes this near 0, well spread
NEAR = 1e-3  # added to squared distances, so that no push is infinite


class Neighbours(Term):
    """Cross-entropy between the fuzzy graph of the data and that of the codes (UMAP's loss).

    Codes at distance d are joined with probability 1 / (1 + a d^2b), d counted in UNITs: without,
    the pushes between the first codes, all near 0, would make Adam's steps small for the first
    thousands. In training each row draws one neighbour by the weights of its edges, which is
    encoded beside it, and all rows of the batch serve as examples of no edge, worth `negatives`
    for each edge. A row counts in proportion to the weights of all its edges, so the value is
    unbiased for the sum over edges.
    Elsewhere (validation, a model without training rows) the graph is that of the batch itself.
    (Sainburg, McInnes and Gentner 2021, arXiv:2009.12981)
    """

    name = "neighbours"
    width = 64  # principal components in which neighbours are looked for

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        neighbours: int = 15,
        min_dist: float = 0.1,
        negatives: float = 5.0,
    ) -> None:
        super().__init__(weight)
        if neighbours < 1 or not 0 <= min_dist <= 2:
            raise UsageError(
                f"A map needs 1 or more neighbours and a smallest distance from 0 to 2, but they "
                f"are {neighbours} and {min_dist:g}; leave them out for 15 and 0.1."
            )
        self.neighbours, self.negatives = neighbours, negatives
        self.a, self.b = curve(min_dist)
        self.graph: Graph | None = None
        self.feed: Feed | None = None

    def prepare(self, model: nn.Module, feed: Feed) -> None:
        """Build the graph of the training rows; the same each time, so nothing of it is saved."""
        self.feed, self.graph = feed, None
        if len(feed) < 2:
            return
        most = min(10_000, max(100, MOST_BYTES // feed.bytes_per_row))
        some = feed.gather(np.arange(len(feed))[:: math.ceil(len(feed) / most)])
        short = narrow(some.x.flatten(1), self.width)
        rows = torch.cat([short(batch.x.flatten(1)) for batch in feed.batches(1024)])
        self.graph = fuzzy_graph(rows, self.neighbours)

    def __getstate__(self) -> dict:
        """All but the training rows: a copy or a pickle of a model holds none."""
        return self.__dict__ | {"graph": None, "feed": None}

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        z = t.z[0].flatten(1) / UNIT
        if len(z) < 2:
            return z.new_zeros(len(z))
        others = squared(z[:, None] - z[None])
        apart = F.softplus(-self.score(others)).masked_fill(
            torch.eye(len(z), dtype=torch.bool, device=z.device), 0
        )
        apart = apart.sum(1) * (self.negatives / (len(z) - 1))
        if self.training and self.graph is not None and t.batch.rows is not None:
            together, degree = self.of_training(t, model, z, t.batch.rows.cpu())
        else:
            together, degree = self.of_batch(t.batch.x.flatten(1), others)
        return degree * (together + apart)

    def of_training(self, t: Trace, model, z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Nats of one drawn edge a row, and each row's degree in units of the mean: both (B,)."""
        graph: Graph = self.graph  # pyright: ignore[reportAssignmentType]
        drawn: Batch = self.feed.gather(graph.draw(rows).numpy())  # pyright: ignore
        near = (
            model.encode(model.corrupt(drawn), model.condition(drawn)).rsample(1)[0].flatten(1)
            / UNIT
        )
        degree = graph.degree[rows] / graph.degree.mean()
        return F.softplus(self.score(squared(z - near))), degree.to(z)

    def of_batch(self, x: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """The same over all edges of the batch's own graph."""
        at, distance = nearest(x, min(self.neighbours, len(x) - 1))
        one = torch.zeros_like(others).scatter(1, at, memberships(distance).to(others))
        both = one + one.T - one * one.T
        degree = both.sum(1)
        return (both * F.softplus(self.score(others))).sum(1) / degree, degree / degree.mean()

    def score(self, square: Tensor) -> Tensor:
        """Logarithm of the odds against an edge between codes at these squared distances."""
        return math.log(self.a) + self.b * torch.log(square + NEAR)


def squared(difference: Tensor) -> Tensor:
    return difference.square().sum(-1)


def curve(min_dist: float) -> tuple[float, float]:
    """a and b with which 1 / (1 + a d^2b) is 1 up to `min_dist`, then falls exponentially, nearly.

    >>> [round(v, 2) for v in curve(0.1)]
    [1.58, 0.9]
    """
    from scipy.optimize import curve_fit

    d = np.linspace(0, 3, 300)
    want = np.exp(-np.maximum(d - min_dist, 0))
    with np.errstate(divide="ignore"):  # at distance 0, where a trial has a negative b
        (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), d, want)
    return float(a), float(b)
