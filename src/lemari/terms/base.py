"""What every term has: a weight, the parts that it trains, and what it needs of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.schedule import Constant, Schedule
from lemari.types import Trace

if TYPE_CHECKING:
    from lemari.feed import Feed

EVERYTHING = ("condition", "corrupt", "encoder", "posterior", "prior", "decoder")
CODER = ("condition", "corrupt", "encoder", "posterior")


class Term(nn.Module):
    """A weighted summand of the loss.

    `weight` is a number or a schedule of the step; `trains` names the parts of the model that
    the term's gradient may reach; `needs` names traits that the posterior must have; `name` tells
    two terms of one kind apart.
    """

    name = "term"
    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        weight: float | Schedule = 1.0,
        trains: tuple[str, ...] = EVERYTHING,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name or self.name
        if not callable(weight) and not 0 <= weight < math.inf:
            raise UsageError(
                f"The weight of the term {self.name!r} must be 0 or more, but is {weight:g}; "
                "give 0 to leave the term out."
            )
        self.weight = weight if callable(weight) else Constant(weight)
        self.trains = trains

    def prepare(self, model: nn.Module, feed: Feed) -> None:
        """Called once, before the first step, with the training rows: count them, look at them.

        A term that keeps what it found in a buffer finds it again after loading.
        """

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        """Nats, shape (B,)."""
        raise TypeError(f"{type(self).__name__} must define forward")
