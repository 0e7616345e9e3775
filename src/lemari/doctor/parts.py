"""Findings on the parts: parameters that nothing trains, corruption that stays the same."""

from __future__ import annotations

from collections.abc import Iterator

from lemari.doctor.evidence import Evidence
from lemari.types import Finding


def idle_parameters(e: Evidence) -> Iterator[Finding]:
    """Trainable parameters without a gradient."""
    idle = e.probe.idle
    if idle:
        shown = ", ".join(idle[:6]) + (", ..." if len(idle) > 6 else "")
        yield Finding(
            "unused-parameters",
            "warning",
            f"{len(idle)} trainable parameter{'s have' if len(idle) > 1 else ' has'} no gradient, "
            f"or only zeros, in three training steps: {shown}.",
            "Name their part in `trains` of a term, or take them out; if whole layers of ReLU "
            "died in training, lower the learning rate.",
        )


def frozen_corruption(e: Evidence) -> Iterator[Finding]:
    """The same noise at every draw: the model can learn it by heart."""
    if e.probe.frozen:
        yield Finding(
            "frozen-corruption",
            "error",
            "Two draws of the corruption under different seeds are equal, although it is not a "
            "function of the example: every batch sees the same noise.",
            "Draw the noise inside the corruption's forward, from torch's default generator.",
        )


FINDERS = (idle_parameters, frozen_corruption)
