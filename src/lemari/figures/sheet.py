"""A page measured in pixels, onto which pictures are pasted exactly and words are set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from lemari.errors import DataError
from lemari.figures.style import DPI, INK, PAPER, head_lines, quiet, write_head

GAP = 8
_LIGHT, _DARK = 1.0, 0.86


def as_rgb(images: np.ndarray) -> np.ndarray:
    """Pictures of any kind as red, green, blue; alpha is laid over a light checkerboard.

    Shapes: images (..., H, W, C) with C 1 (grey), 3 (colour) or 4 (colour and alpha), in [0, 1]
    -> (..., H, W, 3). Values outside are clipped, values that are no numbers become 0.
    """
    pictures = np.asarray(images, dtype=np.float32)
    if pictures.ndim < 3 or 0 in pictures.shape or pictures.shape[-1] not in (1, 3, 4):
        raise DataError(
            f"Pictures of shape {pictures.shape} cannot be drawn. Give at least one as "
            "(height, width, channels) with 1, 3 or 4 channels."
        )
    pictures = np.clip(np.nan_to_num(pictures, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    if pictures.shape[-1] == 1:
        return np.repeat(pictures, 3, axis=-1)
    if pictures.shape[-1] == 3:
        return pictures
    colour, alpha = pictures[..., :3], pictures[..., 3:]
    return colour * alpha + _checkerboard(*pictures.shape[-3:-1]) * (1 - alpha)


def _checkerboard(height: int, width: int) -> np.ndarray:
    step = max(2, min(height, width) // 8)
    rows, columns = np.arange(height) // step, np.arange(width) // step
    odd = (rows[:, None] + columns[None, :]) % 2
    return np.where(odd, _DARK, _LIGHT).astype(np.float32)[..., None]


def fitted(height: int, width: int, room_w: int, room_h: int) -> tuple[int, int]:
    """The size (width, height) at which a picture fits: a whole multiple, or made smaller."""
    scale = min(room_w / width, room_h / height)
    scale = np.floor(scale) if scale >= 1 else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture (H, W, 3) at another size: pixels repeated when larger, averaged when smaller."""
    rows, columns = picture.shape[:2]
    if width % columns == 0 and height % rows == 0:
        return picture.repeat(height // rows, axis=0).repeat(width // columns, axis=1)
    small = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BOX), np.float32) / 255


def mosaic(grid: np.ndarray, room: int) -> np.ndarray:
    """A grid (R, S, H, W, 3) as one picture, row 0 at the foot, about `room` pixels at most."""
    rows, columns, height, width = grid.shape[:4]
    w, h = fitted(height, width, max(1, room // columns), max(1, room // rows))
    cells = [[resized(cell, w, h) for cell in row] for row in grid[::-1]]
    return np.concatenate([np.concatenate(row, axis=1) for row in cells], axis=0)


@dataclass
class Sheet:
    """A page in pixels, y downwards, with a heading; `top` is where the content begins.

    `body` is the height below the heading. Paste and write first, then ask for the `figure`.
    """

    width: int
    body: int
    title: str
    note: str = ""
    _words: list[tuple[float, float, str, dict]] = field(default_factory=list)
    _frames: list[tuple[float, float, float, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.top = round(head_lines(self.width / DPI, self.title, self.note)[2] * DPI)
        self.height = self.top + self.body
        self._pixels = np.empty((self.height, self.width, 3), np.float32)
        self._pixels[:] = to_rgb(PAPER)

    def paste(self, picture: np.ndarray, x: int, y: int, size: tuple[int, int]) -> None:
        """Lay a picture (H, W, 3) with its upper left corner at (x, y), at the given size."""
        block = resized(picture, *size)
        target = self._pixels[y : y + size[1], x : x + size[0]]
        target[:] = block[: target.shape[0], : target.shape[1]]

    def write(self, x: float, y: float, text: str, **options: object) -> None:
        """Set words at (x, y); options are those of a matplotlib text."""
        self._words.append((x, y, text, {"size": 7.0, "color": INK, **options}))

    def frame(self, x: float, y: float, size: tuple[int, int], colour: str) -> None:
        """Draw a thin frame around a pasted picture."""
        self._frames.append((x - 2, y - 2, size[0] + 4, size[1] + 4, colour))

    def figure(self, layout: str | None = None) -> Figure:
        """The finished page; `layout="constrained"` where axes are to be added on top."""
        figure = Figure(figsize=(self.width / DPI, self.height / DPI), layout=layout)  # pyright: ignore[reportArgumentType]
        axes = quiet(figure.add_axes((0, 0, 1, 1), label="sheet", zorder=-1))
        extent = (0, self.width, self.height, 0)
        axes.imshow(self._pixels, extent=extent, interpolation="nearest", aspect="auto")
        for x, y, w, h, colour in self._frames:
            axes.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=1.0))
        for x, y, text, options in self._words:
            axes.text(x, y, text, **options)
        write_head(figure, self.title, self.note)
        return figure
