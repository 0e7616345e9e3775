"""Denoising and super-resolution of whole pictures, set by set."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import restoration_baselines as base
from restoration_records import Given, Tally, lemari_ways, load, record, scored

from lemari.degrade import downscale
from lemari.metrics.restoration import y_scores


def denoise(given: Given, data: str, sigma: float, ways: dict[str, base.Method]) -> Tally:
    """Every method on every picture of a set, with the same noise; BM3D on the first few."""
    tally, level, slow = Tally(), sigma / 255, getattr(given, "bm3d", 0) or 0
    last = list(ways)[-1]
    bm3d = slow and base.there("bm3d", "bm3d")
    for index, (_, x) in enumerate(base.pictures(data, given.first)):
        y = base.noisy(x, level, given.seed + index)
        todo = ways | ({"BM3D, sigma told": base.by_bm3d} if bm3d and index < slow else {})
        for name, way in todo.items():
            begin = time.perf_counter()
            made = way(y, level)
            seconds = time.perf_counter() - begin
            scores = scored(x, made)
            tally.add(name, scores, seconds)
            if name == last and bm3d and index < slow:
                tally.add(f"{last}, on BM3D's pictures", scores, seconds)
    return tally


def denoising(given: Given) -> Iterator[dict]:
    """Jobs gray, color and blind-spot."""
    restorer = load(given.run)
    base.check_task({given.run: restorer}, "denoise")
    ways = base.classic() | lemari_ways(restorer)
    if getattr(given, "supervised", None):
        ways |= lemari_ways(load(given.supervised), "Lemari, with clean pictures")
    for data in given.sets:
        for sigma in given.sigmas:
            tally = denoise(given, data, sigma, ways)
            yield record(given, given.run, data, sigma, tally.rows())


def low_of(x: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """(x cut to multiples of the scale, the bicubic small one in 8 bits): (H, W, C) in [0, 1]."""
    x = x[: x.shape[0] // scale * scale, : x.shape[1] // scale * scale]
    low = base.to_array(downscale(base.to_tensor(x), scale)).clip(0, 1)
    return x, np.round(low * 255) / 255


def super_resolution(given: Given) -> Iterator[dict]:
    """Luma (BT.601, 8 bits) without `scale` pixels at the edges, as the papers score."""
    for run in given.run:
        restorer = load(run)
        base.check_task({run: restorer}, "upscale")
        scale = restorer.scale
        ways = {
            "bicubic": lambda low, s=scale: base.by_bicubic(low, s),
            "Lemari": lambda low, r=restorer: base.through(r, low),
            "Lemari, 8 views": lambda low, r=restorer: base.through(r, low, best=True),
        }
        for data in given.sets:
            tally = Tally()
            for _, picture in base.pictures(data, given.first):
                x, low = low_of(picture, scale)
                for name, way in ways.items():
                    begin = time.perf_counter()
                    made = way(low)
                    seconds = time.perf_counter() - begin
                    tally.add(name, y_scores(x, made, scale), seconds)
            yield record(given, run, data, scale, tally.rows())
