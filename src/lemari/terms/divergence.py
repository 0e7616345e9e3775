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
    """What the KL, as a mean over the batch, exceeds C by: the code may carry C nats, no more.

    C is raised by `capacity`, a schedule of the step; a model that is not in training has
    reached its end. With `both`, |KL - C| as in the paper (Burgess et al. 2018,
    arXiv:1804.03599). That can also be lowered by moving all codes away from the prior together,
    which carries nothing; without it, the reconstruction alone draws the KL up to C.
    """

    name = "capacity"
    needs = frozenset({"density"})

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        capacity: float | Schedule = 25.0,
        both: bool = False,
    ) -> None:
        super().__init__(weight)
        self.capacity = capacity if callable(capacity) else Constant(capacity)
        self.both = both

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        wanted = self.capacity(t.step if self.training else 10**9)
        kl = divergence(t.q, t.prior, t.z)  # pyright: ignore[reportArgumentType]
        off = kl.mean() - wanted
        return (off.abs() if self.both else off.clamp(min=0)).expand(len(kl))
