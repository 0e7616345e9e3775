"""Structural similarity of batches of pictures, on one scale and on several.

Pictures are (B, C, H, W) with values from 0 to `peak`. Both measures are 1 for a copy.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW, SPREAD = 11, 1.5  # pixels
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first


def window(side: int, like: Tensor) -> Tensor:
    """The means of a row of `side` pixels under the Gaussian window, as a matrix (places, side).

    The window has 11 taps, or the largest odd number that fits a shorter row, and stays inside.
    """
    taps = min(WINDOW, side - 1 + side % 2)
    at = torch.arange(taps, dtype=like.dtype, device=like.device) - taps // 2
    weights = (-(at**2) / (2 * SPREAD**2)).exp()
    rows = side - taps + 1
    matrix = torch.zeros(rows, side, dtype=like.dtype, device=like.device)
    for row in range(rows):
        matrix[row, row : row + taps] = weights / weights.sum()
    return matrix


def parts(x: Tensor, y: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """Mean similarity, and mean similarity of contrast and structure alone: (B, C) each."""
    down, across = window(x.shape[2], x), window(x.shape[3], x).T

    def mean(a: Tensor) -> Tensor:
        return down @ a @ across

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = mean(x), mean(y)
    spread = mean(x * x) - mx**2 + mean(y * y) - my**2
    structure = (2 * (mean(x * y) - mx * my) + c2) / (spread + c2)
    light = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return (light * structure).mean((2, 3)), structure.mean((2, 3))


def ssim(x: Tensor, y: Tensor, peak: float = 1.0) -> Tensor:
    """Structural similarity of each pair, (B,) (Wang et al. 2004); the mean over channels.

    The window is Gaussian with a spread of 1.5 pixels, 11 pixels wide, or as wide as fits.
    """
    return parts(x, y, peak)[0].mean(1)


def scales(height: int, width: int) -> int:
    """On how many scales, halving each time, the window still fits; 1 to 5.

    >>> [scales(side, side) for side in (8, 28, 64, 176)]
    [1, 2, 3, 5]
    """
    side = min(height, width)
    return max(1, min(len(WEIGHTS), 1 + int(math.log2(max(1, side / WINDOW)))))


def ms_ssim(x: Tensor, y: Tensor, peak: float = 1.0) -> Tensor:
    """Similarity over several scales of each pair, (B,) (Wang, Simoncelli and Bovik 2003).

    Pictures too small for five scales are compared on as many as fit, with the weights of those
    brought to a sum of 1. A negative similarity of structure counts as 0.
    """
    weights = WEIGHTS[: scales(*x.shape[2:])]
    total = x.new_ones(x.shape[:2])
    for number, weight in enumerate(weights):
        whole, structure = parts(x, y, peak)
        last = number == len(weights) - 1
        total = total * (whole if last else structure).clamp(min=0) ** (weight / sum(weights))
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total.mean(1)
