"""Modified Bessel functions of the first kind, as logarithms and ratios that have slopes.

torch knows orders 0 and 1 alone; scipy gives all others in double precision, on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import ive
from torch import Tensor
from torch.autograd import Function


def values(order: float, x: np.ndarray) -> np.ndarray:
    """log I_order(x) for x > 0, float64.

    Where scipy's function vanishes (large orders at small x) the expansion for large orders takes
    its place; with three terms it is good to about 1e-7 there. (DLMF 10.41.3)
    """
    with np.errstate(divide="ignore"):
        found = np.log(ive(order, x)) + x
    low = ~np.isfinite(found) | (found - x < -650)
    if low.any():
        found[low] = expansion(order, x[low])
    return found


def expansion(order: float, x: np.ndarray) -> np.ndarray:
    """log I_order(x) for a large order, uniformly in x."""
    z = x / order
    root = np.sqrt(1 + z * z)
    t = 1 / root
    first = t * (3 - 5 * t**2) / 24
    second = t**2 * (81 - 462 * t**2 + 385 * t**4) / 1152
    third = t**3 * (30375 - 369603 * t**2 + 765765 * t**4 - 425425 * t**6) / 414720
    series = first / order + second / order**2 + third / order**3
    height = order * (root + np.log(z / (1 + root)))
    return height - 0.5 * np.log(2 * np.pi * order * root) + np.log1p(series)


def ratios(order: float, x: np.ndarray) -> np.ndarray:
    """I_{order + 1}(x) / I_order(x)."""
    return np.exp(values(order + 1, x) - values(order, x))


def called(function: Any, order: float, x: Tensor) -> Tensor:
    """A function of numpy arrays on a tensor, in double precision; x is kept above 0."""
    array = x.detach().double().clamp(min=1e-12).cpu().numpy()
    return torch.from_numpy(np.asarray(function(order, np.atleast_1d(array)))).view(x.shape).to(x)


class LogBessel(Function):
    """log I_order(x); its slope is I_{order + 1} / I_order + order / x."""

    @staticmethod
    def forward(ctx: Any, order: float, x: Tensor) -> Tensor:
        ctx.order = order
        ctx.save_for_backward(x)
        return called(values, order, x)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return None, slopes[0] * (called(ratios, ctx.order, x) + ctx.order / x)


class BesselRatio(Function):
    """r = I_{order + 1}(x) / I_order(x); its slope is 1 - r^2 - (2 order + 1) r / x."""

    @staticmethod
    def forward(ctx: Any, order: float, x: Tensor) -> Tensor:
        ctx.order = order
        r = called(ratios, order, x)
        ctx.save_for_backward(x, r)
        return r

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x, r = (t.double() for t in ctx.saved_tensors)
        slope = 1 - r.square() - (2 * ctx.order + 1) * r / x
        return None, slopes[0] * slope.to(slopes[0].dtype)


def log_bessel(order: float, x: Tensor) -> Tensor:
    """log I_order(x) for x > 0, with its slope in x."""
    return LogBessel.apply(order, x)  # pyright: ignore[reportReturnType]


def bessel_ratio(order: float, x: Tensor) -> Tensor:
    """I_{order + 1}(x) / I_order(x) for x > 0, with its slope in x."""
    return BesselRatio.apply(order, x)  # pyright: ignore[reportReturnType]
