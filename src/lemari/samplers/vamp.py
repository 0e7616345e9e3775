"""The posteriors of some training rows, as one mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.samplers.base import Codes, Sampler

MOST = 1000  # rows whose posteriors make the mixture


@dataclass
class Vamp(Sampler):
    """The mixture of the posteriors of up to 1,000 training rows, drawn at random.

    It is an unbiased estimate of the aggregate posterior, the law of codes that the decoder was
    trained on. (Tomczak and Welling 2018, arXiv:1705.07120, train such a mixture as prior)
    """

    means: Tensor  # (K, D)
    sigma: Tensor  # (K, D)

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        if codes.sigma is None:
            raise UsageError(
                "The sampler vamp needs posteriors with a spread, which this model's have not; use "
                "kernel."
            )
        order = torch.randperm(len(codes.z), generator=torch.Generator().manual_seed(seed))
        return cls(codes.z[order[:MOST]], codes.sigma[order[:MOST]])

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        k = torch.randint(len(self.means), (count,))
        return self.means[k] + self.sigma[k] * torch.randn(count, self.means.shape[1])
