"""Rows and grids of pictures: reconstructions, samples, morphs, traversals, feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lemari.figures.sheet import GAP, Sheet, as_rgb, fitted
from lemari.figures.style import ACCENT, DPI, FAINT, MUTED, PAD, counted, drawn, number, shorten

_FULL = round(10 * DPI)
_EDGE = round(PAD * DPI)
_LINE = 20
_CELL = 150
_LEAST = 720
_MAPS = 64


@drawn
def reconstruction_strip(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    titles: Sequence[str] | None = None,
    baseline: np.ndarray | None = None,
    baseline_name: str = "PCA",
) -> Figure:
    """Originals above their reconstructions, with the error of each, and a baseline below.

    Shapes: originals, reconstructions, baseline (N, H, W, C) in [0, 1]; the first ten are drawn.
    """
    rows = {"original": originals, "reconstruction": reconstructions}
    if baseline is not None:
        rows[shorten(baseline_name, 16)] = baseline
    return _strip(rows, "Reconstructions", titles)


@drawn
def restoration_strip(rows: Mapping[str, np.ndarray]) -> Figure:
    """Clean pictures above degraded and restored ones, each with its error.

    Shapes: every row (N, H, W, C) in [0, 1], the clean one first; the first ten are drawn.
    """
    return _strip(rows, "Restored pictures", None)


def _strip(given: Mapping[str, np.ndarray], title: str, titles: Sequence[str] | None) -> Figure:
    """Rows of pictures, the first the truth of the others."""
    count = min(10, *(len(images) for images in given.values()))
    rows = [(name, np.asarray(images, np.float32)[:count]) for name, images in given.items()]
    size = _cell(rows[0][1], count, _FULL - 2 * _EDGE - 150)
    pitch, text, tall = _pitch(size, 92), 2 * _LINE + 10, max(size[1], 26)
    body = len(rows) * (tall + text) + (_LINE if titles else 0) - 2 * _LINE + 12
    width = max(_LEAST, 2 * _EDGE + 150 + count * pitch)
    sheet = Sheet(width, body, title, _strip_note(rows))
    y = sheet.top + (_LINE if titles else 0)
    for column in range(count if titles else 0):
        x = _EDGE + 150 + column * pitch
        sheet.write(x, y - 8, shorten(titles[column], max(4, pitch // 9)), weight="bold", size=6.5)  # pyright: ignore[reportOptionalSubscript]
    for row, (name, images) in enumerate(rows):
        sheet.write(_EDGE, y + size[1] / 2, fill(name, 20), va="center", size=8)
        errors = None if row == 0 else _errors(rows[0][1], images)
        _row(sheet, as_rgb(images), (_EDGE + 150, y), pitch, size, errors)
        y += tall + (GAP if row == 0 else text)
    return sheet.figure()


def _row(
    sheet: Sheet,
    pictures: np.ndarray,
    at: tuple[int, int],
    pitch: int,
    size: tuple[int, int],
    words: Sequence[str] | None = None,
) -> None:
    for column, picture in enumerate(pictures):
        x = at[0] + column * pitch
        sheet.paste(picture, x, at[1], size)
        if words is not None:
            y = at[1] + size[1] + 6
            sheet.write(x, y, words[column], va="top", size=6.5, color=MUTED, linespacing=1.2)


def _errors(originals: np.ndarray, others: np.ndarray) -> list[str]:
    mse = ((originals - others) ** 2).reshape(len(originals), -1).mean(axis=1)
    return [f"MSE {number(float(m))}\n{_psnr(float(m))}" for m in mse]


def _psnr(mse: float) -> str:
    if not np.isfinite(mse):
        return "–"
    return "exact" if mse <= 0 else f"{-10 * np.log10(mse):.1f} dB"


def _strip_note(rows: list[tuple[str, np.ndarray]]) -> str:
    original = rows[0][1]
    means = [
        f"{name} {number(float(np.mean((original - images) ** 2)))}" for name, images in rows[1:]
    ]
    many = "one example" if len(original) == 1 else f"these {len(original)} examples"
    return f"Mean squared error over {many}: {', '.join(means)}. PSNR in dB, higher is better."


def _cell(images: np.ndarray, columns: int, room: int, most: int = _CELL) -> tuple[int, int]:
    height, width = images.shape[-3:-1]
    return fitted(height, width, min(most, room // max(1, columns) - GAP), most)


def _pitch(size: tuple[int, int], least: int = 0) -> int:
    return max(size[0] + GAP, least)


@drawn
def sample_grid(images: np.ndarray, rows: int = 3, columns: int = 10) -> Figure:
    """Generated pictures on a grid. Shapes: images (N, H, W, C) in [0, 1]."""
    pictures = as_rgb(images)[: rows * columns]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = _cell(pictures, columns, _FULL - 2 * _EDGE)
    width = max(_LEAST // 2, 2 * _EDGE + columns * _pitch(size))
    note = f"{counted(len(pictures), 'picture')} decoded from random codes."
    sheet = Sheet(width, rows * (size[1] + GAP) + _EDGE, "Generated pictures", note)
    for row in range(rows):
        y = sheet.top + row * (size[1] + GAP)
        part = pictures[row * columns : (row + 1) * columns]
        _row(sheet, part, (_EDGE, y), _pitch(size), size)
    return sheet.figure()


@drawn
def morph_strip(images: np.ndarray, endpoints: np.ndarray | None = None) -> Figure:
    """The way from one picture to another through the latent space, left to right.

    Shapes: images (T, H, W, C); endpoints (2, H, W, C), the two true pictures, framed.
    """
    pictures = list(as_rgb(images))
    share = np.linspace(0, 1, len(pictures)) if len(pictures) > 1 else [0.0]
    words = [f"{s:.2f}" for s in share]
    if endpoints is not None:
        ends = as_rgb(endpoints)
        pictures, words = [ends[0], *pictures, ends[-1]], ["from", *words, "to"]
    columns = len(pictures) if len(pictures) <= 12 else 10
    size = _cell(pictures[0][None], columns, _FULL - 2 * _EDGE, 180)
    pitch, rows = _pitch(size, 46), -(-len(pictures) // columns)
    step = size[1] + _LINE + 14
    note = "Decoded at equal steps between two codes; the number is the share of the way."
    note += " Framed: the two true pictures." if endpoints is not None else ""
    width = max(_LEAST, 2 * _EDGE + columns * pitch)
    sheet = Sheet(width, rows * step + 6, "From one picture to another", note)
    for row in range(rows):
        at, y = slice(row * columns, (row + 1) * columns), sheet.top + row * step
        _row(sheet, pictures[at], (_EDGE, y), pitch, size, words[at])  # pyright: ignore[reportArgumentType]
    if endpoints is not None:
        last = len(pictures) - 1
        sheet.frame(_EDGE, sheet.top, size, ACCENT)
        x, y = _EDGE + last % columns * pitch, sheet.top + last // columns * step
        sheet.frame(x, y, size, ACCENT)
    return sheet.figure()


@drawn
def traversal(images: np.ndarray, values: Sequence[float], names: Sequence[str] = ()) -> Figure:
    """What each latent dimension does: one row a dimension, moved from low to high.

    Shapes: images (D, S, H, W, C), values (S,) of the moved dimension, names D of them.
    """
    pictures = as_rgb(images)[:, :15]
    rows, columns = pictures.shape[:2]
    side = _CELL if rows <= 12 else 72
    size = _cell(pictures[0], columns, _FULL - 2 * _EDGE - 110, side)
    pitch = _pitch(size, 46)
    note = "Each row moves one dimension of the code and leaves the others where they were."
    width = max(_LEAST, 2 * _EDGE + 110 + columns * pitch)
    sheet = Sheet(width, rows * (size[1] + GAP) + _LINE + _EDGE, "Latent traversal", note)
    y = sheet.top + _LINE
    for column, value in enumerate(list(values)[:columns]):
        x = _EDGE + 110 + column * pitch + size[0] / 2
        sheet.write(x, y - 8, _signed(value), ha="center", color=MUTED)
    for row in range(rows):
        name = shorten(names[row], 13) if row < len(names) else f"z{row}"
        sheet.write(_EDGE, y + size[1] / 2, name, va="center", size=8 if size[1] > 24 else 6)
        _row(sheet, pictures[row], (_EDGE + 110, y), pitch, size)
        y += size[1] + GAP
    return sheet.figure()


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−") if abs(value) >= 0.05 else "0"


@drawn
def feature_maps(maps: np.ndarray, image: np.ndarray) -> Figure:
    """The feature maps of a convolutional code beside the picture that made them.

    Shapes: maps (C, h, w), any values; image (H, W, C) in [0, 1]. Up to 64 maps are drawn.
    """
    values = np.nan_to_num(np.asarray(maps, float))
    shown = values[:_MAPS]
    columns = min(len(shown), 8 if len(shown) <= 32 else 11)
    rows = -(-len(shown) // columns)
    source = as_rgb(image)
    large = _cell(source[None], 1, 320, 300)
    left = _EDGE + large[0] + 48
    size = _cell(shown[..., None], columns, _FULL - left - _EDGE, 128)
    step = size[1] + _LINE + 8
    many = f"the first {_MAPS} of {len(values)}" if len(values) > _MAPS else f"all {len(values)}"
    flat = int((np.ptp(values.reshape(len(values), -1), axis=1) <= 1e-12).sum())
    note = f"Input, then {many} maps of {maps.shape[1]} × {maps.shape[2]}, each on its own scale"
    note += f"; {flat} of them flat (grey)." if flat else "."
    width = max(_LEAST, left + columns * _pitch(size, 40) + _EDGE)
    sheet = Sheet(width, max(large[1] + _LINE, rows * step) + 24, "Feature maps of the code", note)
    _row(sheet, source[None], (_EDGE, sheet.top), 0, large, ["input"])
    for row in range(rows):
        part = range(row * columns, min(len(shown), (row + 1) * columns))
        pictures = np.stack([_coloured(shown[i]) for i in part])
        at = (left, sheet.top + row * step)
        _row(sheet, pictures, at, _pitch(size, 40), size, [str(i) for i in part])
    return sheet.figure()


def _coloured(values: np.ndarray) -> np.ndarray:
    low, spread = values.min(), np.ptp(values)
    if spread <= 1e-12:
        return np.broadcast_to(np.array(matplotlib.colors.to_rgb(FAINT)), (*values.shape, 3))  # pyright: ignore[reportAttributeAccessIssue]
    return matplotlib.colormaps["cividis"]((values - low) / spread)[..., :3].astype(np.float32)


@drawn
def heat_strip(images: np.ndarray, heats: np.ndarray, titles: Sequence[str]) -> Figure:
    """Pictures above the map of where each is unusual, all maps on one scale.

    Shapes: images (N, H, W, C) in [0, 1], heats (N, H, W), at least 0; titles N. Ten are drawn.
    """
    pictures, maps = as_rgb(images)[:10], np.nan_to_num(np.asarray(heats, float))[:10]
    size = _cell(pictures, len(pictures), _FULL - 2 * _EDGE - 100)
    top = max(float(np.quantile(maps, 0.999)), 1e-12)
    hot = matplotlib.colormaps["inferno"](np.clip(maps / top, 0, 1))[..., :3].astype(np.float32)
    pitch, tall = _pitch(size, 64), max(size[1], 26)
    note = f"The {len(pictures)} with the highest scores; below, bright where unlike normal ones."
    width = max(_LEAST, 2 * _EDGE + 100 + len(pictures) * pitch)
    sheet = Sheet(width, 2 * tall + 3 * _LINE + 8, "The most unusual pictures", note)
    sheet.write(_EDGE, sheet.top + size[1] / 2, "picture", va="center", size=8)
    y = sheet.top + tall + 2 * _LINE
    sheet.write(_EDGE, y + size[1] / 2, "where", va="center", size=8)
    words = [f"score {title}" for title in titles]
    _row(sheet, pictures, (_EDGE + 100, sheet.top), pitch, size, words)
    _row(sheet, hot, (_EDGE + 100, y), pitch, size)
    return sheet.figure()
