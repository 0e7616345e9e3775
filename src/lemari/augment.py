"""Pictures turned into other pictures of the same kind, while training.

Everything random comes from torch's default generator, which the training seeds before each step.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.types import Batch, Schema

AUGMENTATIONS = ("none", "flip", "dihedral")


def check_augment(name: str, data: Schema) -> None:
    """Raise UsageError where this data cannot be augmented in this way."""
    if name not in AUGMENTATIONS:
        raise UsageError(f"augment is {', '.join(AUGMENTATIONS)}, not {name!r}.")
    if name == "none":
        return
    if data.kind != "image":
        raise UsageError(
            f"augment {name!r} mirrors pictures, but the data is a {data.kind}; use augment 'none'."
        )
    height, width = data.shape[1:]
    if name == "dihedral" and height != width:
        raise UsageError(
            f"augment 'dihedral' turns square pictures, but these are {height}x{width}; use "
            "augment 'flip', or make them square with --size."
        )


def augment(name: str, batch: Batch) -> Batch:
    """Each picture of a batch by itself, mirrored left-right with probability 1/2 (flip), or put
    through one of the 8 symmetries of the square, all equally likely (dihedral).

    Weights and degraded inputs go the way of their picture. `none` draws nothing.
    """
    if name == "none":
        return batch
    moves = 1 if name == "flip" else 3
    chosen = (torch.rand(moves, len(batch.x)) < 0.5).to(batch.x.device)
    parts = {"x": batch.x, "w": batch.w, "given": batch.given}
    moved = {key: move(part, chosen) for key, part in parts.items() if part is not None}
    return replace(batch, **moved)


def move(x: Tensor, chosen: Tensor) -> Tensor:
    """Mirror left-right, mirror up-down and transpose, each where chosen. (B, C, H, W) -> same.

    `chosen` is (1 or 3, B). The 8 choices out of 3 are the 8 symmetries of the square, each once.
    """
    for how, where in enumerate(chosen):
        other = x.transpose(2, 3) if how == 2 else x.flip(3 - how)
        x = torch.where(where.view(-1, 1, 1, 1), other, x)
    return x
