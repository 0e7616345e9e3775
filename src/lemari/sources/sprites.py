"""Sprites: white shapes drawn from five independent factors, in the manner of dSprites.

dSprites (Matthey et al. 2017) has a square, an ellipse or a heart in 6 scales, 40 orientations
and 32 x 32 places. The same factors are drawn here anew, with smooth edges, at the size asked for.
"""

from __future__ import annotations

import math

import numpy as np

from lemari.errors import UsageError
from lemari.sources.arrays import ArraySource, Scale
from lemari.sources.base import Options

FACTORS = ("shape", "scale", "orientation", "x", "y")
COUNTS = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
ROWS = {"train": 20_000, "test": 5_000}
SIDE = 32
BLOCK = 500


def sprite_factors(split: str = "train", seed: int = 0) -> np.ndarray:
    """The factors (N, 5) of the rows of a split, whole numbers from 0; no row is in both."""
    order = np.random.default_rng(seed).permutation(math.prod(COUNTS))
    first = 0 if split in ("train", "all") else ROWS["train"]
    last = ROWS["train"] if split == "train" else sum(ROWS.values())
    return np.stack(np.unravel_index(order[first:last], COUNTS), 1)


def render(factors: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Pictures (N, side, side), uint8, of factors (N, 5)."""
    blocks = [drawn(factors[i : i + BLOCK], side) for i in range(0, len(factors), BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty((0, side, side), np.uint8)


def drawn(factors: np.ndarray, side: int) -> np.ndarray:
    """Each pixel by how far it lies inside the shape's edge, one pixel wide."""
    kind, scale, turn, x, y = (factors[:, i, None, None] for i in range(5))
    size = (0.10 + 0.10 * scale / (COUNTS[1] - 1)).astype(np.float32)
    angle = (2 * np.pi * turn / COUNTS[2]).astype(np.float32)
    at = ((np.arange(side) + 0.5) / side).astype(np.float32)
    right = (at[None, None, :] - (0.25 + 0.5 * x / (COUNTS[3] - 1))) / size
    up = -(at[None, :, None] - (0.25 + 0.5 * y / (COUNTS[4] - 1))) / size
    u = right * np.cos(angle) + up * np.sin(angle)
    v = up * np.cos(angle) - right * np.sin(angle)
    depth = np.choose(kind, (square(u, v), ellipse(u, v), heart(u, v)))
    return np.rint(255 * np.clip(0.5 + depth * size * side, 0, 1)).astype(np.uint8)


def square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Distance to the edge in units of the shape's size, above 0 inside; so for all shapes."""
    return 0.75 - np.maximum(np.abs(u), np.abs(v))


def ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius = np.sqrt((u / 1.1) ** 2 + (v / 0.6) ** 2)
    slope = np.sqrt((u / 1.21) ** 2 + (v / 0.36) ** 2) / np.maximum(radius, 1e-6)
    return (1 - radius) / np.maximum(slope, 1e-6)


def heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A square on its corner, with half a disc on each of its upper sides."""
    half, middle = 0.55, 0.55 / math.sqrt(2)
    u, v = np.abs(u), v + 0.08
    disc = half - np.hypot(u - middle, v - middle)
    return np.maximum(disc, half - (u + np.abs(v)) / math.sqrt(2))


def open_sprites(name: str, options: Options) -> ArraySource:
    """20,000 training and 5,000 test pictures, gray, 32 x 32 unless a size is given.

    Labels are the shapes. Each id lists the five factors; `sprite_factors` gives them as numbers.
    """
    if options.split == "val":
        raise UsageError(f"'{name}' has no 'val' part; use split='train', 'test' or 'all'.")
    height, width = options.size or (SIDE, SIDE)
    if height != width:
        raise UsageError(f"'{name}' are square pictures; give a size such as 32 or 64.")
    factors = sprite_factors(options.split)
    return ArraySource(
        name=name,
        array=render(factors, height),
        layout="hw",
        shape=(1, height, width),
        scale=Scale(),
        y=factors[:, 0].astype(np.int64),
        classes=SHAPES,
        ids=tuple("-".join(map(str, row)) for row in factors),
        size=options.size,
        channels=options.channels,
        official_split=True,
    )
