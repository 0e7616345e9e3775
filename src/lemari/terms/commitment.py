"""The term that holds the encoder near the codes of a codebook."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.terms.base import Term
from lemari.types import Trace


class Commitment(Term):
    """Squared distance of the encoder's output from the code that it was rounded to.

    Nothing else keeps the output from running away from its code, since gradients pass the
    rounding as if it were not there. It has no probability of its own: as in the paper, it
    counts beside the nats of the other terms. (van den Oord et al. 2017, arXiv:1711.00937)
    """

    name = "commitment"
    needs = frozenset({"codes"})

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        return t.q.commitment  # pyright: ignore[reportAttributeAccessIssue]
