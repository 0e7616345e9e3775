"""A restoration network over a picture of any size: tile by tile, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lemari.errors import RunError, UsageError

Progress = Callable[[int, int], None]
MOST_OVERLAP = 64  # input pixels around a tile; beyond it tiles are feathered into each other
LEAST_TILE, MOST_TILE = 16, 4096


class Tileable(Protocol):
    """What the tiling needs to know of a network."""

    @property
    def scale(self) -> int: ...
    @property
    def multiple(self) -> int: ...
    @property
    def halo(self) -> int: ...
    @property
    def smallest(self) -> int: ...

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Span:
    """One side of a tile: its own part start:stop, and low:high with what surrounds it."""

    start: int
    stop: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Tiled:
    """The result, the further channels (or None), and the share of values cut to the range."""

    pixels: np.ndarray
    spread: np.ndarray | None
    clipped: float


@torch.no_grad()
def run_tiles(
    net: Tileable,
    x: np.ndarray,
    level: float | None = None,
    seen: np.ndarray | None = None,
    tile: int = 256,
    batch: int = 2,
    most_overlap: int = MOST_OVERLAP,
    progress: Progress | None = None,
) -> Tiled:
    """The network's picture of `x`, of the same type and `scale` times as large.

    Shapes: x (H, W, C) uint8 or uint16; seen (H, W), nonzero where a pixel was measured; `level`
    on the scale where the pixel range is 1. Each tile sees `net.halo` pixels around itself, so that
    the result is that of the whole picture at once; where the halo is above `most_overlap`,
    neighbouring tiles are blended. A channel of the network beyond those of `x` is returned as
    `spread`. Raises UsageError, and RunError for values that are not finite.
    """
    if not LEAST_TILE <= tile <= MOST_TILE:
        raise UsageError(f"A tile is {LEAST_TILE} to {MOST_TILE:,} pixels, not {tile}.")
    overlap = up(min(net.halo, most_overlap), net.multiple)
    tile = up(tile, net.multiple)
    feather = 0 if overlap >= net.halo else min(overlap, tile) // 2
    sides = [up(max(n, net.smallest), net.multiple) for n in x.shape[:2]]
    rows, columns = (spans(n, tile, overlap, up(net.smallest, net.multiple)) for n in sides)
    canvas = Canvas(x, net.scale, feather, (sides[0], sides[1]))
    done, total = 0, len(rows) * len(columns)
    for row in rows:
        canvas.begin(row)
        for group in batches(columns, batch):
            given = [inputs(x, seen, row, column) for column in group]
            shown = torch.stack([part for part, _ in given])
            masks = None if seen is None else torch.stack([part for _, part in given])  # pyright: ignore[reportArgumentType]
            levels = None if level is None else torch.full((len(group),), float(level))
            made = net(shown, levels, masks).permute(0, 2, 3, 1).float().numpy()
            for column, values in zip(group, made, strict=True):
                canvas.add(row, column, values)
            done += len(group)
            if progress:
                progress(done, total)
        canvas.flush(row)
    return canvas.result()


def up(number: int, multiple: int) -> int:
    """The number, rounded up to a multiple.

    >>> up(5, 4), up(8, 4), up(0, 4)
    (8, 8, 0)
    """
    return -(-number // multiple) * multiple


def spans(length: int, tile: int, overlap: int, smallest: int) -> list[Span]:
    """The tiles along one side; none with its surroundings is below `smallest`."""
    found = []
    for start in range(0, length, tile):
        stop = min(length, start + tile)
        low, high = max(0, start - overlap), min(length, stop + overlap)
        low = max(0, min(low, high - smallest))
        found.append(Span(start, stop, low, min(length, max(high, low + smallest))))
    return found


def batches(columns: list[Span], most: int) -> Iterator[list[Span]]:
    """Neighbouring tiles of the same width, at most so many at a time."""
    for _, same in groupby(columns, key=lambda span: span.high - span.low):
        group = list(same)
        for i in range(0, len(group), most):
            yield group[i : i + most]


def mirrored(low: int, high: int, length: int) -> np.ndarray:
    """Positions low:high, those beyond the end reflected at the last pixel.

    >>> mirrored(1, 6, 3).tolist(), mirrored(0, 3, 1).tolist()
    ([1, 2, 1, 0, 1], [0, 0, 0])
    """
    turn = max(1, 2 * (length - 1))
    at = np.arange(low, high) % turn
    return np.minimum(at, turn - at) if length > 1 else np.zeros(high - low, int)


def inputs(
    x: np.ndarray, seen: np.ndarray | None, row: Span, column: Span
) -> tuple[Tensor, Tensor | None]:
    """One tile with its surroundings: (C, h, w) in [0, 1] and its mask (1, h, w)."""
    at = np.ix_(
        mirrored(row.low, row.high, x.shape[0]), mirrored(column.low, column.high, x.shape[1])
    )
    values = np.ascontiguousarray(np.moveaxis(x[at].astype(np.float32), 2, 0))
    shown = torch.from_numpy(values) / float(np.iinfo(x.dtype).max)
    if seen is None:
        return shown, None
    return shown, torch.from_numpy((seen[at] > 0).astype(np.float32))[None]


def weights(span: Span, length: int, scale: int, feather: int) -> np.ndarray:
    """How much a tile counts at each place of low:high; the tiles of one side sum to 1."""
    at = np.arange(span.low * scale, span.high * scale) + 0.5
    width = 2 * feather * scale

    def risen(edge: int) -> np.ndarray:
        away = at - edge * scale
        return np.clip(away / width + 0.5, 0, 1) if width else (away > 0).astype(float)

    rise = risen(span.start) if span.start else np.ones(len(at))
    fall = 1 - risen(span.stop) if span.stop < length else np.ones(len(at))
    return (rise * fall).astype(np.float32)


@dataclass
class Canvas:
    """The result in the making: one band of rows in float32, the rest already in whole numbers."""

    x: np.ndarray
    scale: int
    feather: int
    sides: tuple[int, int]
    band: Any = None
    top: int = 0
    cut: int = 0
    spread: np.ndarray | None = None
    pixels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        height, width, channels = self.x.shape
        shape = (height * self.scale, width * self.scale, channels)
        self.pixels = np.empty(shape, self.x.dtype)

    def begin(self, row: Span) -> None:
        """Make room for a row of tiles, above what the row before left to blend with."""
        height = (min(row.stop + self.feather, self.sides[0])) * self.scale - self.top
        self.wanted, self.left = height, self.band
        self.band = None

    def add(self, row: Span, column: Span, values: np.ndarray) -> None:
        """Add a tile (h, w, channels) with its weights."""
        s = self.scale
        if self.band is None:
            self.band = np.zeros((self.wanted, self.sides[1] * s, values.shape[2]), np.float32)
            if self.left is not None:
                self.band[: len(self.left)] = self.left
        down = weights(row, self.sides[0], s, self.feather)
        along = weights(column, self.sides[1], s, self.feather)
        rows, columns = np.flatnonzero(down), np.flatnonzero(along)
        here = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        y, x = row.low * s + rows[0] - self.top, column.low * s + columns[0]
        part = values[here] * down[here[0], None, None] * along[None, here[1], None]
        self.band[y : y + part.shape[0], x : x + part.shape[1]] += part

    def flush(self, row: Span) -> None:
        """Round the rows that no further tile adds to, and keep the others."""
        last = row.stop >= self.sides[0]
        end = (row.stop if last else row.stop - self.feather) * self.scale - self.top
        height, width, channels = self.pixels.shape
        ready = self.band[: max(0, min(end, height - self.top)), :width]
        if not np.isfinite(ready).all():
            raise RunError("The model gave values that are not finite; it cannot restore this.")
        body, limit = ready[..., :channels], np.iinfo(self.pixels.dtype).max
        self.cut += int(np.count_nonzero((body < -0.5 / limit) | (body > 1 + 0.5 / limit)))
        here = slice(self.top, self.top + len(ready))
        self.pixels[here] = np.rint(np.clip(body, 0, 1) * limit)
        if ready.shape[2] > channels:
            if self.spread is None:
                self.spread = np.empty((height, width), np.float32)
            self.spread[here] = ready[..., channels]
        self.band, self.top = self.band[end:].copy(), self.top + end

    def result(self) -> Tiled:
        return Tiled(self.pixels, self.spread, self.cut / max(1, self.pixels.size))
