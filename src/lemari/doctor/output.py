"""Findings on what the decoder gives: constant, saturated, or deaf to the condition."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lemari.doctor.data import FLAT_VARIANCE
from lemari.doctor.evidence import Evidence
from lemari.types import Finding

SATURATED = 1 / 255  # one 8-bit step from 0 or 1, where a sigmoid's slope is below 0.4 %
STUCK = 0.5  # of the squared error, at saturated outputs
WORSE = 1.2  # times the error of the mean example; one that learned nothing has 1
FEW = 20  # rows, below which their own spread says little about the data's
DEAF = 0.01  # growth of the error under a wrong class


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


def saturated(e: Evidence) -> Iterator[Finding]:
    """The error lies where the sigmoid is flat, so that no gradient gets through to mend it."""
    if not e.probe.squashed or not e.outputs.size:
        return
    flat = np.minimum(e.outputs, 1 - e.outputs) < SATURATED
    error = np.square(e.outputs - e.inputs, dtype=np.float64)
    share = float(error[flat].sum() / max(error.sum(), 1e-12))
    if share > STUCK and error.mean() > SATURATED**2:
        yield Finding(
            "saturated-sigmoid",
            "error",
            f"{share:.0%} of the squared error lies at outputs within an 8-bit step of 0 or 1, "
            "where the sigmoid's slope is below 0.4 %: these outputs cannot learn any more.",
            "Train again with a lower learning rate (--lr 3e-4).",
        )


def deaf(e: Evidence) -> Iterator[Finding]:
    """The decoder does not listen to the class that it is told."""
    t = e.probe.told
    if t is not None and t.right > 0 and t.wrong < (1 + DEAF) * t.right:
        yield Finding(
            "condition-ignored",
            "warning",
            f"Told a wrong class, the decoder's squared error on {t.rows} rows is {t.wrong:.4g}, "
            f"told the right one {t.right:.4g}: the class does not matter to it.",
            "Take a shorter code (--latent), so that the decoder needs the class; check that the "
            "labels belong to the examples.",
        )


def worse_than_mean(e: Evidence) -> Iterator[Finding]:
    """In no epoch did the model beat the mean example, from which training starts."""
    if len(e.inputs) < FEW:
        return
    mean = float(np.var(e.inputs, axis=0, ddof=1).mean())
    errors = [r["valid"]["mse"] for r in e.run.history if r.get("valid", {}).get("mse")]
    best = min([*errors, float(np.square(e.outputs - e.inputs).mean())])
    if mean > FLAT_VARIANCE and best > WORSE * mean:
        rate = max((r.get("lr") or 0.0 for r in e.run.history), default=0.0)
        yield Finding(
            "learning-rate-too-high",
            "error",
            f"The best mean squared error of any epoch is {best:.3g}; training starts from the "
            f"mean example, which has {mean:.3g}: steps lead away from the data.",
            "Lower the learning rate" + (f" (--lr {rate / 10:.1g})." if rate else " (--lr)."),
        )


FINDERS = (constant_output, saturated, worse_than_mean, deaf)
