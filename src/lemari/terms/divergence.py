"""Terms that draw the posterior towards the prior."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import divergence
from lemari.schedule import Constant, Schedule
from lemari.terms.base import Term
from lemari.types import Trace


class KL(Term):
    """KL(q(z | x) || p(z)), exact where a closed form is known, else from the drawn codes."""

    name = "kl"
    needs = frozenset({"density"})

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        return divergence(t.q, t.prior, t.z)  # pyright: ignore[reportArgumentType]


class Capacity(Term):
    """|KL - C|, KL the mean over the batch: the code is to carry C nats, no more and no less.

    C is raised by `capacity`, a schedule of the step; a model that is not in training has
    reached its end. (Burgess et al. 2018, arXiv:1804.03599)
    """

    name = "capacity"
    needs = frozenset({"density"})

    def __init__(self, weight: float | Schedule = 1.0, capacity: float | Schedule = 25.0) -> None:
        super().__init__(weight)
        self.capacity = capacity if callable(capacity) else Constant(capacity)

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        wanted = self.capacity(t.step if self.training else 10**9)
        kl = divergence(t.q, t.prior, t.z)  # pyright: ignore[reportArgumentType]
        return (kl.mean() - wanted).abs().expand(len(kl))
