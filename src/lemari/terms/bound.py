"""Bounds on log p(x) from several codes of each example: the more draws, the tighter."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.laws import Normal
from lemari.schedule import Schedule
from lemari.terms.base import CODER, EVERYTHING, Term
from lemari.terms.fit import log_likelihood
from lemari.types import Trace

MOST_DRAWS = 5000


def drawn(draws: int, groups: int = 1) -> int:
    """Codes of each example in all: `groups` times `draws`. UsageError below 1, or far too many."""
    if draws < 1 or groups < 1:
        raise UsageError(
            f"An importance bound needs at least one group of one draw, but was given {groups} "
            f"of {draws}; 5 draws are usual."
        )
    if draws * groups > MOST_DRAWS:
        raise UsageError(
            f"{draws * groups} draws of each example take the time and memory of so many models; "
            f"give at most {MOST_DRAWS} in all. 5 are usual, 50 are many."
        )
    return draws * groups


class Bound(Term):
    """Minus the importance-weighted bound: -log of the mean of p(x, z) / q(z | x) over the draws.

    In expectation it never lies below -log p(x) and falls towards it with the number of draws; with
    one draw it is the usual variational bound. `draws` cuts the K codes into groups of so many,
    whose bounds are averaged; all are one group when it is left out. (Burda, Grosse and
    Salakhutdinov 2016, arXiv:1509.00519; in groups: Rainforth et al. 2018, arXiv:1802.04537)
    """

    name = "bound"
    needs = frozenset({"density"})

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        trains: tuple[str, ...] = EVERYTHING,
        draws: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(weight, trains, name)
        self.draws = draws

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        weights = log_weights(t)
        groups = weights.split(self.draws or len(weights))
        return -torch.stack([log_mean_exp(group) for group in groups]).mean(0)


class DoublyReparameterised(Bound):
    """The same number, with a gradient of lower variance for the encoder.

    The plain gradient grows noisier with the number of draws, because the part of it that passes
    through log q has mean zero but not variance zero. Taking that part through the codes alone
    leaves sum_k v_k^2 d log w_k / dz_k, with v_k the share of draw k in all weights. It is the
    encoder's gradient only: the decoder needs a Bound of its own.
    (Tucker et al. 2019, arXiv:1810.04152)
    """

    needs = frozenset({"density", "gaussian"})

    def __init__(self, weight: float | Schedule = 1.0, name: str | None = None) -> None:
        super().__init__(weight, CODER, name=name)

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        q: Normal = t.q  # pyright: ignore[reportAssignmentType]
        still = Normal(q.mean.detach(), q.log_sigma.detach(), q.event)
        weights = log_weights(t, still)
        share = weights.detach().softmax(0)
        slope = (share.square() * weights).sum(0)
        return -log_mean_exp(weights.detach()) - (slope - slope.detach())


def log_weights(t: Trace, q: Normal | None = None) -> Tensor:
    """log p(x | z) + log p(z) - log q(z | x) of each draw, (K, B); `q` in place of the trace's."""
    return log_likelihood(t) + t.prior.log_prob(t.z) - (q or t.q).log_prob(t.z)  # pyright: ignore[reportAttributeAccessIssue]


def log_mean_exp(values: Tensor) -> Tensor:
    """log of the mean of exp over the first dimension, without overflow.

    >>> log_mean_exp(torch.tensor([[-1000.0], [-1000.0]]))
    tensor([-1000.])
    """
    return values.logsumexp(0) - math.log(len(values))
