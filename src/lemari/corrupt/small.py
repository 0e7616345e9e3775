"""Pictures with fewer pixels."""

from __future__ import annotations

from torch import Tensor, nn

from lemari import degrade
from lemari.errors import UsageError
from lemari.types import Batch, View


class Downscale(nn.Module):
    """The encoder sees a picture whose sides are `scale` times shorter (2, 3 or 4).

    `kind` is "bicubic" (as MATLAB's imresize) or "area" (means of blocks). With `back` the small
    picture is enlarged again by bicubic, so that a network for the full size takes it.
    """

    planes = 0

    def __init__(self, scale: int = 2, kind: str = "bicubic", back: bool = False) -> None:
        super().__init__()
        degrade.check_scale(scale)
        if kind not in degrade.KINDS:
            raise UsageError(f"Pictures are made smaller by bicubic or area, not by '{kind}'.")
        self.scale, self.kind, self.back = scale, kind, back

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`; UsageError unless the sides are multiples of the scale."""
        channels, height, width = shape
        degrade.check_sides(height, width, self.scale)
        if self.back:
            return channels, height, width
        return channels, height // self.scale, width // self.scale

    def forward(self, batch: Batch) -> View:
        x = batch.given
        if x is None:
            self.shape_of(tuple(batch.x.shape[1:]))
            x = degrade.downscale(batch.x, self.scale, self.kind)
        if self.back and x.shape[2:] != batch.x.shape[2:]:
            height, width = batch.x.shape[2:]
            x = degrade.upscale(x, (height, width))
        return self.given(x)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of a picture as it is: small or, for `back`, already enlarged."""
        return View(x, seen)
