"""Restore a picture: fit a network to its channels, its depth, its mask, and run it in tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lemari.degrade import upscale
from lemari.errors import DataError, UsageError
from lemari.picture_files import Picture
from lemari.tasks.own_value import with_own_value
from lemari.tasks.tiling import MOST_TILE, Progress, Tileable, run_tiles

MOST_RESULT = 800_000_000  # pixels
LARGE, CROP = 4 << 20, 1024  # pixels above which noise is estimated from crops, and their side
LUMA = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


class Restorer(Protocol):
    """A restoration network with what must be known to run it.

    `task` is denoise, upscale or inpaint; `channels` 1 or 3; `scale` 1 to 4. Sides of x must be
    multiples of `multiple` and at least `smallest`; pixels further than `halo` do not matter.
    """

    task: str
    channels: int
    scale: int
    multiple: int
    halo: int
    smallest: int
    takes_level: bool

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        """x (B, C, H, W) in [0, 1], level (B,), seen (B, 1, H, W) -> (B, C, s*H, s*W)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class How:
    """How to restore: noise (part of the pixel range; None: estimated), strength 0 to 1, ..."""

    noise: float | None = None
    strength: float = 1.0
    mask: np.ndarray | None = None  # (H, W) bool, True where to fill
    best: bool = False
    uncertainty: bool = False
    tile: int = 256


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """New pixels (H, W, C) and alpha (H, W), the spread of 8 views, and what was measured."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    spread: np.ndarray | None
    noise: float | None
    clipped: float


class Wrapped:
    """A network around another one, which keeps its sizes."""

    def __init__(self, net: Tileable, least_halo: int = 0) -> None:
        self.net = net
        self.scale, self.multiple, self.smallest = net.scale, net.multiple, net.smallest
        self.halo = max(net.halo, least_halo)


class Bicubic:
    """Enlarge by bicubic interpolation, the same one that networks start from."""

    multiple, halo, smallest = 1, 3, 1

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        return upscale(x, self.scale)


class Channels(Wrapped):
    """A network for 1 or 3 channels, on pictures with the other number of them.

    Gray on colour: each channel by itself; when enlarging, the luma of BT.601 by the network and
    both chromas bicubic. Colour on gray: the mean of three equal channels.
    """

    def __init__(self, net: Restorer) -> None:
        super().__init__(net, 3 if net.scale > 1 else 0)
        self.restorer = net
        self.luma = torch.tensor(LUMA)

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        has, takes = x.shape[1], self.restorer.channels
        if has == takes:
            return self.restorer(x, level, seen)
        if takes == 3:
            return self.restorer(x.expand(-1, 3, -1, -1), level, seen).mean(1, keepdim=True)
        if self.restorer.task == "upscale":
            return self.by_luma(x, level, seen)
        level = None if level is None else level.repeat_interleave(has)
        seen = None if seen is None else seen.repeat_interleave(has, 0)
        return self.restorer(x.flatten(0, 1)[:, None], level, seen).unflatten(0, (-1, has))[:, :, 0]

    def by_luma(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        parts = torch.einsum("ij,bjhw->bihw", self.luma, x)
        y = self.restorer(parts[:, :1].contiguous(), level, seen)
        chroma = Bicubic(self.scale)(parts[:, 1:], None, None)
        return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(self.luma), torch.cat([y, chroma], 1))


class EightViews(Wrapped):
    """The mean over the 8 flips and turns of the input; with `spread`, one more channel.

    That channel is the standard deviation over the views, as root mean square over the channels.
    """

    def __init__(self, net: Tileable, spread: bool) -> None:
        super().__init__(net)
        self.spread = spread

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        first = self.net(x, level, seen)
        total = squares = torch.zeros_like(first)
        for view in range(1, 8):
            mask = None if seen is None else turned(seen, view)
            away = turned_back(self.net(turned(x, view), level, mask), view) - first
            total, squares = total + away, squares + away.square()
        mean = total / 8
        if not self.spread:
            return first + mean
        variance = (squares / 8 - mean.square()).clamp_min(0).mean(1, keepdim=True)
        return torch.cat([first + mean, variance.sqrt()], 1)


def turned(x: Tensor, view: int) -> Tensor:
    """View 0 to 7 of (B, C, H, W): 4 turns, and 4 turns of the mirror image."""
    return torch.rot90(x.flip(3) if view >= 4 else x, view % 4, (2, 3)).contiguous()


def turned_back(x: Tensor, view: int) -> Tensor:
    straight = torch.rot90(x, -(view % 4), (2, 3))
    return straight.flip(3) if view >= 4 else straight


class Keep(Wrapped):
    """Move only part of the way from the input, hide what is to be filled, keep the rest."""

    def __init__(self, net: Tileable, strength: float) -> None:
        super().__init__(net)
        self.strength = strength

    def __call__(self, x: Tensor, level: Tensor | None, seen: Tensor | None) -> Tensor:
        made = self.net(x if seen is None else x * seen, level, seen)
        if self.scale > 1:
            return made
        body, spread = made[:, : x.shape[1]], made[:, x.shape[1] :]
        if self.strength < 1:
            body = x + self.strength * (body - x)
        if seen is not None:
            body, spread = torch.where(seen > 0, x, body), spread * (1 - seen)
        return torch.cat([body, spread], 1)


def check(restorer: Restorer, how: How) -> None:
    """Raise UsageError for what does not fit the model's task."""
    task = restorer.task
    if how.noise is not None and not 0 <= how.noise <= 1:
        raise UsageError(
            f"--noise is a part of the pixel range, 0 to 1, not {how.noise:g}; a sigma of 25 on "
            "0 to 255 is 0.098."
        )
    if how.noise is not None and not restorer.takes_level:
        raise UsageError("This model does not take a noise level; leave --noise out.")
    if not 0 <= how.strength <= 1:
        raise UsageError(f"--strength is 0 to 1, not {how.strength:g}.")
    if task == "upscale" and how.strength != 1:
        raise UsageError("--strength is not for enlarging; leave it out.")
    if task == "inpaint" and how.mask is None:
        raise UsageError(
            "This model fills places; give a picture with --mask that is white where to fill."
        )
    if task != "inpaint" and how.mask is not None:
        raise UsageError(f"--mask is for models that fill places, and this one does {task}.")


