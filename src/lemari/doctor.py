"""Findings: what went wrong in a training, with the numbers and the one setting to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lemari.types import Finding

COLLAPSE_NATS, ACTIVE_VARIANCE, FLAT_VARIANCE = 0.1, 0.01, 1e-6


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the findings are judged on, measured on held-out rows.

    `kl` (D,) nats and `variance` (D,) of the posterior mean, None for a code without density;
    `outputs` and `inputs` (N, *S) are reconstructions and their targets.
    """

    kl: np.ndarray | None
    variance: np.ndarray | None
    outputs: np.ndarray
    inputs: np.ndarray
    notes: Sequence[str] = field(default=())
    beta: float | None = None


def examine(e: Evidence) -> list[Finding]:
    """All findings, the gravest first."""
    found = [*collapse(e), *constant_output(e), *constant_data(e), *pixel_range(e)]
    return sorted(found, key=lambda f: ("error", "warning", "info").index(f.severity))


def collapse(e: Evidence) -> Iterator[Finding]:
    """The posterior equals the prior: the code says nothing of the example."""
    if e.kl is None or e.variance is None:
        return
    total, active = float(e.kl.sum()), int((e.variance > ACTIVE_VARIANCE).sum())
    if total < COLLAPSE_NATS or (active == 0 and len(e.inputs) > 1):
        yield Finding(
            "posterior-collapse",
            "error",
            f"KL is {total:.3f} nats and {active} of {len(e.kl)} dimensions are active "
            f"(variance of the posterior mean above {ACTIVE_VARIANCE}).",
            "Train for more epochs if there were few; if it stays, lower beta"
            + ("" if e.beta is None else f" (effective beta is {e.beta:.3g})")
            + "; vae and beta-vae can also raise it slowly with --warm-up.",
        )


def constant_output(e: Evidence) -> Iterator[Finding]:
    """Every example is rebuilt as the same one, although the examples differ."""
    if len(e.outputs) < 2:
        return
    out, data = (float(np.var(a, axis=0).mean()) for a in (e.outputs, e.inputs))
    if data > FLAT_VARIANCE and out < 1e-3 * data:
        yield Finding(
            "constant-output",
            "error",
            f"Reconstructions of different examples vary by {out:.2g} (variance), the examples "
            f"by {data:.2g}: the decoder ignores its code.",
            "Train for more epochs, or with a lower learning rate (--lr 3e-4).",
        )


def constant_data(e: Evidence) -> Iterator[Finding]:
    """There is nothing to learn: all examples are equal."""
    if len(e.inputs) > 1 and float(np.var(e.inputs, axis=0).mean()) <= FLAT_VARIANCE:
        yield Finding(
            "constant-data",
            "warning",
            f"All {len(e.inputs)} held-out examples are equal (variance below {FLAT_VARIANCE:g}).",
            "Check that the data was exported as it should be; give examples that differ.",
        )


def pixel_range(e: Evidence) -> Iterator[Finding]:
    """Float pictures whose values do not lie between 0 and 1 were rescaled."""
    for note in e.notes:
        if "pixel range" in note:
            yield Finding(
                "pixel-range",
                "warning",
                note,
                "Scale pixels to 0..1 (or store them as 8 or 16 bit) if this range is not meant.",
            )
