"""The records that travel through Lemari: frozen, without behaviour.

Letters: B batch, K draws of the code, S shape of one example, Z shape of one code, C width of
the condition. A row of images is stored channels first: S = (channels, height, width).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from lemari.laws import Density, Law

Kind = Literal["image", "table", "sequence"]


@dataclass(frozen=True, slots=True)
class Schema:
    """What one example looks like: all that a network needs to know of the data.

    `levels` is the number of steps between the smallest and the largest value (255 for 8-bit
    pixels, 65535 for 16-bit, 0 when values are continuous); `columns` names a table's columns.
    """

    kind: Kind
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    levels: int = 0
    columns: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Numbers in one example."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or row that was passed over, with the reason in a few words."""

    item: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples ready for training, as they are stored: row i is `x[i]`, of shape S.

    `x` is uint8, uint16 or float32 and may be a memory map; `y` holds class numbers (int64, -1
    where unknown) or is None; `ids` names each row (file name, row number). `strange` are classes
    of the data that the format does not know: rows of theirs have -1.
    """

    x: np.ndarray
    y: np.ndarray | None
    ids: tuple[str, ...]
    classes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    strange: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step is given. The target `x` is always clean."""

    x: Tensor  # (B, *S) float32
    y: Tensor | None = None  # (B,) int64 class number
    w: Tensor | None = None  # (B, *S) 0 where missing or padding
    given: Tensor | None = None  # (B, *S2) degraded input that came with the data
    rows: Tensor | None = None  # (B,) int64 position of each example in its feed


@dataclass(frozen=True, slots=True)
class View:
    """All that the encoder may see."""

    x: Tensor  # (B, *S)
    seen: Tensor | None = None  # (B, *S) 1 where a value was kept


@dataclass(frozen=True, slots=True)
class Trace:
    """One forward pass, recorded: all that a term may read."""

    batch: Batch
    view: View
    c: Tensor  # (B, C); C = 0 when unconditional
    q: Law  # q(z | view, c): batch (B,), event Z
    z: Tensor  # (K, B, *Z)
    prior: Law  # p(z | c): batch (B,), event Z
    p: Density  # p(x | z, c): batch (K, B), event S
    step: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """Training reached (epoch, step): a moment at which it may be shown, saved or stopped."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows. All losses are nats per example."""

    number: int
    loss: float
    terms: Mapping[str, float]
    valid: Mapping[str, float]
    seconds: float
    rate: float
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the user should know: what was seen, the numbers, and the one thing to change."""

    name: str
    severity: Literal["info", "warning", "error"]
    evidence: str
    remedy: str
