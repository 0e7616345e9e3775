"""Which rows to distrust before anything is known: two detectors that contamination cannot move.

A bag of tiny autoencoders, each shown 64 rows and some of the columns, hardly ever sees many
anomalies; a linear denoising autoencoder in closed form is fitted again to the rows it finds most
normal. Their mean rank orders the rows.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

MEMBERS, ROWS, STEPS, LR = 96, 64, 150, 2e-2
MOST_COLUMNS, MOST_CODE = 64, 32
KEPT, ROUNDS, WIDEST = 0.6, 4, 8.0
EXTREME = 10.0  # times the median score
FEWEST, COMPARED = 10, 1000  # extreme rows that make a group, and that are compared
BLOCK = 1024


def suspicion(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """How suspicious each row (N, F) is among the others: (N,), from 0 to 2.

    The bag is not shown a tight group of rows far away, which it would learn instead of finding.
    """
    linear = Linear.learn(x)(x)
    extreme = linear > EXTREME * np.median(linear)
    shown = x[~extreme] if tight(x[extreme], x[~extreme], seed) else x
    return (rankdata(linear) + rankdata(Bag.learn(shown, seed)(x))) / len(x)


def tight(group: np.ndarray, others: np.ndarray, seed: int) -> bool:
    """Whether rows lie less than half as far from each other as as many of the others do."""
    if min(len(group), len(others)) < FEWEST:
        return False
    rng, count = np.random.default_rng(seed), min(len(group), len(others), COMPARED)
    parts = (part[rng.permutation(len(part))[:count]] for part in (group, others))
    near, usual = (
        np.median(NearestNeighbors(n_neighbors=2).fit(part).kneighbors()[0]) for part in parts
    )
    return bool(near < usual / 2)


class Linear:
    """Squared whitened change by the best linear denoiser of the most normal 60 % of the rows.

    The denoiser is C (C + sigma^2 I)^-1 with C the covariance of those rows. With more than 200
    columns it works along their 200 directions of largest variance. Shapes: turn (F, G), mean
    (G,), whiten (G, G).
    """

    def __init__(self, turn: np.ndarray, mean: np.ndarray, whiten: np.ndarray) -> None:
        self.turn, self.mean, self.whiten = turn, mean, whiten

    @classmethod
    def learn(cls, x: np.ndarray, sigma: float = 1.0) -> Linear:
        """From rows (N, F), some of which may be anomalous."""
        turn = leading(x, 200) if x.shape[1] > 200 else np.eye(x.shape[1])
        x = np.clip(x, -WIDEST, WIDEST).astype(np.float64) @ turn
        kept, eye = np.ones(len(x), bool), np.eye(x.shape[1])
        for _ in range(ROUNDS):
            mean = x[kept].mean(0)
            cov = np.cov(x[kept].T, bias=True).reshape(eye.shape)
            away = eye - cov @ np.linalg.inv(cov + sigma**2 * eye)
            change = (x - mean) @ away.T
            spread = np.cov(change[kept].T, bias=True).reshape(eye.shape)
            spread += eye * (1e-2 * np.trace(spread) / len(eye) + 1e-9)
            whiten = away.T @ np.linalg.cholesky(np.linalg.inv(spread))
            scores = np.square((x - mean) @ whiten).sum(1)
            kept = scores <= np.quantile(scores, KEPT)
        return cls(turn, mean, whiten)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,)."""
        x = np.clip(x, -WIDEST, WIDEST).astype(np.float64) @ self.turn
        return np.square((x - self.mean) @ self.whiten).sum(1)


def leading(x: np.ndarray, count: int) -> np.ndarray:
    """The directions (F, count) of largest variance of rows (N, F)."""
    centred = torch.from_numpy(x - x.mean(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, _, v = torch.pca_lowrank(centred, min(count, *x.shape), center=False)
    return v.double().numpy()


class Bag:
    """Many tiny autoencoders trained at once: mean log error, relative to their own rows.

    Each is shown 64 rows and 30 to 100 % of the columns (at most 64), with a code of up to half
    of those. Shapes: columns (M, W), used and code (M,).
    """

    def __init__(self, columns: Tensor, used: Tensor, code: Tensor, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        (members, wide), narrow = columns.shape, int(code.max())
        self.columns, self.used, self.code = columns, used, code
        self.mask = (torch.arange(wide) < used[:, None]).float()[:, None]
        self.open = (torch.arange(narrow) < code[:, None]).float()[:, None]
        start = torch.randn(members, wide, narrow, generator=generator) / used.sqrt()[:, None, None]
        end = torch.randn(members, narrow, wide, generator=generator) / code.sqrt()[:, None, None]
        self.weights = [start, end, torch.zeros(members, 1, narrow), torch.zeros(members, 1, wide)]
        self.typical = torch.zeros(members, 1)

    @classmethod
    def learn(cls, x: np.ndarray, seed: int = 0) -> Bag:
        """From rows (N, F), some of which may be anomalous."""
        rng, (count, width) = np.random.default_rng(seed), x.shape
        taken = np.stack([rng.permutation(count)[:ROWS] for _ in range(MEMBERS)])
        share = rng.uniform(0.3, 1, MEMBERS) * min(1, MOST_COLUMNS / width)
        used = np.maximum(1, np.round(share * width)).astype(int)
        columns = np.stack([rng.permutation(width)[: used.max()] for _ in range(MEMBERS)])
        code = np.clip(np.round(rng.uniform(0, 0.5, MEMBERS) * used), 1, MOST_CODE).astype(int)
        seen = torch.from_numpy(columns)
        bag = cls(seen, torch.from_numpy(used), torch.from_numpy(code), seed)
        bag.fit(limited(x[taken.ravel()]).view(*taken.shape, width))
        return bag

    def fit(self, rows: Tensor) -> None:
        """rows (M, R, F): those of each member."""
        index = self.columns[:, None].expand(-1, rows.shape[1], -1)
        x = rows.gather(2, index) * self.mask
        for w in self.weights:
            w.requires_grad_()
        optimiser = torch.optim.Adam(self.weights, LR, fused=True)
        for _ in range(STEPS):
            optimiser.zero_grad()
            self.errors(x).mean(1).div(self.mask.sum((1, 2))).sum().backward()
            optimiser.step()
        for w in self.weights:
            w.requires_grad_(False)
        self.typical = self.errors(x).add(1e-9).log().mean(1, keepdim=True)

    def errors(self, x: Tensor) -> Tensor:
        """Summed squared errors (M, R) of masked rows (M, R, W)."""
        start, end, a, b = self.weights
        made = torch.baddbmm(b, torch.tanh(torch.baddbmm(a, x, start)) * self.open, end)
        return ((made - x) * self.mask).square().sum(2)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,)."""
        found = []
        for part in limited(x).split(BLOCK):
            seen = part[:, self.columns].transpose(0, 1) * self.mask
            found.append((self.errors(seen).add(1e-9).log() - self.typical).mean(0))
        return torch.cat(found).double().numpy()


def limited(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.clip(x, -6, 6).astype(np.float32))
