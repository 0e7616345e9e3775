"""Memory of 24 megapixels, and seconds beside the classic methods."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import restoration_baselines as base
from PIL import Image
from restoration_records import Given, load, record, scored

from lemari.tasks.restore import Channels, estimated
from lemari.tasks.restorer import ModelRestorer
from lemari.tasks.tiling import run_tiles


def large_picture(width: int, height: int, side: int = 500) -> np.ndarray:
    """Kodak photographs side by side, every other one mirrored: (H, W, 3) uint8."""
    kodak = [np.round(x[:side, :side] * 255).astype(np.uint8) for _, x in base.pictures("kodak24")]
    rows = []
    for i in range(-(-height // side)):
        parts = []
        for j in range(-(-width // side)):
            turn = np.s_[:: 1 - 2 * (i % 2), :: 1 - 2 * (j % 2)]
            parts.append(kodak[(i * 7 + j) % len(kodak)][turn])
        rows.append(np.concatenate(parts, 1))
    return np.concatenate(rows)[:height, :width]


def tiled_difference(restorer: ModelRestorer, x: np.ndarray, side: int = 1024) -> float:
    """The largest difference in 1/255 between tiles and the whole at once; x (H, W, 3) uint8."""
    part = x[:side, :side].astype(np.uint16) * 257
    level = 0.1 if restorer.takes_level else None
    net = Channels(restorer)
    whole, tiles = (
        run_tiles(net, part, level, tile=tile, batch=1).pixels
        for tile in (side, min(256, side // 2))
    )
    return float(np.abs(whole.astype(np.int64) - tiles).max() / 257)


def memory(given: Given) -> Iterator[dict]:
    """Peak resident memory of `lemari restore` as a process of its own."""
    width, height = map(int, given.size.split("x"))
    x = large_picture(width, height)
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "large.png"
        Image.fromarray(x).save(file, compress_level=1)
        command = [str(Path(sys.executable).parent / "lemari"), "restore"]
        command += [given.run] if Path(given.run).exists() else ["--model", given.run]
        command += [str(file), "-o", f"{scratch}/out", "--no-page", "--threads", str(given.threads)]
        begin = time.perf_counter()
        subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    restorer = load(given.run)
    yield {
        "job": "memory",
        "run": Path(given.run).name,
        "data": f"{width}x{height} RGB",
        "level": restorer.scale,
        "peak_resident_bytes": peak,
        "seconds": seconds,
        "tiled_difference": tiled_difference(restorer, x),
        "seed": given.seed,
        "threads": given.threads,
    }


def speed_ways(given: Given, restorer: ModelRestorer) -> dict[str, base.Method]:
    """(y, sigma) -> estimate of noisy pictures in 8 bits."""

    def ours(y: np.ndarray, sigma: float) -> np.ndarray:
        pixels = np.rint(y * 255).astype(np.uint8)
        level = estimated(pixels) if restorer.takes_level else None
        return run_tiles(Channels(restorer), pixels, level).pixels / 255

    ways: dict[str, base.Method] = {"Lemari, noise estimated": ours}
    if base.there("skimage", "scikit-image"):
        ways["NLM, fast mode"] = base.by_nlm
        ways["NLM, slow mode"] = lambda y, sigma: base.by_nlm(y, sigma, fast=False)
    if base.there("bm3d", "bm3d"):
        ways["BM3D"] = base.by_bm3d
    return {k: v for k, v in ways.items() if k not in given.without}


def speed(given: Given) -> Iterator[dict]:
    """One picture at sigma 25, methods in turn, after one unmeasured turn each."""
    restorer = load(given.run)
    base.check_task({given.run: restorer}, "denoise")
    x = dict(base.pictures("set12"))[given.picture][: given.side, : given.side]
    y = np.round(base.noisy(x, 25 / 255, given.seed).clip(0, 1) * 255) / 255
    ways, seconds, scores = speed_ways(given, restorer), defaultdict(list), {}
    for turn in range(given.rounds + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            made = way(y, 25 / 255)
            if turn:
                seconds[name].append(time.perf_counter() - begin)
            scores[name] = scored(x, made)
    rows = [
        {
            "name": name,
            "psnr": scores[name][0],
            "ssim": scores[name][1],
            "pictures": 1,
            "seconds": statistics.median(taken),
            "least": min(taken),
            "most": max(taken),
        }
        for name, taken in seconds.items()
    ]
    size = f"{x.shape[1]}x{x.shape[0]} gray"
    yield record(given, given.run, size, 25, rows, rounds=given.rounds)
