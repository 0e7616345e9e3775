"""Denoising and super-resolution of 28x28 pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import restoration_baselines as base
import torch
from restoration_records import Given, load, record

from lemari.degrade import downscale, upscale
from lemari.metrics.wiener import median
from lemari.sources import open_data
from lemari.tasks.restorer import ModelRestorer


def small_pictures(name: str, split: str, count: int | None) -> np.ndarray:
    """The first pictures of a set: (N, 1, 28, 28) float32 in [0, 1]."""
    source = open_data(name, split=split)
    return source.load(source.learn()).x[:count].astype(np.float32) / 255


def mean_psnr(clean: np.ndarray, made: np.ndarray) -> float:
    """The mean over pictures (N, ...) of PSNR in dB, after limiting to [0, 1]."""
    error = np.square(clean.astype(np.float64) - made.clip(0, 1)).reshape(len(clean), -1).mean(1)
    return float(np.mean(-10 * np.log10(error.clip(min=1e-12))))


def in_batches(restorer: ModelRestorer, y: np.ndarray, level: float | None) -> np.ndarray:
    """Restore (N, C, H, W), 500 at a time."""
    levels = None if level is None or not restorer.takes_level else torch.tensor([level])
    parts = [torch.from_numpy(y[i : i + 500]) for i in range(0, len(y), 500)]
    made = [restorer(p, None if levels is None else levels.expand(len(p))) for p in parts]
    return torch.cat(made).numpy()


def timed(name: str, clean: np.ndarray, make) -> dict:
    begin = time.perf_counter()
    made = make()
    seconds = time.perf_counter() - begin
    return {
        "name": name,
        "psnr": mean_psnr(clean, made),
        "ssim": None,
        "pictures": len(clean),
        "seconds": seconds,
    }


def spoilt(x: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(x.shape, np.float32)
    return (x + np.float32(sigma) * noise).clip(0, 1)


def small(given: Given) -> Iterator[dict]:
    """Denoise 28x28 pictures; noise of seed 0 on test pictures, of seed 1 on training pairs."""
    restorer = load(given.run)
    base.check_task({given.run: restorer}, "denoise")
    x = small_pictures(given.data, "test", given.rows)
    train = small_pictures(given.data, "train", None).reshape(-1, x[0].size)
    pairs = train[: base.FITTED]
    for sigma in given.noise:
        y = spoilt(x, sigma, given.seed)
        flat = y.reshape(len(y), -1)
        noisy_pairs = spoilt(pairs, sigma, given.seed + 1)
        fitted = base.fitted_filter(pairs, noisy_pairs)
        analytic = base.pca_filter(train, noisy_pairs.mean(0, dtype=np.float64), sigma)
        ways = {
            "noisy": lambda y=y: y,
            "median 3x3": lambda y=y: median(torch.from_numpy(y)).numpy(),
            "linear filter, fitted to pairs": lambda w=fitted, f=flat: w.restore(f).reshape(
                x.shape
            ),
            "PCA-Wiener": lambda w=analytic, f=flat: w.restore(f).reshape(x.shape),
            "Lemari": lambda y=y, s=sigma: in_batches(restorer, y, s),
        }
        rows = [timed(name, x, make) for name, make in ways.items()]
        yield record(given, given.run, given.data, sigma, rows, filter_pairs=len(pairs))


def small_sr(given: Given) -> Iterator[dict]:
    """28x28 from the means of 2x2 blocks."""
    restorer = load(given.run)
    base.check_task({given.run: restorer}, "upscale")
    x = small_pictures(given.data, "test", given.rows)
    low = downscale(torch.from_numpy(x), restorer.scale, "area")
    ways = {
        "bicubic": lambda: upscale(low, restorer.scale).numpy(),
        "Lemari": lambda: in_batches(restorer, low.numpy(), None),
    }
    rows = [timed(name, x, make) for name, make in ways.items()]
    yield record(given, given.run, given.data, restorer.scale, rows)
