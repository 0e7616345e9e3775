"""What the restoration benchmark compares with: test pictures, classic methods, published figures.

BM3D needs `pip install bm3d`, non-local means `pip install scikit-image`; they are used here only
and are never needed by the package. Without them these rows are left out, with a note.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lemari.degrade import upscale
from lemari.errors import DataError, UsageError
from lemari.metrics.wiener import Wiener, fit_wiener, median
from lemari.tasks.own_value import with_own_value
from lemari.tasks.restore import Channels, EightViews
from lemari.tasks.restorer import ModelRestorer
from lemari.tasks.tiling import mirrored, up

SETS = {
    "bsd68": "bsd68_gray.tar",
    "set12": "set12_gray.tar",
    "set5": "set5_rgb_mod4.tar",
    "set14": "set14_rgb_mod4.tar",
    "kodak24": "kodak24_rgb.tar",
}
NEVER_SHOWN = {("set12", "08.png"), ("set14", "set14_009.png")}  # Lenna
FITTED = 12_000  # training pairs of the linear filter

# Mean PSNR in dB over a set, as published: BM3D and DnCNN by Zhang et al. 2017, bicubic and SRCNN
# by Dong et al. 2016 and Kim et al. 2016. Keys are the job, the set, and sigma or the scale.
PUBLISHED: dict[tuple[str, str, float], dict[str, float]] = {
    ("gray", "bsd68", 15): {"BM3D": 31.07, "DnCNN": 31.73},
    ("gray", "bsd68", 25): {"BM3D": 28.57, "DnCNN": 29.23},
    ("gray", "bsd68", 50): {"BM3D": 25.62, "DnCNN": 26.23},
    ("sr", "set5", 2): {"bicubic": 33.64, "SRCNN": 36.66},
    ("sr", "set5", 3): {"bicubic": 30.39, "SRCNN": 32.75},
    ("sr", "set5", 4): {"bicubic": 28.42, "SRCNN": 30.49},
    ("sr", "set14", 2): {"bicubic": 30.22},
    ("sr", "set14", 3): {"bicubic": 27.55},
    ("sr", "set14", 4): {"bicubic": 26.00},
}
# Measured before with other code, which is not at hand; shown beside the baselines of today.
REFERENCES: dict[tuple[str, str, float], dict[str, float]] = {
    ("small", "fashion-mnist", 0.1): {"PCA-Wiener": 24.33},
    ("small", "fashion-mnist", 0.3): {"PCA-Wiener": 18.34},
    ("small", "fashion-mnist", 0.5): {"PCA-Wiener": 15.72},
    ("small", "mnist", 0.1): {"PCA-Wiener": 24.76},
    ("small", "mnist", 0.3): {"PCA-Wiener": 18.50},
    ("small", "mnist", 0.5): {"PCA-Wiener": 15.86},
    ("small-sr", "fashion-mnist", 2): {"bicubic": 19.44},
    ("small-sr", "mnist", 2): {"bicubic": 20.57},
}


def folder() -> Path:
    if not os.environ.get("LEMARI_DATA"):
        raise DataError("The benchmark needs its data; set LEMARI_DATA to the folder with it.")
    return Path(os.environ["LEMARI_DATA"]) / "denoise-sr"


def pictures(name: str, first: int | None = None) -> list[tuple[str, np.ndarray]]:
    """The (file, pixels) of a test set: float64 (H, W, C) in [0, 1], C 1 or 3 as in the file."""
    path = folder() / SETS[name]
    if not path.is_file():
        raise DataError(f"{path} is not there; put it there, or choose other --sets.")
    found = []
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        for member in members[:first]:
            content = archive.extractfile(member)
            assert content is not None
            with Image.open(io.BytesIO(content.read())) as picture:
                pixels = np.array(picture.convert("L" if picture.mode == "L" else "RGB"))
            pixels = pixels[..., None] if pixels.ndim == 2 else pixels
            found.append((Path(member.name).name, pixels / 255))
    return found


def to_tensor(x: np.ndarray) -> Tensor:
    """(H, W, C) -> (1, C, H, W), same type."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, 2, 0)))[None]


def to_array(x: Tensor) -> np.ndarray:
    """(1, C, H, W) -> (H, W, C)."""
    return np.moveaxis(x[0].numpy(), 0, 2)


