"""Principal components: the honest baseline beside every code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

WIDEST = 3200  # values of an example up to which the covariance is formed exactly
MOST_NUMBERS = 60_000_000  # of a sample for wider examples


@dataclass(frozen=True, slots=True)
class PCA:
    """mean (D,) and orthonormal components (k, D)."""

    mean: np.ndarray
    components: np.ndarray

    def codes(self, x: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, k)."""
        return (x - self.mean) @ self.components.T

    def rebuild(self, codes: np.ndarray) -> np.ndarray:
        """(N, k) -> (N, D)."""
        return codes @ self.components + self.mean


def fit_pca(blocks: Iterable[np.ndarray], k: int, rows: int, width: int) -> PCA:
    """The first k principal components of `rows` examples of `width` numbers, given in blocks.

    Exact, from the covariance, up to 3200 numbers an example; above that from a randomised
    decomposition of as many rows as 60 million numbers hold. k is cut to what the data allows.
    """
    k = min(k, width, max(1, rows - 1))
    return exact(blocks, k, width) if width <= WIDEST else sampled(blocks, k, width)


def exact(blocks: Iterable[np.ndarray], k: int, width: int) -> PCA:
    count, total, square = 0, np.zeros(width), np.zeros((width, width))
    shift = None
    for block in blocks:
        shift = block.mean(0, dtype=np.float64) if shift is None else shift
        centred = (block - shift).astype(np.float32)
        count += len(block)
        total += centred.sum(0, dtype=np.float64)
        square += centred.T @ centred
    mean = total / count
    covariance = square / count - np.outer(mean, mean)
    _, vectors = np.linalg.eigh(covariance)
    return PCA((shift + mean).astype(np.float32), vectors[:, ::-1][:, :k].T.astype(np.float32))  # pyright: ignore[reportOptionalOperand]


def sampled(blocks: Iterable[np.ndarray], k: int, width: int) -> PCA:
    from sklearn.decomposition import PCA as Randomised

    kept, room = [], max(k + 1, MOST_NUMBERS // width)
    for block in blocks:
        kept.append(block[:room])
        room -= len(kept[-1])
        if room <= 0:
            break
    sample = np.concatenate(kept)
    k = min(k, len(sample))
    fitted = Randomised(k, svd_solver="randomized", random_state=0).fit(sample)
    return PCA(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32))  # pyright: ignore[reportOptionalMemberAccess]
