"""A mixture of normal laws."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lemari.samplers.base import Codes, Sampler, need_narrow
from lemari.samplers.moments import standard

SIZES = (1, 5, 20, 60)


@dataclass
class Mixture(Sampler):
    """A mixture of correlated normal laws; their number is chosen on held-out codes.

    (Ghosh et al. 2020, arXiv:1903.12436, use one on the codes of autoencoders.)
    """

    weights: Tensor  # (K,)
    means: Tensor  # (K, D)
    factors: Tensor  # (K, D, D), covariance factor @ factor.T

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        need_narrow(codes, "A mixture")
        return cls(*components(codes.z, codes.held, seed))

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        chosen = torch.multinomial(self.weights, count, replacement=True)
        return around(chosen, self.means, self.factors)


def around(chosen: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """One draw from each chosen component (N,): (N, D)."""
    noise = torch.randn(len(chosen), means.shape[1])
    for k in chosen.unique():
        mine = chosen == k
        noise[mine] = means[k] + noise[mine] @ factors[k].T
    return noise


def components(
    z: Tensor, held: Tensor, seed: int, sizes: tuple[int, ...] = SIZES
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (K,), means (K, D) and factors (K, D, D) of the mixture that suits `held` best.

    More components are tried until they no longer help; each needs a few codes per number.
    """
    centre, spread = standard(z)
    white, judge = ((a - centre).div(spread).double().numpy() for a in (z, held))
    best = expectation_maximisation(white, sizes[0], seed)
    for size in sizes[1:]:
        if size * 2 * z.shape[1] > len(z) or size * 10 > len(z):
            break
        found = expectation_maximisation(white, size, seed)
        if found.score(judge) < best.score(judge):
            break
        best = found
    numbers = (best.weights_, best.means_, np.linalg.cholesky(best.covariances_))
    weights, means, factors = (torch.from_numpy(a).float() for a in numbers)
    return weights, means * spread + centre, spread[:, None] * factors


def expectation_maximisation(white: np.ndarray, size: int, seed: int) -> Any:
    """A mixture of `size` normal laws of standardised codes (N, D)."""
    from sklearn.mixture import GaussianMixture

    law = GaussianMixture(size, reg_covar=1e-4, tol=1e-3, max_iter=25, init_params="k-means++",
                          random_state=seed % 2**32)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopping before it has settled costs a little fit only
        return law.fit(white)
