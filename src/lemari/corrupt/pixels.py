"""Pixels that the encoder does not see."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn

from lemari import degrade
from lemari.errors import UsageError
from lemari.types import Batch, View

FILL = 0.5


class Missing(nn.Module):
    """A share of the pixels is missing, singly or in blocks, and replaced by 0.5.

    `view.seen` (B, 1, H, W) is 0 there; with `plane` the encoder gets it as a plane.
    """

    fill = FILL
    reach = 0  # pixels around a hole that its first filling depends on

    def __init__(self, share: float = 0.25, block: int = 1, plane: bool = False) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise UsageError(f"The missing share of pixels is from 0 to below 1, not {share:g}.")
        if block < 1:
            raise UsageError(f"Missing blocks are at least 1 pixel wide, not {block}.")
        self.share, self.block, self.planes = share, block, int(plane)

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data, with a channel more for the plane."""
        return (shape[0] + self.planes, *shape[1:])

    def forward(self, batch: Batch) -> View:
        if batch.given is not None:
            return self.given(batch.given)
        seen = degrade.missing(batch.x, self.share, self.block)
        return self.given(self.filled(batch.x, seen), seen=seen)

    def filled(self, x: Tensor, seen: Tensor) -> Tensor:
        """Pictures whose holes, 0 in `seen` (B, 1, H, W), hold what the encoder is to see there."""
        return torch.where(seen > 0, x, FILL)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of pictures x with filled holes (see `filled`), 0 in `seen` (B, 1, H, W).

        UsageError when the mask is needed as a plane and was not given.
        """
        if not self.planes:
            return View(x, seen)
        if seen is None:
            raise UsageError(
                "This model needs to know which pixels are missing; give a mask with the picture."
            )
        return View(torch.cat((x, seen.to(x)), 1), seen)


class Filled(Missing):
    """Missing pixels are replaced by the means of the known ones around them.

    A network that corrects its input so starts from a fair guess instead of from gray.
    """

    reach = degrade.FILL_REACH

    def filled(self, x: Tensor, seen: Tensor) -> Tensor:
        return degrade.fill_holes(x, seen)


class BlindSpot(nn.Module):
    """For training on noisy pictures alone: some pixels are replaced by a neighbour.

    The network must tell them from what is around. The noise around says nothing about the
    noise of the pixel, so the best answer is the clean value. About `share` of the pixels are
    picked, spread evenly, and each takes the value of another pixel at most `radius` rows and
    columns away. `view.seen` (B, 1, H, W) is 0 there: the loss is to be taken only there.
    Krull et al. 2019 (Noise2Void), Batson and Royer 2019 (Noise2Self).
    """

    planes = 0

    def __init__(self, share: float = 0.06, radius: int = 2) -> None:
        super().__init__()
        if not 0 < share <= 0.5:
            raise UsageError(f"The picked share of pixels is above 0, up to 0.5, not {share:g}.")
        if radius < 1:
            raise UsageError(f"The radius of the neighbours is at least 1 pixel, not {radius}.")
        self.share, self.radius = share, radius

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data."""
        return tuple(shape)

    def forward(self, batch: Batch) -> View:
        if batch.given is not None:
            return self.given(batch.given)
        x = batch.x
        if x[0, 0].numel() < 2:
            raise UsageError("A picture of one pixel has no neighbours; give larger pictures.")
        n, row, column = self._picked(x)
        y, seen = x.clone(), torch.ones_like(x[:, :1])
        seen[n, :, row, column] = 0
        y[n, :, row, column] = x[(n, slice(None), *self._neighbour(row, column, x))]
        return View(y, seen)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of a noisy picture that is to be cleaned: the picture itself."""
        return View(x, seen)

    def _picked(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Picture, row and column of the picked pixels: at most one in each cell of a grid."""
        (batch, _, height, width), cell = x.shape, isqrt(int(1 / self.share))
        cells = (batch, -(-height // cell), -(-width // cell))
        place = torch.randint(cell**2, cells, device=x.device)
        keep = torch.rand(cells, device=x.device) < self.share * cell**2
        n, down, right = torch.nonzero(keep, as_tuple=True)
        row, column = down * cell + place[keep] // cell, right * cell + place[keep] % cell
        inside = (row < height) & (column < width)
        return n[inside], row[inside], column[inside]

    def _neighbour(self, row: Tensor, column: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of another pixel near each one, all of them equally likely."""
        height, width = x.shape[2:]
        top, left = (row - self.radius).clamp(min=0), (column - self.radius).clamp(min=0)
        high = (row + self.radius).clamp(max=height - 1) - top + 1
        wide = (column + self.radius).clamp(max=width - 1) - left + 1
        own, others = (row - top) * wide + column - left, high * wide - 1
        k = (torch.rand(len(row), device=x.device) * others).long().minimum(others - 1)
        k = k + (k >= own)
        return top + k // wide, left + k % wide
