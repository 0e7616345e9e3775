"""Centre and spread of codes."""

from __future__ import annotations

import torch
from torch import Tensor


def standard(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each number, (D,) and (D,); the latter is never 0."""
    spread = z.std(0)
    return z.mean(0), spread.clamp(min=max(1e-6 * float(spread.max()), 1e-12))


def cholesky(z: Tensor, ridge: float = 1e-4) -> Tensor:
    """Factor L (D, D) of the covariance L @ L.T of codes (N, D).

    The ridge is relative to each number's variance, so numbers that hardly vary stay so.
    """
    centre, spread = standard(z.double())
    white = (z.double() - centre) / spread
    identity = torch.eye(z.shape[1], dtype=torch.float64)
    correlation = white.T @ white / (len(z) - 1) + ridge * identity
    return (spread[:, None] * torch.linalg.cholesky(correlation)).float()
