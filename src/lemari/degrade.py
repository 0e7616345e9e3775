"""Ways to spoil pictures, as functions of tensors (B, C, H, W) with values in [0, 1].

A level is one number, or a tensor (B,) with one for each picture. Randomness comes from torch's
default generator on the device of the pictures. Nothing is clipped unless it says so.
"""

from __future__ import annotations

import io
from functools import lru_cache
from math import ceil

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from lemari.errors import UsageError

SCALES = (2, 3, 4)
KINDS = ("bicubic", "area")
FILL_SPREADS, FAINT = (6.0, 1.5), 1e-3  # pixels; the weight of the wider estimate
FILL_REACH = 30  # pixels: both means one after the other


def _each(level: float | Tensor, x: Tensor) -> float | Tensor:
    """A level (B,) as (B, 1, ...) that multiplies x (B, ...); a number stays a number."""
    if not isinstance(level, Tensor) or not level.dim():
        return level
    return level.to(x).view(-1, *(1,) * (x.dim() - 1))


def _row(level: float | Tensor, x: Tensor) -> Tensor:
    """A level as (B,) in the type of x."""
    return torch.as_tensor(level, dtype=x.dtype, device=x.device).expand(len(x))


def gaussian(x: Tensor, sigma: float | Tensor, mean: float = 0.0, clip: bool = False) -> Tensor:
    """Add noise from N(mean, sigma^2); `clip` limits the sum to [0, 1]."""
    y = x + mean + _each(sigma, x) * torch.randn_like(x)
    return y.clamp(0, 1) if clip else y


def poisson(x: Tensor, peak: float | Tensor) -> Tensor:
    """Count photons: Poisson(peak x) / peak, where a white pixel receives `peak` on average."""
    rate = _each(peak, x)
    return torch.poisson(x.clamp(min=0) * rate) / rate


def salt_pepper(x: Tensor, share: float | Tensor) -> Tensor:
    """Make a share of the pixels black or white, with equal chance, in all channels at once."""
    u, share = torch.rand_like(x[:, :1]), _each(share, x)
    return torch.where(u < share, (u < share / 2).to(x.dtype), x)


