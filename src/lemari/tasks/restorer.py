"""A trained model as a `Restorer`: what `lemari restore` runs over pictures of any size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lemari.corrupt import BlindSpot, Downscale, Missing
from lemari.degrade import upscale
from lemari.errors import DataError, UsageError
from lemari.formats import ImageFormat
from lemari.latents.point import NoPrior
from lemari.machine import fast_bfloat16
from lemari.registry import nearest
from lemari.store import Fitted
from lemari.tasks.pairing import VARIANT_OF

MODELS = Path(__file__).parents[1] / "models"
TASKS = {variant: task for task, variant in VARIANT_OF.items()}


class ModelRestorer:
    """A fitted model; networks with a bottleneck take pictures of their own size only."""

    smallest = 1

    def __init__(self, fitted: Fitted) -> None:
        self.fitted, self.model = fitted, fitted.model.eval()
        self.task = TASKS[fitted.recipe.variant]
        self.corrupt, net = self.model.corrupt, self.model.decoder.net
        self.channels, *self.own_size = self.model.data.shape
        self.scale = self.corrupt.scale if isinstance(self.corrupt, Downscale) else 1
        self.any_size = hasattr(net, "halo")
        reach = getattr(self.corrupt, "reach", 0)
        self.multiple, self.halo = (net.multiple, net.halo + reach) if self.any_size else (1, 0)
        self.takes_level = self.task == "denoise" and bool(self.corrupt.planes)
        self.blind_spot = isinstance(self.corrupt, BlindSpot) and self.any_size
        self.fast = self.model.mixed and fast_bfloat16()
        self.model.mixed = self.fast

    @property
    def trained_levels(self) -> tuple[float, float]:
        """The least and the largest noise that the network was trained for."""
        return self.corrupt.low, self.corrupt.high

    def exact(self, wanted: bool) -> None:
        """Whether to work in full precision, as pictures of 16 bits need it."""
        self.model.mixed = self.fast and not wanted

    @torch.no_grad()
    def __call__(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None):
        """x (B, C, H, W) in [0, 1], level (B,), seen (B, 1, H, W) -> (B, C, s*H, s*W).

        Raises DataError for a size that the network cannot take.
        """
        if not self.any_size:
            self.check_size(x)
        if isinstance(self.corrupt, Downscale) and self.corrupt.back:
            x = upscale(x, self.scale)
        if isinstance(self.corrupt, Missing):
            if seen is None:
                raise UsageError("Filling holes needs a mask; give a picture that is white there.")
            x = self.corrupt.filled(x, seen)
        view = self.corrupt.given(x, level if self.takes_level else None, seen)
        nothing = x.new_zeros((len(x), self.model.condition.width))
        q = self.model.encode(view, nothing)
        return self.model.decode(q.mean.unsqueeze(0), nothing).mean[0]

    def check_size(self, x: Tensor) -> None:
        height, width = (side // self.scale for side in self.own_size)
        if tuple(x.shape[2:]) != (height, width):
            raise DataError(
                f"This network has a bottleneck and takes pictures of {height}x{width} pixels "
                f"only, not {x.shape[2]}x{x.shape[3]}; train with --network unet for any size."
            )


def restorer_of(run: Path | str) -> ModelRestorer:
    """The restorer of a run folder. Raises UsageError when the run does not restore."""
    fitted = Fitted.load(run)
    if fitted.recipe.variant not in TASKS:
        raise UsageError(
            f"{run} is a {fitted.recipe.variant}, which does not restore pictures; train one with "
            "--task denoise, upscale or inpaint."
        )
    assert isinstance(fitted.format, ImageFormat)
    if fitted.format.shape[0] not in (1, 3):
        raise UsageError(
            f"{run} was trained on pictures of {fitted.format.shape[0]} channels; restoring takes "
            "gray or colour (train with --channels 1 or 3)."
        )
    return ModelRestorer(fitted)


def need_code(fitted: Fitted, run: str) -> None:
    """A UsageError for a network with skips, which has no code to write, draw or decode."""
    if isinstance(fitted.model.prior, NoPrior):
        raise UsageError(
            f"{run} restores with skips and has no code; use `lemari restore {run} FILES`, or "
            "train with --network residual to get one."
        )


def built_in(name: str) -> ModelRestorer:
    """A model that comes with the package: gray-denoise, color-denoise, x2, x4."""
    names = sorted(folder.parent.name for folder in MODELS.glob("*/index.json"))
    if name not in names:
        raise UsageError(nearest(name, names, "built-in model"))
    return ModelRestorer(Fitted.load(MODELS / name))
