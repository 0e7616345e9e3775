"""Findings on the code: collapse, dead codes, a hole in the prior, and the weight of the KL."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lemari.doctor.evidence import Evidence
from lemari.model import rate_weight
from lemari.types import Finding

COLLAPSE_NATS = 0.1  # e^0.1: the code tells apart 1.1 examples
ACTIVE_VARIANCE = 0.01  # of the posterior mean (Burda et al. 2016); the prior's is 1
USED = 0.5  # of a codebook: below, a code half as long (one bit less) would say the same
HOLE = 0.1425  # the energy coefficient of two normals, one four times as wide (see `energy`)
SHUFFLES = 30
SLIGHT = 0.01  # of the weight that a KL has beside a likelihood with the error that it makes


def collapse(e: Evidence) -> Iterator[Finding]:
    """The posterior equals the prior: the code says nothing of the example."""
    if e.kl is None or e.variance is None:
        return
    total, active = float(e.kl.sum()), e.variance > ACTIVE_VARIANCE
    if total < COLLAPSE_NATS or (not active.any() and len(e.inputs) > 1):
        yield Finding(
            "posterior-collapse",
            "error",
            f"KL is {total:.3f} nats and {active.sum()} of {len(e.kl)} dimensions are active "
            f"(variance of the posterior mean above {ACTIVE_VARIANCE}).",
            "Train for more epochs if there were few; if it stays, lower beta"
            + ("" if e.beta is None else f" (effective beta is {e.beta:.3g})")
            + "; vae and beta-vae can also raise it slowly with --warm-up.",
        )
    elif not active.all() and len(e.inputs) > 1:
        yield partial(e.kl, active, e.beta)


def partial(kl: np.ndarray, active: np.ndarray, beta: float | None) -> Finding:
    """Some dimensions equal the prior: they cost nothing and say nothing."""
    gone = np.flatnonzero(~active)
    shown = ", ".join(f"z{i}" for i in gone[:12]) + (", ..." if len(gone) > 12 else "")
    least = "" if beta is None else f" (effective beta is {beta:.3g})"
    return Finding(
        "inactive-dimensions",
        "info",
        f"{len(gone)} of {len(kl)} dimensions are inactive ({shown}): their posterior means vary "
        f"by less than {ACTIVE_VARIANCE}, and together they carry {kl[gone].sum():.3g} of "
        f"{kl.sum():.3g} nats.",
        f"Take --latent {active.sum()}, which holds as much; to use more dimensions, lower "
        f"beta{least}.",
    )


def dead_codes(e: Evidence) -> Iterator[Finding]:
    """Much of a codebook is never chosen."""
    last = e.run.history[-1].get("measures") or {} if e.run.history else {}
    usage, perplexity = last.get("usage"), last.get("perplexity")
    if usage is not None and usage < USED:
        beside = "" if perplexity is None else f", and its perplexity is {perplexity:.1f}"
        yield Finding(
            "dead-codes",
            "warning",
            f"{usage:.0%} of the codebook was used in the last epoch{beside}: with fewer than "
            f"{USED:.0%}, half as many codes would say as much.",
            "Take a smaller codebook, or train for longer, so that dead codes are revived.",
        )


def energy(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """How far two sets of codes (N, D), (M, D) differ: energy coefficient, and its noise level.

    1 - (E|a - a'| + E|b - b'|) / (2 E|a - b|) is 0 for equal laws and below 1 always; whatever
    D is, it is 1 - sqrt(2) (1 + s) / (2 sqrt(1 + s^2)) for N(0, I) and N(0, s^2 I), such as
    0.1425 for s = 4 (Szekely and Rizzo 2013). The noise level is the largest value among 30
    random divisions of all codes into two sets of these sizes.
    """
    both = np.concatenate([a, b])
    squares = np.square(both).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * both @ both.T, 0))
    first = np.arange(len(both)) < len(a)
    rng = np.random.default_rng(seed)
    noise = [coefficient(distance, rng.permutation(first)) for _ in range(SHUFFLES)]
    return coefficient(distance, first), max(noise)


def coefficient(distance: np.ndarray, first: np.ndarray) -> float:
    """The energy coefficient of a division of points, from their distances (N, N)."""
    w, v = first / first.sum(), ~first / (~first).sum()
    between = w @ distance @ v
    return float(1 - (w @ distance @ w + v @ distance @ v) / (2 * between)) if between else 0.0


def prior_hole(e: Evidence) -> Iterator[Finding]:
    """Codes of examples lie elsewhere than draws from the prior: samples decode to nothing."""
    codes, draws = e.probe.codes, e.probe.draws
    if codes is None or draws is None or len(codes) < 50:
        return
    if not (np.isfinite(codes).all() and np.isfinite(draws).all()):
        return
    found, noise = energy(codes, draws)
    if found <= max(HOLE, 2 * noise):
        return
    scale = np.maximum(draws.std(0), 1e-12)
    shift, width = np.abs(codes.mean(0) - draws.mean(0)) / scale, codes.std(0) / scale
    worst = int(np.argmax(shift + np.abs(np.log(np.maximum(width, 1e-12)))))
    draw = "Use a variant that draws codes to its prior, such as --variant vae"
    draw = draw if e.kl is None else "Raise beta, so that codes are drawn to the prior"
    yield Finding(
        "prior-hole",
        "warning",
        f"Codes of {len(codes)} examples and draws from the prior differ by an energy coefficient "
        f"of {found:.3f} (two sets of one law: up to {noise:.3f}; a law 4 times as wide: {HOLE}). "
        f"Worst is z{worst}: mean off by {shift[worst]:.2f} prior sigmas, {width[worst]:.2f} "
        "times as wide.",
        f"{draw}; until then, do not trust generated examples.",
    )


def beta_scale(e: Evidence) -> Iterator[Finding]:
    """The weight of the KL does not fit the scale of the data.

    A linear VAE whose likelihood has the variance s^2 uses one dimension for each eigenvalue of
    the data's covariance above s^2 (Lucas et al. 2019, arXiv:1911.02469), and the effective beta
    stands in the place of s^2. Above the largest eigenvalue nothing is left. A likelihood of the
    error that the model makes has s^2 = MSE; an effective beta of a hundredth of that leaves the
    codes practically free.
    """
    if e.beta is None or len(e.inputs) < 50:
        return
    largest, error = largest_eigenvalue(e.inputs), float(np.square(e.outputs - e.inputs).mean())
    weight = rate_weight(e.run.weights)
    if e.beta > largest > 0:
        yield Finding(
            "beta-too-high",
            "warning",
            f"The effective beta is {e.beta:.3g}, but the data's strongest direction has a "
            f"variance of only {largest:.3g}: no dimension of the code is worth its KL.",
            f"Lower beta{rescaled(weight, largest / 10 / e.beta)}.",
        )
    elif e.beta < SLIGHT * error:
        small_sigma = weight is not None and weight >= 1  # so it is not beta that is small
        share = e.beta / error
        yield Finding(
            "beta-too-low",
            "warning",
            f"The effective beta is {e.beta:.3g}, {share:.2g} of the mean squared error "
            f"({error:.3g}), with which KL and likelihood would be in balance.",
            "Leave --sigma out, so that it is learned."
            if small_sigma
            else f"Raise beta{rescaled(weight, 1 / share) if share else ' (--beta 1)'}.",
        )


def rescaled(weight: float | None, factor: float) -> str:
    """The weight times a factor, to one digit, as an option."""
    return f" (--beta {weight * factor:.1g})" if weight else ""


def largest_eigenvalue(x: np.ndarray) -> float:
    """Of the covariance of the rows of x (N, *S)."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    off = flat - flat.mean(0)
    gram = off @ off.T if len(off) < off.shape[1] else off.T @ off
    return float(np.linalg.eigvalsh(gram)[-1]) / len(off) if math.prod(off.shape) else 0.0


FINDERS = (collapse, dead_codes, prior_hole, beta_scale)
