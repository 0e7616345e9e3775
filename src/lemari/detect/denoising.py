"""Denoising autoencoders without a bottleneck, and what they find improbable in a row.

A network that takes noise of many strengths off normal rows knows in which direction "more
normal" lies. What it changes in a row, measured in units of what it changes in normal rows (a
Gaussian reconstruction probability with full covariance), is small for normal rows and large for
others. Vincent et al. 2008; the noise is told to the network as in score-based models (Song and
Ermon 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS, BATCH, LR = 600, 256, 1e-2
LOW, HIGH = 0.1, 1.5  # standard deviations of the noise
JUDGED = (0.1, 0.3, 1.0)
WIDEST = 2000  # features up to which the full covariance is used
Step = Callable[[int, int], None]


class Denoiser(nn.Module):
    """One network (F + 1 -> width -> width -> F) with the residual statistics of normal rows."""

    centre: Tensor
    whiten: Tensor

    def __init__(self, features: int, width: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features + 1, width),
            nn.LeakyReLU(),
            nn.Linear(width, width),
            nn.LeakyReLU(),
            nn.Linear(width, features),
        )
        side = features if features <= WIDEST else 1
        self.register_buffer("centre", torch.zeros(len(JUDGED), features))
        self.register_buffer("whiten", torch.ones(len(JUDGED), features, side))

    def clean(self, x: Tensor, sigma: float) -> Tensor:
        """What the network makes of rows (N, F) that it is told hold noise of `sigma`."""
        told = x.new_full((len(x), 1), log(sigma))
        return self.net(torch.cat([x, told], 1))

    def train_on(self, x: Tensor, generator: torch.Generator, step: Step | None = None) -> None:
        """Fit to rows (N, F), with noise drawn afresh for every batch."""
        wide = x.shape[1] > WIDEST
        steps, batch = (STEPS // 4, BATCH // 4) if wide else (STEPS, BATCH)
        optimiser = torch.optim.Adam(self.net.parameters(), LR, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        span = log(HIGH) - log(LOW)
        for number in range(steps):
            rows = x[torch.randint(len(x), (batch,), generator=generator)]
            level = torch.rand(batch, 1, generator=generator) * span + log(LOW)
            noisy = torch.empty_like(rows).normal_(generator=generator)
            noisy = torch.addcmul(rows, noisy, level.exp())
            loss = F.mse_loss(self.net(torch.cat([noisy, level], 1)), rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if step and not number % 50:
                step(number, steps)
        self.measure(x)

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Mean and covariance of the changes to normal rows, kept as a whitening matrix."""
        for i, sigma in enumerate(JUDGED):
            change = (self.clean(x, sigma) - x).double()
            self.centre[i] = change.mean(0)
            change -= change.mean(0)
            if self.whiten.shape[2] == 1:
                self.whiten[i] = change.square().mean(0).add(1e-6).rsqrt()[:, None]
                continue
            cov = change.T @ change / max(1, len(x) - 1)
            ridge = 1e-3 * float(cov.diagonal().mean()) + 1e-9
            cov += ridge * torch.eye(len(cov), dtype=torch.float64)
            self.whiten[i] = torch.linalg.cholesky(torch.linalg.inv(cov)).float()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Mean log size of the whitened change over three noise levels: (N, F) -> (N,)."""
        total = x.new_zeros(len(x))
        for i, sigma in enumerate(JUDGED):
            change = self.clean(x, sigma) - x - self.centre[i]
            white = (
                change * self.whiten[i, :, 0]
                if self.whiten.shape[2] == 1
                else change @ self.whiten[i]
            )
            total += white.norm(dim=1).add(1e-9).log()
        return total / len(JUDGED)


def as_tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x, np.float32))
