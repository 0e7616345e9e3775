"""Restoration: networks beside the classic methods, on the same degraded pictures.

    python benchmarks/restoration.py small RUN --data fashion-mnist     28x28, three noise levels
    python benchmarks/restoration.py small-sr RUN --data mnist          14x14 to 28x28
    python benchmarks/restoration.py gray RUN --sets bsd68 set12        sigma 15, 25, 50 of 255
    python benchmarks/restoration.py color RUN                          Set5 and Set14, 25 and 50
    python benchmarks/restoration.py sr RUN... --sets set5 set14        by luma, as papers do
    python benchmarks/restoration.py blind-spot RUN --supervised RUN    trained without clean ones
    python benchmarks/restoration.py memory RUN                         24 megapixels
    python benchmarks/restoration.py speed RUN                          one picture, all methods
    python benchmarks/restoration.py pictures RUN... --out docs/pictures

A RUN is a run folder, or the name of a model that ships: gray-denoise, color-denoise, x2, x4. Noise
is drawn by numpy from seed + number of the picture, and restored pictures are limited to [0, 1]
before scoring; PSNR and SSIM are means over pictures. Results are merged into
benchmarks/results/restoration.json, one record for each job, set and level. Needs LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import json
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
import torch
from PIL import Image, ImageDraw, ImageFont

from lemari.degrade import downscale, upscale
from lemari.errors import LemariError, UsageError
from lemari.figures.style import INK, PAPER
from lemari.files import write_json
from lemari.machine import describe, installed
from lemari.metrics.restoration import psnr, ssim, y_scores
from lemari.metrics.wiener import median
from lemari.noise_level import estimate_noise
from lemari.sources import open_data
from lemari.tasks.restore import Channels, estimated
from lemari.tasks.restorer import ModelRestorer, built_in, restorer_of
from lemari.tasks.tiling import run_tiles

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


# ---- small pictures


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


# ---- denoising of whole pictures


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


# ---- super-resolution


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


# ---- memory and speed


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


# ---- pictures


def panel(x: np.ndarray, at: tuple[int, int], side: int, wide: int) -> Image.Image:
    """The picture `wide` pixels wide, and below it the crop at `at`, 4 times larger."""
    whole = Image.fromarray(np.rint(np.repeat(x, 3 // x.shape[2], 2).clip(0, 1) * 255).astype("u1"))
    top, left = at
    crop = whole.crop((left, top, left + side, top + side)).resize((wide, wide), 0)
    tall = round(wide * whole.height / whole.width)
    sheet = Image.new("RGB", (wide, tall + 8 + wide), PAPER)
    sheet.paste(whole.resize((wide, tall), Image.Resampling.LANCZOS), (0, 0))
    sheet.paste(crop, (0, tall + 8))
    return sheet


def busiest(x: np.ndarray, side: int) -> tuple[int, int]:
    """The top left corner of the square (side, side) in which the clean picture varies most."""
    corners = [
        (top, left)
        for top in range(0, x.shape[0] - side + 1, side // 2)
        for left in range(0, x.shape[1] - side + 1, side // 2)
    ]
    return max(corners, key=lambda c: x[c[0] : c[0] + side, c[1] : c[1] + side].std())


def sheet_of(shown: dict[str, np.ndarray], wide: int = 256, margin: int = 12) -> Image.Image:
    """Panels side by side, each with its name below; the last is the clean picture."""
    side = wide // 4
    at = busiest(list(shown.values())[-1], side)
    panels = {name: panel(x, at, side, wide) for name, x in shown.items()}
    tall = max(p.height for p in panels.values())
    width = len(panels) * (wide + margin) + margin
    sheet = Image.new("RGB", (width, tall + 2 * margin + 22), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (name, one) in enumerate(panels.items()):
        left = margin + number * (wide + margin)
        sheet.paste(one, (left, margin))
        pen.text((left, margin + tall + 6), name, fill=INK, font=font)
    return sheet


def examples(restorer: ModelRestorer, x: np.ndarray, given: Given) -> dict[str, np.ndarray]:
    """Degraded, a baseline, ours and clean, under the names to write below them."""
    if restorer.task == "upscale":
        s = restorer.scale
        x, low = low_of(x, s)
        made = {
            f"nearest x{s}": low.repeat(s, 0).repeat(s, 1),
            "bicubic": base.by_bicubic(low, s),
            "Lemari": base.through(restorer, low),
        }
        score = lambda y: y_scores(x, y, s)[0]  # noqa: E731
    else:
        level = given.sigma / 255
        y = base.noisy(x, level, given.seed)
        nlm = base.there("skimage", "scikit-image")
        made = {
            f"noisy, sigma {given.sigma:g}": y,
            "NLM" if nlm else "median 3x3": (base.by_nlm if nlm else base.by_median)(y, level),
            "Lemari": next(iter(lemari_ways(restorer).values()))(y, level),
        }
        score = lambda y: psnr(x, y.clip(0, 1))  # noqa: E731
    return {f"{k}: {score(y):.2f} dB": y for k, y in made.items()} | {"clean": x}


def draw(given: Given) -> Iterator[dict]:
    """One PNG a run. Pictures come from --picture SET/FILE, by default one not trained on."""
    for run in given.run:
        restorer = load(run)
        where = given.picture or DEFAULT_PICTURE[restorer.task, restorer.channels]
        data, _, file = where.partition("/")
        if (data, file) in base.NEVER_SHOWN:
            raise UsageError(f"{where} is not to be shown; choose another --picture.")
        found = dict(base.pictures(data))
        if file not in found:
            raise UsageError(f"There is no {where}; choose one of {', '.join(found)}.")
        x = found[file]
        if restorer.task == "denoise" and restorer.channels == 1:
            x = x.mean(2, keepdims=True)
        path = given.out / f"{given.name or 'restored-' + Path(run).name}.png"
        size = save_small(sheet_of(examples(restorer, x, given)), path)
        print(f"{path}: {where}, {size / 1024:.0f} KB")
    yield from ()


DEFAULT_PICTURE = {
    ("denoise", 1): "bsd68/test003.png",
    ("denoise", 3): "set5/set5_002.png",
    ("upscale", 1): "set5/set5_003.png",
    ("upscale", 3): "set5/set5_003.png",
}


def save_small(sheet: Image.Image, path: Path, most: int = 400_000) -> int:
    """Write a PNG, with fewer colours where it would be above `most` bytes; returns its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
    for colours in (256, 128, 64):
        if path.stat().st_size <= most:
            break
        sheet.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


