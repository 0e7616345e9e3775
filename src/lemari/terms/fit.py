"""Terms that make the decoder fit the data."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.laws import total
from lemari.schedule import Schedule
from lemari.terms.base import EVERYTHING, Term
from lemari.types import Trace


class Recon(Term):
    """Negative log-likelihood of the target, -log p(x | z), averaged over the K draws.

    Values whose weight `w` is 0 (missing, padding) do not count. `where="hidden"` counts only what
    the encoder did not see (`view.seen` is 0), scaled up to all values of the example.
    """

    name = "recon"

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        trains: tuple[str, ...] = EVERYTHING,
        where: str = "everywhere",
    ) -> None:
        super().__init__(weight, trains)
        self.where = where

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        if self.where == "hidden" and t.view.seen is not None:
            hidden = 1 - t.view.seen
            scale = hidden.numel() / hidden.sum().clamp(min=1)
            return -over_draws(total(t.p.log_density(t.batch.x) * hidden, t.p.event)) * scale
        return -over_draws(log_likelihood(t))


def log_likelihood(t: Trace) -> Tensor:
    """log p(x | z) of each draw, (K, B); values whose weight `w` is 0 do not count."""
    if t.batch.w is None:
        return t.p.log_prob(t.batch.x)
    return total(t.p.log_density(t.batch.x) * t.batch.w, t.p.event)


def over_draws(values: Tensor) -> Tensor:
    """Mean over the K draws: (K, B) -> (B,)."""
    return values[0] if len(values) == 1 else values.mean(0)
