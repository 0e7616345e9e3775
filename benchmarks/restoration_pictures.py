"""Sheets of degraded, restored and clean pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import restoration_baselines as base
from PIL import Image, ImageDraw, ImageFont
from restoration_records import Given, lemari_ways, load
from restoration_sets import low_of

from lemari.errors import UsageError
from lemari.figures.style import INK, PAPER
from lemari.metrics.restoration import psnr, y_scores
from lemari.tasks.restorer import ModelRestorer


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
