"""Decoded pictures at their places in a two-dimensional latent space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lemari.figures.latent import legend, mark, plane
from lemari.figures.sheet import as_rgb, mosaic
from lemari.figures.style import DPI, INK, MUTED, WIDTH, counted, drawn, limits, page

Extent = tuple[float, float, float, float]
_ROOM = 1280


def _edges(extent: Extent, rows: int, columns: int) -> Extent:
    """The outer edges of the cells whose centres run over `extent`."""
    x0, x1, y0, y1 = (float(v) for v in extent)
    half_x = (x1 - x0) / (2 * (columns - 1)) if columns > 1 else (x1 - x0) / 2
    half_y = (y1 - y0) / (2 * (rows - 1)) if rows > 1 else (y1 - y0) / 2
    half_x, half_y = half_x or 0.5, half_y or 0.5
    if columns == 1:
        x0 = x1 = (x0 + x1) / 2
    if rows == 1:
        y0 = y1 = (y0 + y1) / 2
    return x0 - half_x, x1 + half_x, y0 - half_y, y1 + half_y


@drawn
def decoded_grid_over_scatter(
    codes: np.ndarray,
    labels: np.ndarray | None,
    classes: Sequence[str],
    grid_images: np.ndarray,
    extent: Extent,
) -> Figure:
    """What the decoder makes of every place, laid over the examples that are there.

    Shapes: codes (N, 2), labels (N,), grid_images (R, R, H, W, C). Picture [i, j] was decoded at
    z0 = linspace(x0, x1, R)[j] and z1 = linspace(y0, y1, R)[i], for extent (x0, x1, y0, y1).
    """
    points = plane(codes)
    images = np.asarray(grid_images, np.float32)
    edges = _edges(extent, *images.shape[:2])
    note = f"{counted(len(points), 'example')} as points; pictures decoded on a"
    note += " grid of places, each where its code is."
    figure = page(WIDTH, 7.2, "The decoder over the latent space", note)
    axes = figure.add_subplot()
    mark(axes, points, labels)
    ink = _as_ink(images)
    axes.imshow(ink, extent=edges, interpolation="nearest", aspect="auto", zorder=3)
    axes.set_xlim(limits(points[:, 0], np.array(edges[:2])))
    axes.set_ylim(limits(points[:, 1], np.array(edges[2:])))
    axes.set(xlabel="z0", ylabel="z1")
    legend(axes, labels, classes)
    return figure


def _as_ink(images: np.ndarray) -> np.ndarray:
    """Grid as one see-through picture (H, W, 4): bright strokes on black become dark ink."""
    tiles = mosaic(as_rgb(images), _ROOM)
    border = np.concatenate([images[..., 0, :, :].ravel(), images[..., -1, :, :].ravel()])
    if images.shape[-1] == 1 and np.median(border) < 0.1:
        colour = np.broadcast_to(np.array(to_rgb(INK), np.float32), tiles.shape)
        return np.concatenate([colour, 0.7 * tiles[..., :1]], axis=-1)
    return np.concatenate([tiles, np.full_like(tiles[..., :1], 0.62)], axis=-1)


@drawn
def manifold_grid(
    images: np.ndarray, extent: Extent, names: Sequence[str] = ("z0", "z1")
) -> Figure:
    """The manifold: pictures decoded on a regular grid of codes, with the codes at the axes.

    `names` are those of the horizontal and the vertical axis.
    Shapes: images (R, R, H, W, C), picture [i, j] decoded at z0 = linspace(x0, x1, R)[j] and
    z1 = linspace(y0, y1, R)[i] for extent (x0, x1, y0, y1); z1 grows upwards.
    """
    rows, columns = np.shape(images)[:2]
    tiles = mosaic(as_rgb(images), min(1200, 170 * max(rows, columns)))
    height, width = (side / DPI for side in tiles.shape[:2])
    note = f"{rows} × {columns} codes at equal steps, decoded."
    room = max(width + 0.75, 3.0)
    figure = page(room, height + 0.42, "The manifold the decoder has learned", note)
    full = figure.get_size_inches()[1]
    figure.set_layout_engine("none")
    axes = figure.add_axes((0.6 / room, 0.5 / full, width / room, height / full))
    axes.imshow(tiles, extent=(0, columns, 0, rows), interpolation="nearest", aspect="auto")
    _code_ticks(axes, extent, rows, columns)
    axes.set(xlabel=names[0], ylabel=names[1])
    return figure


def _code_ticks(axes: Axes, extent: Extent, rows: int, columns: int) -> None:
    for axis, low, high, count in (
        (axes.xaxis, extent[0], extent[1], columns),
        (axes.yaxis, extent[2], extent[3], rows),
    ):
        values = np.linspace(low, high, count) if count > 1 else np.array([(low + high) / 2])
        at = np.arange(0, count, max(1, -(-count // 10)))
        digits = 1 if abs(high - low) >= 2 else 2
        axis.set_ticks(at + 0.5, [f"{values[i]:.{digits}f}".replace("-", "−") for i in at])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=2, color=MUTED)
