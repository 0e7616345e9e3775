"""The two divergences of a code of numbers and a category."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lemari.latents.joint import kl_joint
from lemari.schedule import Constant, Schedule
from lemari.terms.base import Term
from lemari.types import Trace

PARTS = ("numbers", "categories")


class PartKL(Term):
    """How far the KL of one part of a joint code is from its capacity: |KL - capacity|.

    With capacity 0 it is that part's KL. A capacity above 0 keeps the part in use, where the KL
    alone would let the category fade; it is in nats, may follow the step, and is that of the end
    when the model is not training. (Dupont 2018, arXiv:1804.00104)
    """

    needs = frozenset({"density"})

    def __init__(
        self, part: str, weight: float | Schedule = 1.0, capacity: Schedule | None = None
    ) -> None:
        super().__init__(weight, name=f"kl_{part}")
        self.first = part == PARTS[0]
        self.capacity = capacity or Constant(0.0)

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        q: Any = t.q
        each = kl_joint(q, t.prior).flatten(1)  # pyright: ignore[reportArgumentType]
        part = each[:, : q.numbers] if self.first else each[:, q.numbers :]
        goal = self.capacity(t.step if self.training else 10**9)
        return (part.sum(1) - goal).abs() if goal else part.sum(1)
