"""Codes most of whose numbers are 0, or near it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.laws import Point

CURVES = {"l1": F.softplus, "kl": torch.sigmoid}


class SparseCode(nn.Module):
    """A point of positive numbers: from 0 up for `l1` (softplus), between 0 and 1 for `kl`.

    Both come as near to 0 as they like and keep a slope there; a number that is cut off at 0 for
    every example could never come back.
    """

    heads = 1
    traits = frozenset({"point"})

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, h: Tensor) -> Point:
        return Point(CURVES[self.kind](h), event=h.dim() - 1)
