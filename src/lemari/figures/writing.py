"""Pictures to files: whole or not at all, and the same bytes for the same picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from lemari.figures.sheet import as_rgb, resized
from lemari.figures.style import DPI, style
from lemari.files import write

_LEAST_GIF_SIDE = 224


def save(figure: Figure, path: Path | str, dpi: float = DPI) -> Path:
    """Write a figure as PNG and release it; the same figure gives the same bytes."""
    content = io.BytesIO()
    with style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    figure.clear()
    return write(Path(path), content.getvalue())


def save_gif(
    images: np.ndarray, path: Path | str, seconds: float = 2.0, scale: int | None = None
) -> Path:
    """Write pictures as an endless GIF that runs there and back.

    Shapes: images (T, H, W, C) in [0, 1]. `seconds` is the way from first to last picture;
    `scale` enlarges by a whole number (by default until the longer side is over 200 pixels).
    """
    pictures = as_rgb(images)
    height, width = pictures.shape[1:3]
    scale = scale or max(1, _LEAST_GIF_SIDE // max(height, width))
    frames = [_frame(resized(p, width * scale, height * scale)) for p in pictures]
    loop = frames + frames[-2:0:-1]
    pause = max(20, 10 * round(100 * seconds / max(1, len(frames) - 1)))
    content = io.BytesIO()
    loop[0].save(
        content, "GIF", save_all=True, append_images=loop[1:], duration=pause, loop=0, disposal=1
    )
    return write(Path(path), content.getvalue())


def _frame(picture: np.ndarray) -> Image.Image:
    pixels = np.round(picture * 255).astype(np.uint8)
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        return Image.fromarray(pixels[..., 0])
    return Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE)
