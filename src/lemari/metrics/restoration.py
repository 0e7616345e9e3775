"""How close a restored picture is to the clean one: PSNR, SSIM, and both on luma.

Pictures are (H, W) or (H, W, C), values from 0 to `peak`; everything is computed in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lemari.errors import UsageError
from lemari.metrics import image

WINDOW = 11
# MATLAB's rgb2ycbcr (ITU-R BT.601): R, G, B in [0, 1] to Y, Cb, Cr in units of 1/255.
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
OFFSET = np.array([16.0, 128.0, 128.0])


def _pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures in float64; UsageError unless they have the same shape."""
    if a.shape != b.shape or a.ndim not in (2, 3):
        raise UsageError(
            f"Pictures of shapes {a.shape} and {b.shape} cannot be compared; "
            "give two of the same size, (H, W) or (H, W, C)."
        )
    return a.astype(np.float64), b.astype(np.float64)


def psnr(a: np.ndarray, b: np.ndarray, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for a copy."""
    a, b = _pair(a, b)
    return image.psnr(float(np.mean(np.square((a - b) / peak))))


def _local_mean(x: np.ndarray) -> np.ndarray:
    """Means of (H, W, ...) under a Gaussian window, where it lies inside: (H - 10, W - 10, ...)."""
    t = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(t**2) / (2 * 1.5**2))
    taps /= taps.sum()
    for axis in (0, 1):
        x = sliding_window_view(x, WINDOW, axis) @ taps
    return x


def ssim(a: np.ndarray, b: np.ndarray, peak: float = 1.0) -> float:
    """Structural similarity (Wang et al. 2004), 1 for a copy; the mean over colour channels.

    The window is Gaussian, 11 x 11 with a spread of 1.5 pixels, and stays inside the picture;
    K1 = 0.01, K2 = 0.03. UsageError for a picture that is smaller than the window.
    """
    a, b = _pair(a, b)
    if min(a.shape[:2]) < WINDOW:
        raise UsageError(
            f"SSIM needs at least {WINDOW} x {WINDOW} pixels, not {a.shape[0]} x {a.shape[1]}; "
            "use PSNR for such small pictures."
        )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    ma, mb = _local_mean(a), _local_mean(b)
    va, vb = _local_mean(a * a) - ma**2, _local_mean(b * b) - mb**2
    both = _local_mean(a * b) - ma * mb
    top = (2 * ma * mb + c1) * (2 * both + c2)
    return float(np.mean(top / ((ma**2 + mb**2 + c1) * (va + vb + c2))))


def to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """R, G, B (H, W, 3) in [0, 1] as Y, Cb, Cr, as MATLAB's rgb2ycbcr."""
    return (rgb.astype(np.float64) @ YCBCR.T + OFFSET) / 255


def from_ycbcr(ycbcr: np.ndarray) -> np.ndarray:
    """Y, Cb, Cr (H, W, 3) back as R, G, B; not clipped."""
    return (ycbcr.astype(np.float64) * 255 - OFFSET) @ np.linalg.inv(YCBCR).T


def luma(rgb: np.ndarray) -> np.ndarray:
    """Y (H, W) of R, G, B (H, W, 3) in [0, 1]: from 16/255 for black to 235/255 for white."""
    return to_ycbcr(rgb)[..., 0]


def shave(a: np.ndarray, border: int) -> np.ndarray:
    """The picture without `border` pixels at each edge; UsageError when nothing is left."""
    if not 0 <= 2 * border < min(a.shape[:2]):
        raise UsageError(
            f"A border of {border} cannot be cut from {a.shape[0]} x {a.shape[1]} pixels; "
            "choose a smaller one."
        )
    return a[border : a.shape[0] - border, border : a.shape[1] - border]


def y_scores(a: np.ndarray, b: np.ndarray, scale: int) -> tuple[float, float]:
    """PSNR in dB and SSIM on luma, as papers on super-resolution report them.

    Y is rounded to 8 bits, and `scale` pixels are left out at each edge. A picture (H, W) is
    taken as Y. Values in [0, 1]; what is outside is clipped first.
    """
    a, b = _pair(a, b)
    a, b = (shave(_luma8(x), scale) for x in (a, b))
    return psnr(a, b), ssim(a, b)


def _luma8(x: np.ndarray) -> np.ndarray:
    """Y of a picture, rounded to 8 bits, in [0, 1]."""
    x = np.clip(x, 0, 1)
    if x.ndim == 3:
        x = luma(x) if x.shape[-1] == 3 else x[..., 0]
    return np.round(x * 255) / 255
