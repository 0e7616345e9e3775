"""The fuzzy graph of nearest neighbours on which UMAP is built.

Every row is joined to its k nearest rows, with a weight between 0 and 1 that says how surely they
belong together: 1 for the nearest, and less for others at a rate fitted to the row, so that dense
and sparse regions count alike. (McInnes, Healy and Melville 2018, arXiv:1802.03426)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK_NUMBERS = 8_000_000  # distances held at a time


@dataclass(frozen=True, slots=True)
class Graph:
    """Weighted edges, those of row i at `starts[i]` to `starts[i + 1]`: row i to row `ends[e]`.

    `sums` (E + 1,) are running sums of the weights in float64, `degree` (N,) the sum for each row.
    """

    starts: Tensor
    ends: Tensor
    sums: Tensor
    degree: Tensor

    def draw(self, rows: Tensor) -> Tensor:
        """One neighbour of each row, in proportion to the weights: (B,) -> (B,)."""
        first, last = self.starts[rows], self.starts[rows + 1]
        share = torch.rand(len(rows), dtype=torch.float64)
        target = torch.lerp(self.sums[first], self.sums[last], share)
        edge = torch.searchsorted(self.sums, target, right=True) - 1
        return self.ends[torch.minimum(torch.maximum(edge, first), last - 1)]


def nearest(x: Tensor, k: int, among: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest other rows of each row, exactly: positions and distances, both (N, k).

    `among` (M,) holds the positions that may be found, all when None. Shapes: x (N, D).
    """
    where = torch.arange(len(x), device=x.device)
    own = where if among is None else among
    pool, place = x[own], torch.full_like(where, -1)
    place[own], length = torch.arange(len(own), device=x.device), pool.square().sum(1)
    step = max(1, BLOCK_NUMBERS // len(pool))
    at = where.new_empty(len(x), k)
    room = x.new_empty(min(step, len(x)), len(pool))  # one for all blocks: the heap stays whole
    for rows in where.split(step):
        far = torch.addmm(length, x[rows], pool.T, alpha=-2, out=room[: len(rows)])
        self_too = (place[rows] >= 0).nonzero()[:, 0]
        far[self_too, place[rows[self_too]]] = math.inf
        at[rows] = own[far.topk(k, largest=False).indices]
    distances = [(x[a] - x[r, None]).norm(dim=2) for a, r in zip(at.split(1024), where.split(1024))]
    return at, torch.cat(distances)


def memberships(distance: Tensor, steps: int = 64) -> Tensor:
    """Weights of the k nearest rows: exp(-(d - d of the nearest) / s), which add up to log2(k).

    s is found by bisection for each row; where many rows are equally near no s can do it, and it
    ends small. Shapes: distance (N, k) -> (N, k) float64.
    """
    beyond = distance.double() - distance.double().min(1, keepdim=True).values
    target = math.log2(distance.shape[1])
    scale = beyond.mean(1, keepdim=True).clamp(min=1e-12)
    low, high = torch.full_like(scale, -10.0), torch.full_like(scale, 10.0)
    for _ in range(steps):
        middle = (low + high) / 2
        much = torch.exp(-beyond / (scale * middle.exp())).sum(1, keepdim=True) > target
        low, high = torch.where(much, low, middle), torch.where(much, middle, high)
    return torch.exp(-beyond / (scale * high.exp()))


def union(at: Tensor, weight: Tensor) -> Graph:
    """The graph in which i and j are joined if either chose the other: a + b - ab."""
    from scipy.sparse import csr_array

    rows, k = at.shape
    starts = np.arange(0, rows * k + 1, k)
    one = csr_array((weight.cpu().numpy().ravel(), at.cpu().numpy().ravel(), starts), (rows, rows))
    both = csr_array(one + one.T - one * one.T)
    sums = torch.from_numpy(np.concatenate(([0.0], np.cumsum(both.data))))
    starts = torch.from_numpy(both.indptr.astype(np.int64))
    ends = torch.from_numpy(both.indices.astype(np.int64))
    return Graph(starts, ends, sums, sums[starts[1:]] - sums[starts[:-1]])


def narrow(x: Tensor, width: int) -> Callable[[Tensor], Tensor]:
    """A function that maps rows (N, D) to the first `width` principal components of x."""
    if x.shape[1] <= width:
        return lambda rows: rows
    centre = x.mean(0)
    _, _, axes = torch.svd_lowrank(x - centre, q=min(width, *x.shape), niter=4)
    return lambda rows: (rows - centre) @ axes


def fuzzy_graph(x: Tensor, k: int, most: int = 100_000) -> Graph:
    """The fuzzy graph of the rows x (N, D); of more than `most` rows only some may be chosen."""
    step = math.ceil(len(x) / most)
    among = torch.arange(0, len(x), step, device=x.device) if step > 1 else None
    at, distance = nearest(x, min(k, len(x) - 1), among)
    return union(at, memberships(distance))