def through(
    restorer: ModelRestorer, x: np.ndarray, level: float | None = None, best: bool = False
) -> np.ndarray:
    """The network over a whole picture x (H, W, C) of any size and any values, limited to [0, 1].

    Sides are mirrored up to what the network takes; `level` is sigma on the scale 0 to 1.
    """
    net = Channels(restorer)
    if restorer.blind_spot:
        net = with_own_value(net, [x.astype(np.float32)])
    net = EightViews(net, False) if best else net
    height, width = x.shape[:2]
    rows, columns = (
        mirrored(0, up(max(n, net.smallest), net.multiple), n) for n in (height, width)
    )
    levels = None if level is None or not restorer.takes_level else torch.tensor([float(level)])
    shown = to_tensor(x[np.ix_(rows, columns)].astype(np.float32))
    with torch.no_grad():
        made = net(shown, levels, None)
    made = made[:, :, : height * net.scale, : width * net.scale]
    return to_array(made.float().clamp(0, 1)).astype(np.float64)


def by_median(y: np.ndarray, sigma: float) -> np.ndarray:
    return to_array(median(to_tensor(y)))


def by_bicubic(x: np.ndarray, scale: int) -> np.ndarray:
    return to_array(upscale(to_tensor(x), scale))


def by_nlm(y: np.ndarray, sigma: float, fast: bool = True) -> np.ndarray:
    """Non-local means of scikit-image, as its documentation sets it when sigma is known."""
    from skimage.restoration import denoise_nl_means

    h = (0.8 if fast else 0.6) * sigma
    axis = None if y.shape[2] == 1 else 2
    made = denoise_nl_means(
        y.squeeze(2) if axis is None else y,
        patch_size=5,
        patch_distance=6,
        h=h,
        sigma=sigma,
        fast_mode=fast,
        channel_axis=axis,
    )
    return made.reshape(y.shape)


def by_bm3d(y: np.ndarray, sigma: float) -> np.ndarray:
    """BM3D of its authors' package, default profile; colour pictures are grouped by luma."""
    import bm3d

    if y.shape[2] == 3:
        return np.asarray(bm3d.bm3d_rgb(y, sigma))
    return np.asarray(bm3d.bm3d(y[..., 0], sigma)).reshape(y.shape)


Method = Callable[[np.ndarray, float], np.ndarray]


def classic(nlm: bool = True) -> dict[str, Method]:
    """The quick baselines of denoising that are installed: (y, sigma) -> estimate."""
    found: dict[str, Method] = {"noisy": lambda y, sigma: y, "median 3x3": by_median}
    if nlm and there("skimage", "scikit-image"):
        found["NLM, sigma told"] = partial(by_nlm, fast=True)
    return found


def there(module: str, package: str) -> bool:
    """Whether a package for baselines is installed; says so when it is not."""
    if find_spec(module):
        return True
    print(f"left out, as {package} is not installed: pip install {package}", file=sys.stderr)
    return False


def noisy(x: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """x + N(0, sigma^2), not clipped; the same noise for the same seed."""
    return x + sigma * np.random.default_rng(seed).standard_normal(x.shape)


def fitted_filter(x: np.ndarray, y: np.ndarray) -> Wiener:
    """The linear filter of least squared error, from pairs of clean x (N, D) and degraded y."""
    return fit_wiener((y[i : i + 2000], x[i : i + 2000]) for i in range(0, len(x), 2000))


def pca_filter(x: np.ndarray, seen: np.ndarray, sigma: float) -> Wiener:
    """The filter without pairs: each component of PCA shrunk by lambda / (lambda + sigma^2).

    x is (N, D), clean; `seen` (D,) the mean of noisy pictures, which clipping has moved.
    """
    mean = x.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(x.astype(np.float64), rowvar=False))
    values = values.clip(min=0)
    return Wiener(mean, seen, (vectors * (values / (values + sigma**2))) @ vectors.T)


def check_task(restorers: dict[str, ModelRestorer], task: str) -> None:
    """UsageError unless every run does the task."""
    for name, restorer in restorers.items():
        if restorer.task != task:
            raise UsageError(f"{name} does {restorer.task}; this job needs a run that does {task}.")
