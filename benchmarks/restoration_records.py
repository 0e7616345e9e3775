"""What the restoration benchmarks share: runs, scores of each method, and records."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import restoration_baselines as base

from lemari.files import write_json
from lemari.metrics.restoration import psnr, ssim
from lemari.noise_level import estimate_noise
from lemari.tasks.restorer import ModelRestorer, built_in, restorer_of

RESULTS = Path(__file__).parent / "results" / "restoration.json"


ALL_ROWS = 10_000  # test pictures of Fashion-MNIST and of MNIST


Given = argparse.Namespace


def load(run: str) -> ModelRestorer:
    """A run folder, or a model that comes with the package."""
    return restorer_of(run) if Path(run).exists() else built_in(run)


class Tally:
    """Scores of each method, one value a picture, and the seconds it took."""

    def __init__(self) -> None:
        self.psnr: dict[str, list[float]] = defaultdict(list)
        self.ssim: dict[str, list[float]] = defaultdict(list)
        self.seconds: dict[str, float] = defaultdict(float)

    def add(self, name: str, scores: tuple[float, float], seconds: float) -> None:
        self.psnr[name].append(scores[0])
        self.ssim[name].append(scores[1])
        self.seconds[name] += seconds

    def rows(self) -> list[dict]:
        return [
            {
                "name": name,
                "psnr": float(np.mean(values)),
                "ssim": float(np.mean(self.ssim[name])) if self.ssim[name] else None,
                "pictures": len(values),
                "seconds": self.seconds[name],
            }
            for name, values in self.psnr.items()
        ]


def record(given: Given, run: str, data: str, level: float, rows: list[dict], **more) -> dict:
    """What is kept of one job on one set at one level; `level` is sigma or the scale."""
    first = getattr(given, "first", None)
    if getattr(given, "rows", ALL_ROWS) < ALL_ROWS:
        first = given.rows
    key = ("gray" if given.job == "blind-spot" else given.job, data, level)
    return {
        "job": given.job,
        "run": Path(run).name,
        "data": data if first is None else f"{data}, first {first}",
        "level": level,
        "rows": rows,
        "published": {} if first else base.PUBLISHED.get(key, {}),
        "references": {} if first else base.REFERENCES.get(key, {}),
        "seed": given.seed,
        "threads": given.threads,
        **more,
    }


def scored(x: np.ndarray, made: np.ndarray) -> tuple[float, float]:
    made = made.clip(0, 1)
    return psnr(x, made), ssim(x, made)


def blind_level(y: np.ndarray) -> float:
    return float(np.clip(estimate_noise(y[..., 0] if y.shape[2] == 1 else y), 0, 1))


def lemari_ways(restorer: ModelRestorer, name: str = "Lemari") -> dict[str, base.Method]:
    """(y, sigma) -> estimate: with the noise estimated from y, and told; or neither."""
    if not restorer.takes_level:
        return {name: lambda y, sigma: on_own_scale(restorer, y)}
    return {
        f"{name}, noise estimated": lambda y, sigma: base.through(restorer, y, blind_level(y)),
        f"{name}, sigma told": lambda y, sigma: base.through(restorer, y, sigma),
    }


def on_own_scale(restorer: ModelRestorer, y: np.ndarray) -> np.ndarray:
    """Through a network whose training values reach beyond 0 to 1, as unclipped noise does."""
    fmt = restorer.fitted.format
    low, span = (0.0, 1.0) if fmt.levels else (fmt.low, fmt.high - fmt.low)  # pyright: ignore
    return base.through(restorer, (y - low) / span) * span + low


def keep(found: dict, path: Path) -> None:
    """Add a record, in place of an older one of the same job, run, data and level."""
    same = ("job", "run", "data", "level")
    kept = json.loads(path.read_text()) if path.exists() else []
    kept = [r for r in kept if any(r[k] != found[k] for k in same)]
    write_json(path, [*kept, found])


def show(found: dict) -> None:
    """A compact table of one record."""
    print(f"{found['job']}  {found['data']}  level {found['level']:g}  run {found['run']}")
    for row in found.get("rows", ()):
        extra = "" if row["ssim"] is None else f"  {row['ssim']:.4f}"
        print(f"  {row['name']:40} {row['psnr']:6.2f} dB{extra}  {row['seconds']:.2f} s", end="")
        print(f"  ({row['pictures']:,})", flush=True)
    for kind in ("published", "references"):
        for name, value in found.get(kind, {}).items():
            print(f"  {name + ' (' + kind + ')':40} {value:6.2f} dB")
    if "peak_resident_bytes" in found:
        print(
            f"  peak {found['peak_resident_bytes'] / 2**20:,.0f} MiB, {found['seconds']:.0f} s, "
            f"tiled differs by {found['tiled_difference']:.4f} of 255"
        )
