"""What a pixel's own noisy value adds to what a blind-spot network says of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from lemari.degrade import blur
from lemari.errors import DataError
from lemari.noise_level import noise_curve
from lemari.tasks.tiling import Tileable

SPREAD = 4.0  # pixels: the neighbourhood in which the network's error is measured
MOST_KURTOSIS = 3.6  # of errors in units of their expected size; 3 for Gaussian noise


class OwnValue:
    """A network that never saw the noise of a pixel itself, joined with the pixel's noisy value.

    The network says m, the picture y = x + noise of variance n. Around the pixel, (y - m)^2 is
    on average n + v, with v the variance of the network's error; so m + v / (n + v) * (y - m) is
    the best linear estimate of x (the posterior mean, were both Gaussian). `curve` gives n as a
    function of brightness. The idea of using the noisy value is that of Laine et al. 2019.
    """

    def __init__(self, net: Tileable, curve: tuple[np.ndarray, np.ndarray]) -> None:
        self.net, self.curve = net, curve
        self.scale, self.multiple, self.smallest = net.scale, net.multiple, net.smallest
        self.halo = net.halo + int(3 * SPREAD)

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        made = self.net(x, level, seen)
        noise, error = variances(x, made, self.curve)
        return made + error / (noise + error).clamp_min(1e-12) * (x - made)


def variances(
    y: Tensor, made: Tensor, curve: tuple[np.ndarray, np.ndarray]
) -> tuple[Tensor, Tensor]:
    """The variance of the noise and that of the network's error, at each pixel."""
    noise = torch.from_numpy(np.interp(made.float().numpy(), *curve)).to(made)
    return noise, (blur((y - made).square(), SPREAD) - blur(noise, SPREAD)).clamp_min(0)


@torch.no_grad()
def with_own_value(net: Tileable, parts: Iterable[np.ndarray]) -> Tileable:
    """The network joined with the noisy values, if the noise of the parts (H, W, C) allows it.

    Noise that comes in few large errors (salt and pepper) is not described by its variance;
    then, and for pictures too small to measure, the network is left as it is.
    """
    curves, tails = [], []
    for part in parts:
        cut = [side // net.multiple * net.multiple for side in part.shape[:2]]
        part = part[: cut[0], : cut[1]]
        if min(cut) < net.smallest:
            return net
        try:
            found = [noise_curve(part[..., i]) for i in range(part.shape[2])]
        except DataError:
            return net
        curve = joined(found)
        y = torch.from_numpy(np.ascontiguousarray(np.moveaxis(part, 2, 0)))[None].float()
        made = net(y, None, None)
        noise, error = variances(y, made, curve)
        ratio = ((y - made).square() / (noise + error).clamp_min(1e-12)).double()
        curves.append(curve)
        tails.append(float(ratio.square().mean() / ratio.mean().square().clamp_min(1e-12)))
    return OwnValue(net, joined(curves)) if np.median(tails) < MOST_KURTOSIS else net


def joined(curves: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """One curve from several: the mean of all, where each of them has its places."""
    at = np.unique(np.concatenate([places for places, _ in curves]))
    return at, np.mean([np.interp(at, *curve) for curve in curves], axis=0)
