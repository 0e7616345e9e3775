"""Bringing pictures to another size: the one rule that training, use and display share.

Bilinear with antialiasing: when a picture shrinks, each new pixel is the triangle-weighted mean
of all pixels under it. Equal, within rounding, to `torch.nn.functional.interpolate(mode=
"bilinear", align_corners=False, antialias=True)` and to Pillow's BILINEAR.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Box = tuple[int, int, int, int]


def resize(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pictures (N, C, h, w), any type, as float32 (N, C, height, width)."""
    n, c, h, w = x.shape
    wide = x.astype(np.float32).reshape(n * c * h, w) @ _weights(w, width).T
    return np.matmul(_weights(h, height), wide.reshape(n, c, h, width))


def crop_box(h: int, w: int, height: int, width: int) -> Box:
    """The largest centred window with the shape of height x width: (top, left, h, w)."""
    if w * height > h * width:
        cut = max(1, round(h * width / height))
        return 0, (w - cut) // 2, h, cut
    cut = max(1, round(w * height / width))
    return (h - cut) // 2, 0, cut, w


def inner_size(h: int, w: int, height: int, width: int) -> tuple[int, int]:
    """The largest size with the shape of h x w that fits into height x width."""
    scale = min(height / h, width / w)
    return max(1, round(h * scale)), max(1, round(w * scale))


def fitted(x: np.ndarray, height: int, width: int, fit: str, ground: float = 0.0) -> np.ndarray:
    """Pictures (N, C, h, w) as float32 (N, C, height, width).

    "crop" covers the new size and cuts what stands out, "stretch" changes the proportions,
    "pad" keeps everything and fills the margin with `ground`.
    """
    h, w = x.shape[2:]
    if fit == "crop":
        top, left, h, w = crop_box(h, w, height, width)
        x = x[:, :, top : top + h, left : left + w]
    if fit != "pad":
        return resize(x, height, width)
    h, w = inner_size(h, w, height, width)
    top, left = (height - h) // 2, (width - w) // 2
    out = np.full((*x.shape[:2], height, width), ground, np.float32)
    out[:, :, top : top + h, left : left + w] = resize(x, h, w)
    return out


@lru_cache(maxsize=64)
def _weights(given: int, wanted: int) -> np.ndarray:
    """The share (wanted, given) of each old pixel in each new one; every row sums to 1."""
    scale = given / wanted
    centre = (np.arange(wanted) + 0.5) * scale
    distance = np.abs(np.arange(given) + 0.5 - centre[:, None]) / max(scale, 1.0)
    share = np.clip(1.0 - distance, 0.0, None)
    share = (share / share.sum(1, keepdims=True)).astype(np.float32)
    share.flags.writeable = False
    return share
