"""How far the dimensions of the code are from independent, over the whole training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lemari.laws import Normal
from lemari.schedule import Schedule
from lemari.terms.base import EVERYTHING, Term
from lemari.types import Trace

if TYPE_CHECKING:
    from lemari.feed import Feed


class TotalCorrelation(Term):
    """KL(q(z) || q(z_1) ... q(z_D)) in nats, where q(z) is the mean of q(z | x) over all rows.

    q(z) at an example's code is estimated from the batch, in two strata: the example's own
    posterior, which is one of the N rows for certain, and those of the others in the batch, which
    stand for the N - 1 that are left. That estimate of q(z) has no bias; its logarithm has one,
    which shrinks as batches grow. Not `stratified`, the batch stands for the set, which counts the
    own posterior too often: narrow posteriors are charged for more correlation than there is.
    (Chen et al. 2018, arXiv:1802.04942)
    """

    name = "tc"
    needs = frozenset({"density", "gaussian"})
    rows: Tensor

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        trains: tuple[str, ...] = EVERYTHING,
        stratified: bool = True,
    ) -> None:
        super().__init__(weight, trains)
        self.stratified = stratified
        self.register_buffer("rows", torch.zeros((), dtype=torch.int64))

    def prepare(self, model: nn.Module, feed: Feed) -> None:
        """Take the number of training rows."""
        self.rows.fill_(len(feed))

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        q: Normal = t.q  # pyright: ignore[reportAssignmentType]
        pairs = q.log_density(t.z.unsqueeze(2)).flatten(3)  # (K, B codes, B posteriors, D)
        rows = self.rows if self.stratified else torch.zeros_like(self.rows)
        shares = log_shares(pairs.shape[1], rows.to(pairs.dtype))
        joint = (pairs.sum(3) + shares).logsumexp(2)
        each = (pairs + shares.unsqueeze(2)).logsumexp(2)
        return (joint - each.sum(2)).mean(0)


def log_shares(batch: int, rows: Tensor) -> Tensor:
    """Log of the share of q(z) that posterior j of the batch stands for at the code of i, (B, B).

    A row's own posterior counts 1 / N; the others share the rest. A set that was never counted, or
    is smaller than the batch, is taken to be the batch; an example alone is all that there is.

    >>> log_shares(3, torch.tensor(9.0)).exp()[0]
    tensor([0.1111, 0.4444, 0.4444])
    """
    own = 1 / (rows.clamp(min=batch) if batch > 1 else torch.ones_like(rows))
    others = ((1 - own) / max(1, batch - 1)).expand(batch, batch)
    return torch.where(torch.eye(batch, dtype=torch.bool, device=rows.device), own, others).log()
