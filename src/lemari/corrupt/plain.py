"""Nothing is degraded: the target itself, or what came along with it."""

from __future__ import annotations

from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.types import Batch, View


class Clean(nn.Module):
    """The encoder sees the target itself, or the degraded input that came with the data."""

    planes = 0

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data."""
        return tuple(shape)

    def forward(self, batch: Batch) -> View:
        return View(batch.x if batch.given is None else batch.given)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of a picture that is taken as it is."""
        return View(x, seen)


class Given(nn.Module):
    """The encoder sees the degraded input that came with the data; UsageError if none did."""

    planes = 0

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data."""
        return tuple(shape)

    def forward(self, batch: Batch) -> View:
        if batch.given is None:
            raise UsageError(
                "This model learns from pairs of degraded and clean pictures, but only clean "
                "ones were given; give both, or choose a kind of noise to be added."
            )
        return View(batch.given)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of a picture that is taken as it is."""
        return View(x, seen)
