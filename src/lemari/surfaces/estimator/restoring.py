"""Estimators that restore pictures: `DenoisingAE(noise="0:0.2").fit(clean).restore(noisy)`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from lemari.errors import DataError, UsageError
from lemari.formats import ImageFormat
from lemari.latents.point import NoPrior
from lemari.noise_level import estimate_noise
from lemari.surfaces.estimator.base import AutoencoderEstimator, estimator
from lemari.tasks.own_value import with_own_value
from lemari.tasks.restorer import ModelRestorer

BLOCK = 64
TRAINED = {"latent": None, "batch_size": 32, "lr": 2e-3}
SMALLEST = 16  # pixels: noise is not estimated on less


class RestoringEstimator(AutoencoderEstimator):
    """What estimators of restoring variants add: `restore`."""

    def restore(self, X: Any, *, noise: Any = None, mask: Any = None) -> np.ndarray:
        """Restored pictures, in the layout and range that `fit` was given.

        X holds pictures (N, H, W), (N, H, W, C) or (N, C, H, W) as in `fit`, of any one size
        unless the network has a bottleneck. `noise` is the standard deviation in units of the
        pixel range, one number or (N,), estimated when left out; `mask` (H, W) or (N, H, W) is
        true where pixels are missing. Pixels that are not missing are kept as they are.
        """
        check_is_fitted(self)
        net = ModelRestorer(self.fitted_)
        x = self._pictures(X, net.scale)
        seen = self._seen(mask, x) if net.task == "inpaint" else None
        levels = self._levels(noise, x) if net.takes_level else None
        parts = []
        with self._threads():
            for first in range(0, len(x), BLOCK):
                here = slice(first, first + BLOCK)
                level = None if levels is None else levels[here]
                if net.blind_spot:
                    made = torch.cat([self._with_own_value(net, one) for one in x[here]])
                else:
                    made = net(x[here], level, None if seen is None else seen[here])
                parts.append(made if seen is None else torch.where(seen[here] > 0, x[here], made))
        return self._laid_out(torch.cat(parts).clamp(0, 1).numpy(), np.asarray(X).ndim)

    def _with_own_value(self, net: ModelRestorer, one: torch.Tensor) -> torch.Tensor:
        """One noisy picture (C, H, W), restored: (1, C, H, W)."""
        part = np.moveaxis(one.numpy(), 0, 2)
        with torch.no_grad():
            return with_own_value(net, [part])(one[None], None, None)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Codes (N, latent) of pictures as they are; UsageError for a network without a code."""
        check_is_fitted(self)
        if isinstance(self.fitted_.model.prior, NoPrior):
            raise UsageError(
                "A network with skips has no code; use restore, or a network with a bottleneck."
            )
        return super().transform(X, y)

    def _pictures(self, X: Any, scale: int) -> torch.Tensor:
        """Pictures of any size as (N, C, H, W) in [0, 1]."""
        fmt, x = self.fitted_.format, np.asarray(X)
        assert isinstance(fmt, ImageFormat)
        channels, height, width = fmt.shape
        if x.ndim == 2:
            x = x.reshape(len(x), channels, height // scale, width // scale)
        elif x.ndim == 3 and channels == 1:
            x = x[:, None]
        elif x.ndim == 4 and x.shape[3] == channels and fmt.layout != "chw":
            x = np.moveaxis(x, 3, 1)
        if x.ndim != 4 or x.shape[1] != channels:
            raise DataError(
                f"Pictures of shape {np.shape(X)} were given, but this model needs {channels} "
                "channels: (N, H, W) for gray, (N, H, W, C) otherwise."
            )
        x = (x.astype(np.float32) - fmt.low) / (fmt.high - fmt.low)
        if not np.isfinite(x).all():
            raise DataError("Pictures hold values that are not finite; mask or replace them first.")
        return torch.from_numpy(np.ascontiguousarray(x))

    def _levels(self, noise: Any, x: torch.Tensor) -> torch.Tensor:
        """The noise of each picture, as given or estimated."""
        if noise is not None:
            return torch.as_tensor(noise, dtype=torch.float32).expand(len(x))
        if min(x.shape[2:]) < SMALLEST:
            raise UsageError(
                f"Noise cannot be estimated on pictures below {SMALLEST}x{SMALLEST} pixels; say "
                "how strong it is with noise=."
            )
        found = [estimate_noise(np.moveaxis(p.numpy(), 0, -1)) for p in x]
        return torch.tensor(found, dtype=torch.float32)

    def _seen(self, mask: Any, x: torch.Tensor) -> torch.Tensor:
        """1 where a pixel was measured, (N, 1, H, W)."""
        if mask is None:
            raise UsageError("Filling holes needs mask=, true where pixels are missing.")
        missing = torch.as_tensor(np.asarray(mask, bool))
        if tuple(missing.shape[-2:]) != tuple(x.shape[2:]):
            raise DataError(
                f"The mask is {'x'.join(map(str, missing.shape[-2:]))}, but the pictures are "
                f"{x.shape[2]}x{x.shape[3]}; give a mask of the same size."
            )
        return (~missing).float().view(-1, 1, *x.shape[2:]).expand(len(x), -1, -1, -1)

    def _laid_out(self, x: np.ndarray, dimensions: int) -> np.ndarray:
        """(N, C, H, W) in [0, 1] in the layout and range of the user's pictures."""
        fmt = self.fitted_.format
        assert isinstance(fmt, ImageFormat)
        x = fmt.low + (fmt.high - fmt.low) * x
        if dimensions == 2:
            return x.reshape(len(x), -1)
        if dimensions == 3:
            return x[:, 0]
        return x if fmt.layout == "chw" else np.moveaxis(x, 1, 3)


def restoring(name: str, variant: str, network: str) -> type[RestoringEstimator]:
    """The estimator class of a restoring variant."""
    return estimator(name, variant, RestoringEstimator, TRAINED | {"network": network})  # pyright: ignore


DenoisingAE = restoring("DenoisingAE", "denoising-ae", "unet")
SuperResolutionAE = restoring("SuperResolutionAE", "super-resolution-ae", "upscale")
InpaintingAE = restoring("InpaintingAE", "inpainting-ae", "unet")
CLASSES = {c.variant: c for c in (DenoisingAE, SuperResolutionAE, InpaintingAE)}
