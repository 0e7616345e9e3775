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
            return -t.p.log_prob(t.batch.x).mean(0)
        return -total(t.p.log_density(t.batch.x) * t.batch.w, t.p.event).mean(0)