def speckle(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Multiply by noise: x + x n with n from N(0, sigma^2)."""
    return x + x * _each(sigma, x) * torch.randn_like(x)


def jpeg(x: Tensor, quality: float | Tensor) -> Tensor:
    """Write and read each picture as an 8-bit JPEG of a quality from 1 to 100.

    UsageError unless there are one or three channels.
    """
    if x.dim() != 4 or x.shape[1] not in (1, 3):
        raise UsageError(
            f"JPEG needs pictures with 1 or 3 channels, not of shape {tuple(x.shape[1:])}; "
            "choose another kind of noise."
        )
    bytes_ = (x.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
    pairs = zip(bytes_.numpy(), _row(quality, x).tolist(), strict=True)
    y = np.stack([_through_jpeg(picture, round(q)) for picture, q in pairs])
    return torch.from_numpy(y).to(x).permute(0, 3, 1, 2).contiguous() / 255


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """The uint8 picture (H, W, C) after one round of JPEG."""
    file = io.BytesIO()
    plain = picture[..., 0] if picture.shape[-1] == 1 else picture
    Image.fromarray(plain).save(file, "JPEG", quality=quality)
    file.seek(0)
    with Image.open(file) as read:
        return np.array(read).reshape(picture.shape)


def _mirrored(count: int, radius: int, device: torch.device) -> Tensor:
    """Indices -radius .. count + radius - 1, reflected at the first and last sample."""
    period = max(2 * (count - 1), 1)
    i = torch.arange(-radius, count + radius, device=device) % period
    return torch.where(i < count, i, period - i)


def blur(x: Tensor, sigma: float | Tensor) -> Tensor:
    """Gaussian blur with a spread of `sigma` pixels, reflecting at the edges; 0 does nothing."""
    sigma = _row(sigma, x)
    batch, channels, height, width = x.shape
    radius = max(1, ceil(4 * float(sigma.max())))
    t = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    taps = torch.exp(-0.5 * (t / sigma.clamp(min=1e-3)[:, None]) ** 2)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    y = x.reshape(1, batch * channels, height, width)
    y = y[:, :, _mirrored(height, radius, x.device)]
    y = F.conv2d(y, taps[..., None], groups=batch * channels)
    y = y[..., _mirrored(width, radius, x.device)]
    return F.conv2d(y, taps[:, :, None], groups=batch * channels).view(x.shape)


def fill_holes(x: Tensor, seen: Tensor) -> Tensor:
    """Missing pixels as means of the known ones around, weighted by nearness (Knutsson and Westin
    1993, normalised convolution): (B, C, H, W) -> same.

    `seen` (B, 1, H, W) is 0 where a pixel is missing; what x holds there does not matter. First a
    wide mean, then a narrow one where known pixels are near; 0.5 where none is within reach.
    """
    known = torch.where(seen > 0, x, 0.0)
    seen, filled = (seen > 0).to(x.dtype), torch.full_like(x, 0.5)
    for sigma in FILL_SPREADS:
        filled = (blur(known, sigma) + FAINT * filled) / (blur(seen, sigma) + FAINT)
    return torch.where(seen > 0, x, filled)


def missing(x: Tensor, share: float | Tensor, block: int = 1) -> Tensor:
    """A mask (B, 1, H, W): 0 where a pixel is missing, 1 where it is seen.

    Single pixels: round(share H W) of them in each picture. Blocks of `block` x `block` pixels
    fall anywhere, also on each other and over the edge, so often that each pixel is missing
    with a chance of `share`.
    """
    batch, _, height, width = x.shape
    if block == 1:
        u = torch.rand(batch, height * width, dtype=torch.float64, device=x.device)
        count = (_row(share, x) * (height * width)).round().long()[:, None]
        last = u.sort(1).values.gather(1, (count - 1).clamp(min=0))
        seen = (u > last) | (count == 0)
        return seen.view(batch, 1, height, width).to(x.dtype)
    sides = (height + block - 1, width + block - 1)
    chance = 1 - (1 - _row(share, x).double()) ** (1 / block**2)
    hit = torch.rand(batch, 1, *sides, device=x.device) < chance.view(-1, 1, 1, 1)
    covered = F.max_pool2d(F.max_pool2d(hit.to(x.dtype), (block, 1), 1), (1, block), 1)
    return 1 - covered


def check_scale(scale: int) -> None:
    """A UsageError unless the factor is 2, 3 or 4."""
    if scale not in SCALES:
        raise UsageError(f"Pictures are scaled by 2, 3 or 4, not by {scale}; choose one of these.")


def check_sides(height: int, width: int, scale: int) -> None:
    """A UsageError unless both sides are multiples of the factor."""
    if height % scale or width % scale:
        raise UsageError(
            f"A picture of {height} x {width} pixels has sides that are not multiples of {scale}; "
            f"crop it to {height - height % scale} x {width - width % scale}."
        )


def downscale(x: Tensor, scale: int, kind: str = "bicubic") -> Tensor:
    """Make pictures `scale` times smaller: 2, 3 or 4.

    "bicubic" is that of MATLAB's imresize: antialiased, with sides ceil(H / scale). "area" is the
    mean of each block of scale x scale pixels. UsageError for another scale or kind, and for
    blocks that do not fill the picture.
    """
    check_scale(scale)
    height, width = x.shape[-2:]
    if kind == "area":
        check_sides(height, width, scale)
        return F.avg_pool2d(x, scale)
    if kind != "bicubic":
        raise UsageError(f"Pictures are made smaller by bicubic or area, not by '{kind}'.")
    rows = cubic_weights(height, ceil(height / scale), 1 / scale)
    columns = cubic_weights(width, ceil(width / scale), 1 / scale)
    return rows.to(x) @ x @ columns.to(x).T


def upscale(x: Tensor, to: int | tuple[int, int]) -> Tensor:
    """Make pictures larger, by MATLAB's bicubic: `scale` times, or to (height, width)."""
    height, width = x.shape[-2:]
    if isinstance(to, int):
        check_scale(to)
        to = height * to, width * to
    rows = cubic_weights(height, to[0], to[0] / height)
    columns = cubic_weights(width, to[1], to[1] / width)
    return rows.to(x) @ x @ columns.to(x).T


def keys(t: np.ndarray) -> np.ndarray:
    """The cubic convolution kernel of Keys (1981) with a = -1/2, zero from |t| = 2 on.

    >>> [float(v) for v in keys(np.array([0, 0.5, 1, 1.5, 2]))]
    [1.0, 0.5625, 0.0, -0.0625, 0.0]
    """
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t <= 2, far, 0.0))


@lru_cache(maxsize=8)
def cubic_weights(given: int, wanted: int, scale: float) -> Tensor:
    """The matrix (wanted, given), float64, that resizes one side as MATLAB's imresize does.

    When shrinking, the kernel is stretched by 1 / scale. Beyond an edge the samples are mirrored,
    the edge itself repeated. Rows sum to 1.
    """
    stretch = min(scale, 1.0)
    centre = (np.arange(wanted) + 0.5) / scale - 0.5
    reach = ceil(4 / stretch) + 2
    index = np.floor(centre - 2 / stretch).astype(int)[:, None] + np.arange(reach)
    weight = keys(stretch * (centre[:, None] - index))
    weight /= weight.sum(1, keepdims=True)
    index = index % (2 * given)
    index = np.where(index < given, index, 2 * given - 1 - index)
    matrix = np.zeros((wanted, given))
    np.add.at(matrix, (np.arange(wanted)[:, None], index), weight)
    return torch.from_numpy(matrix)
