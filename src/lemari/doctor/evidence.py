"""What the findings are judged on: plain arrays and numbers, measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Run:
    """The epochs of a training: the records of metrics.jsonl, and each term's final weight.

    With the weights, epochs in which one was still being raised are told from the others;
    `steps` is the number in one epoch, 0 where it is not known.
    """

    history: Sequence[Mapping[str, Any]] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """Mean squared error on labelled rows told the right class and a wrong one."""

    right: float
    wrong: float
    rows: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What was tried out on the model; a field left at its default was not.

    `bounded`: its likelihood wants values between 0 and 1; `squashed`: a sigmoid makes its
    means, and the loss is their squared error. `idle` names parameters that no step moves,
    `died` those that a step did move before training. `frozen`: two draws of the corruption are
    equal though it is not a function of the example. `codes` and `draws` (N, D) are drawn from
    q(z | x) of N rows and from the prior.
    """

    bounded: bool = False
    squashed: bool = False
    columns: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    died: tuple[str, ...] = ()
    frozen: bool = False
    told: Told | None = None
    codes: np.ndarray | None = None
    draws: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a trained model, measured on held-out rows where there are some.

    `kl` (D,) nats and `variance` (D,) of the posterior mean, None for a code without density;
    `outputs` and `inputs` (N, *S) are reconstructions and their targets; `beta` is the
    effective one.
    """

    kl: np.ndarray | None
    variance: np.ndarray | None
    outputs: np.ndarray
    inputs: np.ndarray
    notes: Sequence[str] = ()
    beta: float | None = None
    run: Run = field(default_factory=Run)
    probe: Probe = field(default_factory=Probe)