def restore_picture(
    restorer: Restorer, picture: Picture, how: How, progress: Progress | None = None
) -> Restored:
    """Run the network over a picture; raises DataError when mask or size do not fit."""
    pixels, scale = picture.pixels, restorer.scale
    height, width = pixels.shape[:2]
    if height * width * scale**2 > MOST_RESULT:
        raise DataError(
            f"The result would have {width * scale}x{height * scale} pixels, over the limit of "
            f"{MOST_RESULT:,}; cut the picture into parts."
        )
    seen = None
    if restorer.task == "inpaint" and how.mask is not None:
        if how.mask.shape != (height, width):
            tall, wide = how.mask.shape
            raise DataError(
                f"The mask has {wide}x{tall} pixels and the picture {width}x{height}; "
                "give a mask of the picture's size."
            )
        seen = (~how.mask).astype(np.uint8)
    noise = None
    if restorer.takes_level:
        noise = estimated(pixels) if how.noise is None else how.noise
        low, high = getattr(restorer, "trained_levels", (0.0, 1.0))
        noise = min(max(noise, low), high)  # beyond what it was trained for, the nearest
    if hasattr(restorer, "exact"):
        restorer.exact(pixels.dtype == np.uint16)  # pyright: ignore[reportAttributeAccessIssue]
    net: Tileable = Channels(restorer)
    if getattr(restorer, "blind_spot", False):
        net = with_own_value(net, parts_of(pixels))
    if how.best or how.uncertainty:
        net = EightViews(net, how.uncertainty)
    tile = how.tile if getattr(restorer, "any_size", True) else MOST_TILE
    made = run_tiles(Keep(net, how.strength), pixels, noise, seen, tile, progress=progress)
    alpha = picture.alpha
    if alpha is not None and scale > 1:
        alpha = run_tiles(Bicubic(scale), alpha[..., None]).pixels[..., 0]
    return Restored(made.pixels, alpha, made.spread, noise, made.clipped)


def parts_of(pixels: np.ndarray) -> list[np.ndarray]:
    """The picture (H, W, C) in float32 in [0, 1]; of a large one five parts of it."""
    height, width = pixels.shape[:2]
    limit = np.float32(np.iinfo(pixels.dtype).max)
    if height * width <= LARGE:
        return [pixels.astype(np.float32) / limit]
    h, w = min(height, CROP), min(width, CROP)
    places = [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)]
    corners = [(int(a * (height - h)), int(b * (width - w))) for a, b in places]
    return [pixels[y : y + h, x : x + w].astype(np.float32) / limit for y, x in corners]


def estimated(pixels: np.ndarray) -> float:
    """The noise of a picture (H, W, C); of a large one the median of five parts of it."""
    from lemari.noise_level import estimate_noise

    height, width, channels = pixels.shape
    values = parts_of(pixels)
    try:
        found = [float(estimate_noise(v[..., 0] if channels == 1 else v)) for v in values]
    except DataError:
        raise DataError(
            f"A picture of {width}x{height} pixels is too small to measure its noise; "
            "give it with --noise."
        ) from None
    return float(np.clip(np.median(found), 0, 1))
