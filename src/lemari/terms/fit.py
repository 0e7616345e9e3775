"""Terms that make the decoder fit the data."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import total
from lemari.terms.base import Term
from lemari.types import Trace


class Recon(Term):
    """Negative log-likelihood of the target, -log p(x | z), averaged over the K draws.

    Values whose weight `w` is 0 (missing, padding) do not count.
    """

    name = "recon"

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        if t.batch.w is None:
            return -over_draws(t.p.log_prob(t.batch.x))
        return -over_draws(total(t.p.log_density(t.batch.x) * t.batch.w, t.p.event))


def over_draws(values: Tensor) -> Tensor:
    """Mean over the K draws: (K, B) -> (B,)."""
    return values[0] if len(values) == 1 else values.mean(0)
