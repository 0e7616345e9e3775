"""How well a model restores: degraded, restored and clean pictures of rows not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemari.corrupt import BlindSpot, Downscale
from lemari.degrade import upscale
from lemari.feed import Feed
from lemari.metrics.restoration import ssim
from lemari.metrics.wiener import WIDEST, Wiener, fit_wiener, median
from lemari.model import Autoencoder
from lemari.tasks.evaluate import Score
from lemari.train import mix, random_state
from lemari.types import Batch, View

BLOCK, MOST, MOST_SSIM, FITTED = 64, 2000, 200, 12_000
SMALLEST_SSIM = 11


@dataclass
class Mended:
    """Sums over the pictures of each way to restore, and a few pictures to look at."""

    psnr: dict[str, list[float]] = field(default_factory=dict)
    ssim: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[str, np.ndarray] = field(default_factory=dict)
    noisy: bool = False  # no clean pictures are known: scores are against the noisy ones


def degraded(
    model: Autoencoder, feed: Feed, seed: int, most: int = MOST
) -> Iterator[tuple[Batch, View, Tensor]]:
    """(batch, view, degraded at full size) of up to `most` rows.

    The degradation is drawn from the seed, so the same rows are always degraded alike.
    """
    for number, batch in enumerate(feed.batches(BLOCK, np.arange(min(most, len(feed))))):
        with random_state(mix(seed, number)):
            view = spoil(model, batch)
        low = view.x[:, : model.data.shape[0]]
        if low.shape[2:] != batch.x.shape[2:]:
            low = upscale(low, (batch.x.shape[2], batch.x.shape[3]))
        yield batch, view, low


@torch.no_grad()
def degraded_and_restored(
    model: Autoencoder, feed: Feed, seed: int, most: int = MOST
) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """(batch, degraded at full size, restored in [0, 1]) of up to `most` rows."""
    model.eval()
    for batch, view, low in degraded(model, feed, seed, most):
        c = model.condition(batch)
        q = model.encode(view, c)
        yield batch, low, model.decode(q.mean.unsqueeze(0), c).mean[0].clamp(0, 1)


def spoil(model: Autoencoder, batch: Batch):
    """The view to restore from; a model trained blind sees the noisy picture whole."""
    if isinstance(model.corrupt, BlindSpot):
        return model.corrupt.given(batch.x)
    return model.corrupt(batch)


def mend(model: Autoencoder, train: Feed, held: Feed, seed: int = 0) -> Mended:
    """PSNR and SSIM of each held-out picture, restored by the model and by the baselines."""
    first = "bicubic" if isinstance(model.corrupt, Downscale) else "degraded"
    blind = isinstance(model.corrupt, BlindSpot)
    wiener, found = linear(model, train, seed), Mended(noisy=blind)
    for batch, low, restored in degraded_and_restored(model, held, seed):
        ways = {"restored": restored, first: low.clamp(0, 1), "median": median(low).clamp(0, 1)}
        if blind:
            ways.pop(first)
        if first == "bicubic":
            ways.pop("median")
        if wiener:
            flat = wiener.restore(low.flatten(1).numpy()).reshape(batch.x.shape)
            ways["linear filter"] = torch.from_numpy(flat).float().clamp(0, 1)
        for name, made in ways.items():
            note(found, name, batch.x, made)
        if not found.shown:
            clean = {"noisy" if blind else "clean": batch.x}
            found.shown = {k: v[:10].numpy() for k, v in (ways | clean).items()}
    return found


def note(found: Mended, name: str, clean: Tensor, made: Tensor) -> None:
    """Add the scores of a batch of pictures."""
    error = (clean - made).double().square().flatten(1).mean(1).clamp(min=1e-12)
    found.psnr.setdefault(name, []).extend((-10 * error.log10()).tolist())
    kept = found.ssim.setdefault(name, [])
    if min(clean.shape[2:]) >= SMALLEST_SSIM:
        for a, b in zip(clean[: MOST_SSIM - len(kept)], made, strict=False):
            x, y = (np.moveaxis(p.double().numpy(), 0, -1) for p in (a, b))
            kept.append(ssim(x, y))


def linear(model: Autoencoder, train: Feed, seed: int) -> Wiener | None:
    """The best linear filter of training pairs, where pictures are small enough."""
    if model.data.size > WIDEST or len(train) < 2 * model.data.size:
        return None
    if isinstance(model.corrupt, BlindSpot):
        return None
    pairs = degraded(model, train, mix(seed, 1), FITTED)
    return fit_wiener((low.flatten(1).numpy(), b.x.flatten(1).numpy()) for b, _, low in pairs)


def scores(found: Mended, split: str) -> list[Score]:
    """PSNR and SSIM of the model, each beside its baselines; the mean over pictures.

    Against noisy pictures neither way is better: an exact copy would have removed nothing.
    """
    better, result = "" if found.noisy else "higher", []
    split += ", against the noisy pictures" if found.noisy else ""
    for name, values, unit in (("PSNR", found.psnr, "dB"), ("SSIM", found.ssim, "")):
        if not values.get("restored"):
            continue
        beside = tuple(
            {"name": way, "value": float(np.mean(v))}
            for way, v in values.items()
            if way != "restored"
        )
        mine = values["restored"]
        result.append(
            Score(f"restored {name}", float(np.mean(mine)), better, len(mine), split, beside, unit)
        )
    return result