# ---- the command


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


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = whole.add_subparsers(dest="job", required=True)

    def job(name: str, do, many: bool = False) -> argparse.ArgumentParser:
        one = jobs.add_parser(name)
        one.add_argument("run", nargs="+" if many else None)
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--threads", type=int, default=2)
        one.add_argument("--results", type=Path, default=RESULTS)
        one.set_defaults(do=do)
        return one

    on_small(job)
    on_sets(job)
    one = job("memory", memory)
    one.add_argument("--size", default="6000x4000")
    one = job("speed", speed)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--side", type=int, default=512)
    one.add_argument("--picture", default="10.png", help="a file of Set12")
    one.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    one = job("pictures", draw, many=True)
    one.add_argument("--out", type=Path, default=Path("docs/pictures"))
    one.add_argument("--name", help="name of the PNG, for one run; default: restored-RUN")
    one.add_argument("--picture", help="SET/FILE; default by the task")
    one.add_argument("--sigma", type=float, default=25)
    return whole


def on_small(job) -> None:
    """Add the jobs on 28x28 pictures."""
    for name, do in (("small", small), ("small-sr", small_sr)):
        one = job(name, do)
        one.add_argument("--data", choices=("fashion-mnist", "mnist"), default="fashion-mnist")
        one.add_argument("--rows", type=int, default=ALL_ROWS)
        if name == "small":
            one.add_argument("--noise", type=float, nargs="+", default=[0.1, 0.3, 0.5])


def on_sets(job) -> None:
    """Add the jobs on sets of whole pictures."""
    for name, sets, sigmas in (
        ("gray", ["bsd68", "set12"], [15, 25, 50]),
        ("color", ["set5", "set14"], [25, 50]),
        ("blind-spot", ["bsd68", "set12"], [25]),
        ("sr", ["set5", "set14"], None),
    ):
        one = job(name, denoising if sigmas else super_resolution, many=not sigmas)
        one.add_argument("--sets", nargs="+", choices=base.SETS, default=sets)
        one.add_argument("--first", type=int, help="only so many pictures of each set")
        if sigmas:
            one.add_argument("--sigmas", type=float, nargs="+", default=sigmas)
            one.add_argument("--bm3d", type=int, default=0, help="BM3D on so many pictures")
        if name == "blind-spot":
            one.add_argument("--supervised", help="a run trained with clean pictures")


def main() -> None:
    given = parser().parse_args()
    torch.set_num_threads(given.threads)
    packages = {name: installed(name) for name in ("scikit-image", "bm3d")}
    begin = time.perf_counter()
    try:
        for found in given.do(given):
            found["whole_seconds"] = time.perf_counter() - begin
            found["machine"] = describe() | {"baselines": packages}
            show(found)
            keep(found, given.results)
            begin = time.perf_counter()
    except LemariError as fault:
        raise SystemExit(f"error: {fault}") from None


if __name__ == "__main__":
    main()
