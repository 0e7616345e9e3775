"""Findings on the course of a training, from its epochs alone: also while it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, isclose, isfinite, log
from typing import Any

from lemari.doctor.evidence import Run
from lemari.types import Finding

CHANCE = 2 * log(2)  # two cross-entropies of a critic that says one half to everything
BETTER = 0.01  # nats below chance: the loss of a critic that is right in 55 % of all cases
LONG = 3  # epochs before a standstill counts, and
STEPS = 500  # steps, in which Adam at 1e-3 can move a weight by up to 0.5
SPIKE = 0.15  # of all that was gained so far, lost again in one epoch
FIT = 0.05  # of all that the held-out loss had fallen, lost again
COLLAPSE_NATS = 0.1
PLAIN = {"recon", "kl"}
LEAST = 0.5  # nats of rise or fall, below which a curve is noise


def examine(run: Run) -> list[Finding]:
    """Findings on the epochs so far."""
    return [f for finder in FINDERS for f in finder(run)]


def critic(run: Run) -> Iterator[Finding]:
    """An adversary that never learned to tell codes (or examples) apart, in the whole run."""
    values = [r["terms"]["judge"] for r in run.history if "judge" in r.get("terms", {})]
    if len(values) >= standstill(run) and min(values) > CHANCE - BETTER:
        yield Finding(
            "critic-at-chance",
            "warning",
            f"The critic's loss was {min(values):.3f} to {max(values):.3f} in all {len(values)} "
            f"epochs; one that guesses has 2 ln 2 = {CHANCE:.3f}. So it taught the model nothing.",
            "Raise --lr. Of a critic of your own, check that its term has trains=('critic',).",
        )


def rate_too_high(run: Run) -> Iterator[Finding]:
    """The training loss jumps up: steps are too long.

    The first epoch is no measure of what was gained: too long steps throw it up as well.
    """
    records = settled(run)[1:]
    curve = [training_loss(r) for r in records]
    if len(curve) < LONG or not all(map(isfinite, curve)):
        return
    worst, at = 0.0, 0
    for i in range(1, len(curve)):
        lowest = min(curve[:i])
        gained = curve[0] - lowest
        lost = (curve[i] - lowest) / gained if min(gained, curve[i] - lowest) > LEAST else 0.0
        worst, at = max((worst, at), (lost, i))
    if worst > SPIKE:
        rate = max(r.get("lr") or 0.0 for r in run.history)
        yield Finding(
            "learning-rate-too-high",
            "warning",
            f"The training loss rose to {curve[at]:.4g} nats in epoch {records[at]['number']}, "
            f"after {min(curve[:at]):.4g} before: {worst:.0%} of what was gained is lost again.",
            "Lower the learning rate" + (f" (--lr {rate / 3:.1g})." if rate else " (--lr)."),
        )


def over_fitting(run: Run) -> Iterator[Finding]:
    """The loss on held-out rows rises while that on training rows falls."""
    records = [r for r in settled(run) if "loss" in r.get("valid", {})]
    if len(records) < LONG + 1 or any(r.get("best") for r in run.history):
        return
    held = [r["valid"]["loss"] for r in records]
    best = min(range(len(held)), key=held.__getitem__)
    fall, rise = held[0] - held[best], held[-1] - held[best]
    since = len(held) - 1 - best
    learning = training_loss(records[-1]) < training_loss(records[best])
    if since >= LONG and learning and rise > FIT * fall and fall > LEAST:
        epoch = records[best]["number"]
        yield Finding(
            "over-fitting",
            "warning",
            f"The held-out loss was lowest in epoch {epoch} ({held[best]:.4g} nats) and rose to "
            f"{held[-1]:.4g} by epoch {records[-1]['number']}, while the training loss fell from "
            f"{training_loss(records[best]):.4g} to {training_loss(records[-1]):.4g}.",
            f"Train with --patience {LONG}, which keeps the best epoch, or for {epoch} epochs.",
        )


def collapsing(run: Run) -> Iterator[Finding]:
    """The KL stays at 0: the code says nothing of the example."""
    long = standstill(run)
    values = [r["terms"]["kl"] for r in settled(run) if "kl" in r.get("terms", {})][-long:]
    if len(values) == long and max(values) < COLLAPSE_NATS and run.weights.get("kl", 1.0) > 0:
        yield Finding(
            "posterior-collapse",
            "error",
            f"The KL was below {COLLAPSE_NATS} nats in the last {long} epochs (now "
            f"{values[-1]:.3g}): the code says nothing of the example.",
            "Lower beta, or raise it slowly with --warm-up.",
        )


def standstill(run: Run) -> int:
    """Epochs after which what has not begun to learn will hardly do so."""
    return max(LONG, ceil(STEPS / run.steps) if run.steps else 0)


def training_loss(record: Any) -> float:
    """The loss of an epoch, where fit and KL make it up; else the fit alone.

    Other terms are no measure of progress: a critic improves against the model, and a capacity
    is raised on purpose.
    """
    terms = record.get("terms", {})
    value = terms["recon"] if "recon" in terms and set(terms) - PLAIN else record["loss"]
    return float("nan") if value is None else value


def settled(run: Run) -> Sequence[Any]:
    """The last epochs, from the first in which every term had its final weight."""
    first = len(run.history)
    while first and at_final_weights(run, run.history[first - 1]):
        first -= 1
    return run.history[first:]


def at_final_weights(run: Run, record: Any) -> bool:
    """Whether the loss of this epoch is what its terms come to with their final weights."""
    terms = record.get("terms", {})
    if record.get("loss") is None or None in terms.values():
        return False
    if not run.weights or set(terms) != set(run.weights):
        return True
    total = sum(run.weights[name] * value for name, value in terms.items())
    scale = sum(abs(run.weights[name] * value) for name, value in terms.items())
    return isclose(total, record["loss"], rel_tol=1e-6, abs_tol=1e-6 * scale)


FINDERS = (critic, rate_too_high, over_fitting, collapsing)
