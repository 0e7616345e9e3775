"""How well a model restores: degraded, restored and clean pictures of rows not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lemari.corrupt import BlindSpot, Downscale, Missing
from lemari.degrade import fill_holes, upscale
from lemari.feed import Feed
from lemari.metrics.restoration import ssim
from lemari.metrics.wiener import WIDEST, Wiener, fit_wiener, median
from lemari.model import Autoencoder
from lemari.starting import mix, random_state
from lemari.tasks.evaluate import Score
from lemari.types import Batch, View

BLOCK, MOST, MOST_SSIM, FITTED = 64, 2000, 200, 12_000
SMALLEST_SSIM = 11


@dataclass
class Mended:
    """Sums over the pictures of each way to restore, and a few pictures to look at."""

    psnr: dict[str, list[float]] = field(default_factory=dict)
    ssim: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[str, np.ndarray] = field(default_factory=dict)
    noisy: bool = False  # no clean pictures are known: hidden pixels are compared


def degraded(
    model: Autoencoder, feed: Feed, seed: int, most: int = MOST
) -> Iterator[tuple[Batch, View, Tensor]]:
    """(batch, view, degraded at full size) of up to `most` rows.

    The degradation is drawn from the seed, so the same rows are always degraded alike.
    """
    for number, batch in enumerate(feed.batches(BLOCK, np.arange(min(most, len(feed))))):
        with random_state(mix(seed, number)):
            view = model.corrupt(batch)
        low = view.x[:, : model.data.shape[0]]
        if low.shape[2:] != batch.x.shape[2:]:
            low = upscale(low, (batch.x.shape[2], batch.x.shape[3]))
        yield batch, view, low


@torch.no_grad()
def everything(
    model: Autoencoder, feed: Feed, seed: int, most: int = MOST
) -> Iterator[tuple[Batch, View, Tensor, Tensor]]:
    """(batch, view, degraded at full size, restored in [0, 1]) of up to `most` rows."""
    model.eval()
    for batch, view, low in degraded(model, feed, seed, most):
        c = model.condition(batch)
        q = model.encode(view, c)
        made = model.decode(q.mean.unsqueeze(0), c).mean[0].clamp(0, 1)
        yield batch, view, low, made if view.seen is None else torch.where(view.seen > 0, low, made)


def degraded_and_restored(
    model: Autoencoder, feed: Feed, seed: int, most: int = MOST
) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """(batch, degraded, restored): pixels that are not missing are kept, as `restore` does it."""
    for batch, _, low, made in everything(model, feed, seed, most):
        yield batch, low, made


def mend(model: Autoencoder, train: Feed, held: Feed, seed: int = 0) -> Mended:
    """PSNR and SSIM of each held-out picture, restored by the model and by the baselines."""
    wiener = linear(model, train, seed)
    found = Mended(noisy=isinstance(model.corrupt, BlindSpot))
    for batch, view, low, restored in everything(model, held, seed):
        ways = {"restored": restored, **baselines(model, view, low)}
        if wiener:
            flat = wiener.restore(low.flatten(1).numpy()).reshape(batch.x.shape)
            ways["linear filter"] = torch.from_numpy(flat).float()
        if view.seen is not None:  # as the model does, all keep what is not missing
            ways = {k: torch.where(view.seen > 0, low, made) for k, made in ways.items()}
        ways = {k: made.clamp(0, 1) for k, made in ways.items()}
        for name, made in ways.items():
            note(found, name, batch.x, made, view.seen if found.noisy else None)
        if not found.shown:
            found.shown = examples(model, batch, ways, found.noisy)
    return found


def baselines(model: Autoencoder, view: View, low: Tensor) -> dict[str, Tensor]:
    """What needs no training: the degraded picture, and a simple filter of it."""
    if isinstance(model.corrupt, Downscale):
        return {"bicubic": low}
    if isinstance(model.corrupt, Missing) and view.seen is not None:
        holes = torch.where(view.seen > 0, low, model.corrupt.fill)
        return {"degraded": holes, "mean of neighbours": fill_holes(low, view.seen)}
    return {"degraded": low, "median": median(low)}


@torch.no_grad()
def examples(model: Autoencoder, batch: Batch, ways: dict[str, Tensor], noisy: bool) -> dict:
    """Ten pictures of each way, the truth first and the model's last.

    A model trained on noisy pictures is shown restoring them whole; the truth is not known.
    """
    first = Batch(batch.x[:10])
    rows = {"clean": first.x, **ways}
    rows["restored"] = rows.pop("restored")
    if noisy:
        c = model.condition(first)
        q = model.encode(model.corrupt.given(first.x), c)
        made = model.decode(q.mean.unsqueeze(0), c).mean[0].clamp(0, 1)
        rows = {"noisy": first.x, "restored": made}
    return {name: made[:10].numpy() for name, made in rows.items()}


def note(found: Mended, name: str, clean: Tensor, made: Tensor, seen: Tensor | None) -> None:
    """Add the scores of a batch of pictures; of the unseen pixels alone where `seen` is given."""
    squares = (clean - made).double().square()
    if seen is None:
        error = squares.flatten(1).mean(1)
    else:
        hidden = (1 - seen).double().expand_as(squares)
        error = (squares * hidden).flatten(1).sum(1) / hidden.flatten(1).sum(1).clamp(min=1)
    found.psnr.setdefault(name, []).extend((-10 * error.clamp(min=1e-12).log10()).tolist())
    kept = found.ssim.setdefault(name, [])
    if seen is None and min(clean.shape[2:]) >= SMALLEST_SSIM:
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

    Where only noisy pictures are known, it is the PSNR of pixels that the model was not shown,
    against their noisy values: the noise bounds it, and an identity cannot reach it.
    """
    what, result = "hidden-pixel" if found.noisy else "restored", []
    split += ", against the noisy pictures" if found.noisy else ""
    for name, values, unit in (("PSNR", found.psnr, "dB"), ("SSIM", found.ssim, "")):
        mine = values.get("restored")
        if not mine:
            continue
        beside = tuple(
            {"name": way, "value": float(np.mean(v))}
            for way, v in values.items()
            if way != "restored" and v
        )
        mean = float(np.mean(mine))
        result.append(Score(f"{what} {name}", mean, "higher", len(mine), split, beside, unit))
    return result
