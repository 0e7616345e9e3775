"""How noisy a picture is, from the picture alone."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lemari.errors import DataError

SIDE = 8  # of a patch
PATCHES = 30_000
SHARE = 0.02  # of the patches that count as smooth
LEAST = 100  # patches to measure
SPLIT = 9  # frequencies i + j from here on are high: 28 of 64
BINS = 8  # brightnesses at which noise is measured


def estimate_noise(x: np.ndarray) -> float:
    """The standard deviation of Gaussian noise in a picture (H, W) or (H, W, C), in its units.

    Takes the cosine transform of patches of 8 x 8, picks the 2 percent with the least energy in
    the low frequencies, and measures the energy of these in the high ones. Noise is independent
    between frequencies, so that picking by the low ones does not favour quiet patches.
    Ponomarenko et al. 2007, as described by Colom and Buades 2013. Patches in which several
    pixels have the smallest or largest value of the picture are left out, as long as enough
    others remain: there the noise was clipped, and looks smaller than it is.

    At most 30,000 patches are looked at, the same ones at each call. Channels are averaged in
    the square. DataError for a picture below 16 x 16.
    """
    if x.ndim not in (2, 3) or min(x.shape[:2]) < 2 * SIDE:
        raise DataError(
            f"The noise of a picture of shape {x.shape} cannot be measured; "
            f"at least {2 * SIDE} x {2 * SIDE} pixels are needed."
        )
    channels = [x] if x.ndim == 2 else [x[..., i] for i in range(x.shape[2])]
    return float(np.sqrt(np.mean([_variance(_patches(channel)) for channel in channels])))


def noise_curve(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How the noise of one channel (H, W) grows with brightness: (means (8,), variances (8,)).

    As `estimate_noise`, within eighths of the patches from dark to bright. Where all patches of
    an eighth are rich in detail, the variance is too large. DataError for a picture below 16 x 16.
    """
    if min(x.shape) < 2 * SIDE:
        raise DataError(f"The noise of a picture of shape {x.shape} cannot be measured.")
    patches = _patches(x)
    means = patches.mean((1, 2))
    groups = np.array_split(np.argsort(means), BINS)
    found = [(means[group].mean(), _variance(patches[group])) for group in groups]
    return np.array(found)[:, 0], np.array(found)[:, 1]


def _patches(x: np.ndarray) -> np.ndarray:
    """Patches (N, 8, 8) of one channel (H, W), random ones when there are many; not clipped."""
    windows = sliding_window_view(x, (SIDE, SIDE))
    height, width = windows.shape[:2]
    place = np.arange(height * width)
    if len(place) > PATCHES:
        place = np.random.default_rng(0).integers(len(place), size=PATCHES)
    patches = windows[place // width, place % width]
    clipped = ((patches == x.min()) | (patches == x.max())).sum((1, 2)) > 1
    if (~clipped).sum() >= LEAST:
        patches = patches[~clipped]
    return patches.astype(np.float64)


def cosines(side: int) -> np.ndarray:
    """The matrix of the orthonormal cosine transform (DCT-II): rows are frequencies."""
    i = np.arange(side)
    rows = np.cos(np.pi * (i + 0.5) * i[:, None] / side) * np.sqrt(2 / side)
    rows[0] = np.sqrt(1 / side)
    return rows


def _variance(patches: np.ndarray) -> float:
    """The variance of the noise in patches (N, 8, 8)."""
    basis, i = cosines(SIDE), np.arange(SIDE)
    energy = np.square(basis @ patches @ basis.T)
    order = i + i[:, None]
    low = energy[:, (order > 0) & (order < SPLIT)].sum(1)
    count = min(len(low), max(LEAST, round(SHARE * len(low))))
    smooth = np.argpartition(low, count - 1)[:count]
    return float(np.median(energy[smooth][:, order >= SPLIT].mean(0)))
