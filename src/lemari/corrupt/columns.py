"""Columns of a table that the encoder does not see."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.types import Batch, View


class MissingColumns(nn.Module):
    """A share of the values of each row is missing, and replaced by 0: the column's mean.

    Always at least one value is missing and one is seen. `view.seen` (B, D) is 0 where missing.
    """

    planes = 0

    def __init__(self, share: float = 0.25) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise UsageError(f"The missing share of columns is between 0 and 1, not {share:g}.")
        self.share = share

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data; UsageError for a single column."""
        if shape[0] < 2:
            raise UsageError(
                "A table of one column (n_features=1) has nothing to fill a hole from; give more "
                "columns, or use ae."
            )
        return tuple(shape)

    def forward(self, batch: Batch) -> View:
        if batch.given is not None:
            return self.given(batch.given)
        rows, columns = batch.x.shape
        hidden = min(columns - 1, max(1, round(self.share * columns)))
        rank = torch.rand(rows, columns, device=batch.x.device).argsort(1).argsort(1)
        seen = (rank >= hidden).to(batch.x)
        return self.given(batch.x * seen, seen=seen)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of rows x whose holes already hold 0."""
        return View(x, seen)
