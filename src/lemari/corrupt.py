"""From the clean target to what the encoder sees."""

from __future__ import annotations

from torch import nn

from lemari.types import Batch, View


class Clean(nn.Module):
    """The encoder sees the target itself, or the degraded input that came with the data."""

    def forward(self, batch: Batch) -> View:
        return View(batch.x if batch.given is None else batch.given)
