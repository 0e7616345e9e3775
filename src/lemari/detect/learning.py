"""Fit a detector to encoded rows, and score rows that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lemari.detect.denoising import Denoiser, as_tensor
from lemari.detect.model import DetectorModel
from lemari.detect.suspicion import Bag, Linear, suspicion
from lemari.detect.tails import TailLaw
from lemari.detect.views import standard
from lemari.errors import DataError

MEMBERS = 2
MOST_STORED = 20_000  # rows that are kept for distances, reasons and updates
MOST_RANKED = 50_000  # rows that are searched for suspicious ones
HELD_OUT = 1000  # rows, at most a quarter, that a member is not fitted to
TRUSTED = 0.8
LEAST_SCALE, LEAST_INDICATOR = 0.05, 0.5
Progress = Callable[[str, float], None]


def learn(
    x: np.ndarray,
    *,
    normal_only: bool = False,
    memory: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[DetectorModel, np.ndarray]:
    """(model, scores of training rows as if they were new) from encoded rows x (N, F).

    With `normal_only` all rows are taken as normal; otherwise the fifth that is most suspicious is
    left out. Raises DataError for fewer than two different rows.
    """
    if len(x) < 2 or not (x != x[0]).any():
        raise DataError(
            "A detector needs at least two different rows; "
            + ("only 1 sample was given." if len(x) == 1 else f"all {len(x)} rows are equal.")
        )
    rng = np.random.default_rng(seed)
    say = progress or (lambda what, done: None)
    if normal_only:
        return _from_normal(x, memory, rng, seed, say)
    return _from_mixed(x, memory, rng, seed, say)


def _from_normal(x, memory, rng, seed, say) -> tuple[DetectorModel, np.ndarray]:
    order = rng.permutation(len(x))
    held = np.array_split(order[: 2 * min(len(x) // 4, HELD_OUT)], MEMBERS)
    nets = [_denoiser(np.delete(x, out, 0), seed + i, say, i) for i, out in enumerate(held)]
    stored = x[order[:MOST_STORED]] if memory else x[:0]
    model = DetectorModel(x.shape[1], True, stored, nets)
    say("calibrating", 0.9)
    parts = [model.experts(x[out], i) for i, out in enumerate(held) if len(out)]
    raw = np.concatenate(parts) if parts else model.experts(x)
    model.laws = tuple(TailLaw.learn(column) for column in raw.T)
    return model, model.joined(raw)


def _from_mixed(x, memory, rng, seed, say) -> tuple[DetectorModel, np.ndarray]:
    say("ranking rows by suspicion", 0.0)
    order = rng.permutation(len(x))[:MOST_RANKED]
    some = x[order]
    suspect = suspicion(some, seed)
    trusted = some[suspect <= np.quantile(suspect, TRUSTED)]
    if memory:
        model = DetectorModel(x.shape[1], False, trusted[:MOST_STORED], [], scale=scale_of(trusted))
    else:
        nets = [_denoiser(trusted, seed, say, 0)]
        bag, linear = Bag.learn(some, seed), Linear.learn(some)
        model = DetectorModel(x.shape[1], False, x[:0], nets, bag=bag, linear=linear)
    say("calibrating", 0.9)
    raw = model.experts(some)
    model.laws = tuple(TailLaw.learn(column) for column in raw.T)
    return model, model.joined(raw)


def scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and size of each feature (F,); indicators of 0 and 1 count at most twice their size,
    so that a rare level is not by itself an anomaly."""
    indicator = ((x == 0) | (x == 1)).all(0)
    least = np.where(indicator, LEAST_INDICATOR, LEAST_SCALE)
    return x.mean(0), np.maximum(x.std(0), least).astype(x.dtype)


def by_blocks(x: np.ndarray, blocks: int = 4, first: int = 0, **how) -> np.ndarray:
    """Scores of rows in order, each by a detector that did not see its part of the series.

    Neighbouring windows of a series are nearly equal, so leaving out single rows says nothing.
    Rows before `first` have lost their order: they are learned from, and have no scores.
    """
    parts = np.array_split(np.arange(first, len(x)), max(1, min(blocks, (len(x) - first) // 2)))
    if len(parts) < 2 and not first:
        return learn(x, **how)[1]
    models = [learn(np.delete(x, part, 0), **how)[0] for part in parts]
    return np.concatenate([m.score(x[part]) for m, part in zip(models, parts, strict=True)])


def _denoiser(x: np.ndarray, seed: int, say: Progress, member: int) -> Denoiser:
    """One denoising network, fitted to rows (N, F)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Denoiser(x.shape[1])
    generator = torch.Generator().manual_seed(seed)

    def step(number: int, steps: int) -> None:
        say(f"training network {member + 1}", (member + number / steps) / MEMBERS * 0.9)

    net.train_on(as_tensor(standard(x)), generator, step)
    return net.eval()
