"""What the model is told besides the picture: c, of width C."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.types import Batch, Schema


class Unlabelled(nn.Module):
    """Nothing: C = 0."""

    width = 0

    def forward(self, batch: Batch) -> Tensor:
        return batch.x.new_zeros((len(batch.x), 0))


def labels_of(data: Schema) -> OneHot:
    """The classes of the data as a condition; UsageError where it has none."""
    if not data.classes:
        raise UsageError(
            "A conditional VAE needs labels, but the data has none; put the pictures into class "
            "folders, pass y to fit, or use --variant vae."
        )
    return OneHot(len(data.classes))


class OneHot(nn.Module):
    """The class as a one-hot row; zeros where it is not known.

    In training a share `hidden` of the labels is withheld, so that the model also learns to work
    without one, and examples without labels can be embedded and scored.
    """

    def __init__(self, classes: int, hidden: float = 0.1) -> None:
        super().__init__()
        self.width, self.hidden = classes, hidden

    def forward(self, batch: Batch) -> Tensor:
        if batch.y is None:
            return batch.x.new_zeros((len(batch.x), self.width))
        known = batch.y >= 0
        if self.training and self.hidden:
            known = known & (torch.rand(known.shape, device=known.device) >= self.hidden)
        rows = F.one_hot(batch.y.clamp(min=0), self.width).to(batch.x.dtype)
        return rows * known.unsqueeze(1)
