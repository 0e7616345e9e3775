"""Errors between examples and their reconstructions."""

from __future__ import annotations

import math

import numpy as np


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of values between 0 and 1; infinite for a perfect copy.

    >>> psnr(0.01)
    20.0
    """
    return math.inf if mse == 0 else -10 * math.log10(mse)


def squared_error(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean squared error of each example, shape (N,). Shapes: x, y (N, *S)."""
    return np.square(x.astype(np.float64) - y).reshape(len(x), -1).mean(1)
