"""Findings on the parts: parameters that nothing trains, corruption that stays the same."""

from __future__ import annotations

from collections.abc import Iterator

from lemari.doctor.evidence import Evidence
from lemari.types import Finding


def idle_parameters(e: Evidence) -> Iterator[Finding]:
    """Trainable parameters that no term moves."""
    if e.probe.idle:
        yield Finding(
            "unused-parameters",
            "warning",
            f"{without_gradient(e.probe.idle)} in three training steps.",
            "Name their part in `trains` of a term, or take them out.",
        )


def dead_layers(e: Evidence) -> Iterator[Finding]:
    """Layers that training itself has cut off, such as ReLUs that are 0 for every example."""
    if e.probe.died:
        rate = max((r.get("lr") or 0.0 for r in e.run.history), default=0.0)
        yield Finding(
            "dead-layers",
            "error",
            f"{without_gradient(e.probe.died)} any more; before training they had one.",
            "Lower the learning rate" + (f" (--lr {rate / 10:.1g})." if rate else " (--lr)."),
        )


def without_gradient(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    have = "s have" if len(names) > 1 else " has"
    return f"{len(names)} trainable parameter{have} ({shown}) no gradient other than 0"


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


FINDERS = (idle_parameters, dead_layers, frozen_corruption)
