"""Structural similarity of pictures as a term: edges and textures in place of squared errors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.schedule import Schedule
from lemari.terms.base import Term
from lemari.types import Schema, Trace

WINDOW, SPREAD = 11, 1.5
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of the scales, finest first
LEAST = 0.01


def window(side: int, like: Tensor) -> Tensor:
    """Matrix that takes a column of `side` values to their means under a Gaussian window within it.

    The window is 11 wide, or the largest odd number that a smaller side leaves room for; one
    matrix product is several times faster than a convolution of a single map.
    """
    width = min(WINDOW, side - 1 + side % 2)
    at = torch.arange(width, dtype=like.dtype, device=like.device) - width // 2
    taps = torch.exp(-at.square() / (2 * SPREAD**2))
    eye = torch.eye(side, dtype=like.dtype, device=like.device)
    return eye.unfold(0, width, 1) @ (taps / taps.sum())


def local_mean(x: Tensor) -> Tensor:
    """Means of pictures (..., H, W) under the window, where it lies inside."""
    height, width = x.shape[-2:]
    return window(height, x) @ x @ window(width, x).T


def ssim_parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Mean structural similarity, and its part without the brightness: two of shape (N,).

    For pictures (N, C, H, W) with values between 0 and 1. (Wang et al. 2004)
    """
    c1, c2 = 0.01**2, 0.03**2
    ma, mb, aa, bb, ab = local_mean(torch.stack((a, b, a * a, b * b, a * b)))
    va, vb, both = aa - ma.square(), bb - mb.square(), ab - ma * mb
    structure = (2 * both + c2) / (va + vb + c2)
    brightness = (2 * ma * mb + c1) / (ma.square() + mb.square() + c1)
    return (brightness * structure).mean((1, 2, 3)), structure.mean((1, 2, 3))


def scales_for(height: int, width: int) -> int:
    """How many scales leave room for the window, 5 at most.

    >>> [scales_for(side, side) for side in (8, 28, 64, 256)]
    [1, 2, 3, 5]
    """
    side, scales = min(height, width) // 2, 1
    while side >= WINDOW and scales < len(SCALES):
        side, scales = side // 2, scales + 1
    return scales


def log_from(x: Tensor, least: float = LEAST) -> Tensor:
    """log x, below `least` continued by its tangent: defined and with a slope everywhere."""
    return torch.where(x > least, x.clamp(min=least).log(), x / least - 1 + math.log(least))


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Multi-scale structural similarity of pictures (N, C, H, W), 1 for copies: shape (N,).

    Small pictures have fewer than the five scales; their weights are then scaled to the same sum.
    (Wang, Simoncelli and Bovik 2003)
    """
    number = scales_for(*a.shape[2:])
    weights = [w / sum(SCALES[:number]) for w in SCALES[:number]]
    found = torch.zeros(len(a), dtype=a.dtype, device=a.device)
    for scale, weight in enumerate(weights):
        whole, structure = ssim_parts(a, b)
        last = scale == number - 1
        found = found + weight * log_from(whole if last else structure)
        if not last:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return found.exp()


class Dissimilarity(Term):
    """1 - MS-SSIM between the target and the mean of p(x | z), averaged over the K draws.

    A number between 0 and about 1, not nats: its weight says how many nats it is worth.
    """

    name = "dissimilarity"

    def __init__(self, data: Schema, weight: float | Schedule) -> None:
        super().__init__(weight)
        if data.kind != "image":
            raise UsageError(
                f"Structural similarity compares pictures, but the data is a {data.kind}; "
                "use vae or sigma-vae."
            )

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        k, x = len(t.z), t.batch.x
        wanted = x.unsqueeze(0).expand(k, *x.shape).flatten(0, 1)
        return 1 - ms_ssim(wanted, t.p.mean.flatten(0, 1)).view(k, len(x)).mean(0)
