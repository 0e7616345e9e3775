"""Terms that draw the posterior towards the prior."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import divergence
from lemari.terms.base import Term
from lemari.types import Trace


class KL(Term):
    """KL(q(z | x) || p(z)), exact where a closed form is known, else from the drawn codes."""

    name = "kl"
    needs = frozenset({"density"})

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        return divergence(t.q, t.prior, t.z)  # pyright: ignore[reportArgumentType]
