"""Terms around a critic: one trains it to tell two laws apart, the others train what it judges.

The critic gives each value a logit d, large where it takes it for the first law of a pair. Trained
to the end, d is the log of the ratio of the two densities; a critic that knows nothing says 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lemari.schedule import Schedule
from lemari.terms.base import Term
from lemari.terms.fit import over_draws
from lemari.types import Trace

# From a trace and a model: draws of the law to be reached and of the one that is, (K, B, *E) each.
Pair = Callable[[Trace, Any], tuple[Tensor, Tensor]]


def prior_and_codes(t: Trace, model: Any) -> tuple[Tensor, Tensor]:
    """Draws of the prior, and the codes."""
    return t.prior.sample(len(t.z)), t.z


def shuffled_and_codes(t: Trace, model: Any) -> tuple[Tensor, Tensor]:
    """The codes with each dimension permuted over the batch by itself, and as they are.

    Permuted, they follow the product of the laws of the dimensions. (Kim and Mnih 2018)
    """
    flat = t.z.flatten(2)
    order = torch.rand(flat.shape, device=flat.device).argsort(1)
    return flat.gather(1, order).view_as(t.z), t.z


def examples_and_decoded(t: Trace, model: Any) -> tuple[Tensor, Tensor]:
    """The examples, and what the decoder makes of their codes and of draws of the prior."""
    drawn = model.decode(t.prior.sample(len(t.z)), t.c).mean
    return t.batch.x.unsqueeze(0), torch.cat((t.p.mean, drawn))


class Judge(Term):
    """Trains the critic, and only it: the cross-entropy of telling the two laws apart.

    0 for a critic that always knows, 2 ln 2 = 1.386 for one that never does: a run that stays
    there has an idle critic, or laws that are already equal.
    """

    name = "judge"

    def __init__(self, pair: Pair, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight, ("critic",))
        self.pair = pair

    def forward(self, t: Trace, model: Any) -> Tensor:
        with torch.no_grad():
            first, second = self.pair(t, model)
        right = over_draws(F.softplus(-model.critic(first)))
        wrong = over_draws(F.softplus(model.critic(second.detach())))
        return right + wrong


class LogRatio(Term):
    """Nats by which the law of the codes exceeds the other, KL(second || first), by the critic.

    The mean of -d at the codes, which trains the coder and never saturates. It says that it may
    train everything but the critic: nothing beyond the coder depends on it, and terms that train
    the same parts share one way back through them.
    """

    name = "ratio"

    def forward(self, t: Trace, model: Any) -> Tensor:
        return -over_draws(model.critic(t.z))


class Fool(Term):
    """Trains the decoder to be taken for the data: -log of the share that the critic grants."""

    name = "fool"

    def __init__(
        self,
        pair: Pair,
        weight: float | Schedule = 1.0,
        trains: tuple[str, ...] = ("decoder",),
    ) -> None:
        super().__init__(weight, trains)
        self.pair = pair

    def forward(self, t: Trace, model: Any) -> Tensor:
        _, second = self.pair(t, model)
        return over_draws(F.softplus(-model.critic(second)))


class FeatureError(Term):
    """Squared error in the critic's features, as of a Gaussian with variance 1, in nats.

    Features see shapes and textures where pixels see single values, so a line that is shifted by a
    pixel costs little. (Larsen et al. 2016, arXiv:1512.09300)
    """

    name = "features"

    def forward(self, t: Trace, model: Any) -> Tensor:
        with torch.no_grad():
            wanted = model.critic.features(t.batch.x.unsqueeze(0))
        found = model.critic.features(t.p.mean)
        return 0.5 * over_draws((found - wanted).square().sum(-1))
