"""The distance between the codes of a batch and draws from the prior, without any density."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lemari.terms.base import Term
from lemari.types import Trace

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Mean of inverse multiquadrics C / (C + |a - b|^2): 1 for equal codes, near 0 for far ones.

    C is 2 D, the mean squared distance of two codes from N(0, I), times each of the scales.
    Shapes: a (..., N, D), b (..., M, D); result (..., N, M).
    """
    squared = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
    each = [2 * a.shape[-1] * scale for scale in SCALES]
    return torch.stack([c / (c + squared) for c in each]).mean(0)


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy of two samples (..., N, D).

    Its mean is 0 for samples of one law, and a single value may fall below. (Gretton et al. 2012)
    """
    n, m = a.shape[-2], b.shape[-2]
    within = (kernel(a, a).sum((-2, -1)) - n) / (n * (n - 1))
    within = within + (kernel(b, b).sum((-2, -1)) - m) / (m * (m - 1))
    return within - 2 * kernel(a, b).mean((-2, -1))


class MMD(Term):
    """Squared maximum mean discrepancy between a batch's codes and as many draws of the prior.

    A number between 0 (the same law) and 2, not nats: its weight says how many nats it is worth.
    A batch of one example says nothing and counts as 0. (Tolstikhin et al. 2018,
    arXiv:1711.01558)
    """

    name = "mmd"

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        z, wanted = t.z.flatten(2), t.prior.rsample(len(t.z)).flatten(2)
        if z.shape[1] < 2:
            return 0 * z.sum((0, 2))
        return mmd(z, wanted).mean().expand(z.shape[1])
