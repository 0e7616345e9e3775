"""Mixtures of normals as priors: learned components, or the posteriors of learned examples."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.latents.pretrain import codes_of, pretrain
from lemari.laws import HALF_LOG_2PI
from lemari.types import View

if TYPE_CHECKING:
    from lemari.feed import Feed

MOST_CODES = 20_000  # that a mixture is fitted to


class NormalMixture:
    """A weighted sum of diagonal normals, the same for each of `batch` rows.

    Shapes: means and log_sigma (M, D), log_weight (M,), whose exponentials sum to 1; an event has
    `shape`, D numbers. Draws carry no gradient into the weights.
    """

    def __init__(
        self,
        means: Tensor,
        log_sigma: Tensor,
        log_weight: Tensor,
        batch: int,
        shape: tuple[int, ...],
    ) -> None:
        self.means, self.log_sigma, self.log_weight = means, log_sigma, log_weight
        self.batch, self.shape, self.event = batch, shape, len(shape)

    @property
    def mean(self) -> Tensor:
        centre = self.log_weight.exp() @ self.means
        return centre.view(self.shape).expand(self.batch, *self.shape)

    def rsample(self, k: int = 1) -> Tensor:
        which = torch.multinomial(self.log_weight.exp(), k * self.batch, replacement=True)
        means, sigma = self.means[which], self.log_sigma[which].exp()
        return (means + sigma * torch.randn_like(means)).view(k, self.batch, *self.shape)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_joint(self, z: Tensor) -> Tensor:
        """log of weight times density of each component: (..., *Z) -> (..., M), float64.

        The squares are multiplied out, so that a matrix product does most of the work and memory
        does not hold M differences a code; double precision bears the cancellation.
        """
        z, means = z.flatten(-self.event).double(), self.means.double()
        log_sigma = self.log_sigma.double()
        inverse = (-2 * log_sigma).exp()
        squares = z.square() @ inverse.T - 2 * (z @ (means * inverse).T)
        squares = squares + (means.square() * inverse).sum(1)
        size = log_sigma.sum(1) + means.shape[1] * HALF_LOG_2PI
        return self.log_weight.double() - size - 0.5 * squares

    def responsibilities(self, z: Tensor) -> Tensor:
        """Probability of each component given the code: (..., *Z) -> (..., M)."""
        return self.log_joint(z).softmax(-1).to(z.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_joint(value).logsumexp(-1).to(value.dtype)

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A mixture has no density per dimension; use log_prob.")


class VampPrior(nn.Module):
    """The average posterior of `components` pseudo-inputs, which are learned like weights.

    Of all priors of a given model, the best is the average posterior over the data; this stands
    for it with a few learned examples. They start as training rows. The encoder is borrowed from
    the model by `borrow`, neither saved nor trained twice.
    (Tomczak and Welling 2018, arXiv:1705.07120)
    """

    traits = frozenset({"density"})

    def __init__(self, *shape: int, example: tuple[int, ...], components: int) -> None:
        super().__init__()
        if components < 1:
            raise UsageError(f"components must be at least 1, but is {components}.")
        self.shape = shape
        self.pseudo = nn.Parameter(torch.rand(components, *example))
        self.lender: tuple[Any, ...] = ()

    def borrow(self, model: nn.Module) -> None:
        """Take the posteriors of this model. A tuple hides it from the lists of parameters."""
        self.lender = (model,)

    @torch.no_grad()
    def prepare(self, model: nn.Module, feed: Feed) -> None:
        """Start from random training rows, repeated where there are too few."""
        rows = np.resize(torch.randperm(len(feed)).numpy(), len(self.pseudo))
        self.pseudo.copy_(feed.gather(rows).x)

    def forward(self, c: Tensor) -> NormalMixture:
        (model,), count = self.lender, len(self.pseudo)
        q = model.encode(View(self.pseudo), self.pseudo.new_zeros(count, c.shape[1]))
        even = q.mean.new_full((count,), -math.log(count))
        return NormalMixture(q.mean.flatten(1), q.log_sigma.flatten(1), even, len(c), self.shape)


class ClusterPrior(nn.Module):
    """Normals with learned weights, means and sigmas, one for each cluster.

    Before the first step of training the model is pre-trained as a plain autoencoder for `epochs`
    passes, and a mixture is fitted to its codes: from random components, all codes tend to end in
    one of them. This depends only on the data and the seed, so training that was interrupted
    repeats it, and then goes on from its checkpoint. (Jiang et al. 2017, arXiv:1611.05148)
    """

    traits = frozenset({"density"})

    def __init__(self, *shape: int, clusters: int, epochs: int) -> None:
        super().__init__()
        if clusters < 1 or epochs < 0:
            raise UsageError(
                f"There must be at least 1 cluster and 0 epochs of pre-training, but there are "
                f"{clusters} and {epochs}."
            )
        self.shape, self.epochs, size = shape, epochs, math.prod(shape)
        self.means = nn.Parameter(torch.randn(clusters, size))
        self.log_sigma = nn.Parameter(torch.zeros(clusters, size))
        self.logits = nn.Parameter(torch.zeros(clusters))

    def prepare(self, model: nn.Module, feed: Feed) -> None:
        """Pre-train the coder and fit the mixture to (at most 20,000 of) its codes."""
        pretrain(model, feed, self.epochs)
        rows = torch.randperm(len(feed))[:MOST_CODES].numpy()
        self.fit_to(codes_of(model, feed, rows))

    @torch.no_grad()
    def fit_to(self, codes: Tensor) -> None:
        """Weights, means and sigmas of a mixture of codes (N, D), from the best of 5 starts.

        With fewer codes than clusters, the clusters left over stay as they are.
        """
        from sklearn.mixture import GaussianMixture

        codes = codes.repeat(2, 1) if len(codes) == 1 else codes
        count = min(len(self.logits), len(codes))
        seed = int(torch.randint(2**31 - 1, ()))
        found = GaussianMixture(count, covariance_type="diag", n_init=5, random_state=seed,
                                reg_covar=1e-3)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few or equal codes: any start will do
            found.fit(codes.double().cpu().numpy())
        self.means[:count] = torch.from_numpy(found.means_).to(self.means)
        self.log_sigma[:count] = 0.5 * torch.from_numpy(found.covariances_).log().to(self.means)
        self.logits[:count] = torch.from_numpy(found.weights_).clamp(min=1e-4).log().to(self.means)

    def forward(self, c: Tensor) -> NormalMixture:
        log_weight = self.logits.log_softmax(0)
        return NormalMixture(self.means, self.log_sigma, log_weight, len(c), self.shape)

    def responsibilities(self, z: Tensor) -> Tensor:
        """Probability of each cluster given the code: (..., *Z) -> (..., clusters)."""
        return self(z.new_zeros(1, 0)).responsibilities(z)
