"""Numbers that change during training: a schedule maps the step to a weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lemari.errors import UsageError

Schedule = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value at every step.

    >>> Constant(4.0)(1000)
    4.0
    """

    value: float

    def __call__(self, step: int) -> float:
        return self.value


@dataclass(frozen=True, slots=True)
class Ramp:
    """From 0 to `value` in a straight line over `steps`, then constant: KL warm-up.

    >>> [Ramp(1.0, 4)(step) for step in (0, 2, 4, 9)]
    [0.0, 0.5, 1.0, 1.0]
    """

    value: float
    steps: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < math.inf:
            raise UsageError(
                f"A weight or a capacity must be 0 or more, but {self.value:g} was given."
            )
        if self.steps < 0:
            raise UsageError(
                f"A warm-up takes 0 steps or more, but {self.steps} were given; leave --warm-up "
                "(warm_up=) out for the usual number."
            )

    def __call__(self, step: int) -> float:
        return self.value * min(1.0, step / self.steps) if self.steps else self.value


@dataclass(frozen=True, slots=True)
class Cosine:
    """`value`, reached over `warm` steps, then lowered to 0 along half a cosine by step `steps`.

    >>> [round(Cosine(1.0, 10)(step), 3) for step in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """

    value: float
    steps: int
    warm: int = 0

    def __call__(self, step: int) -> float:
        if step < self.warm:
            return self.value * (step + 1) / (self.warm + 1)
        part = min(1.0, (step - self.warm) / max(1, self.steps - self.warm))
        return self.value * 0.5 * (1 + math.cos(math.pi * part))
