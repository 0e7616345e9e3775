"""Rows in memory (or mapped from disk) as batches: gathered in blocks, never item by item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lemari.types import Batch

BLOCK_BYTES = 32 << 20


class Unit(Protocol):
    """A format: turns stored values into what the model sees."""

    def unit(self, x: Tensor) -> Tensor: ...


class Feed:
    """Some of the rows of an array (or of Patches), as the model sees them.

    `x` is (N, *S) uint8, uint16 or float32 and may be a memory map; `index` picks rows (all when
    None). Batches are cut from blocks of a few megabytes, so a gather and a conversion serve many
    training steps. `given` holds the degraded picture of each row, where the data has pairs.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray | None,
        format: Unit,
        index: np.ndarray | None = None,
        device: str = "cpu",
        given: np.ndarray | None = None,
    ) -> None:
        self.format, self.device = format, torch.device(device)
        self.index = np.arange(len(x)) if index is None else np.asarray(index, dtype=np.int64)
        self.x, self.y, self.given = x, y, given
        plain = not isinstance(x, np.memmap) and x.dtype != np.uint16 and x.flags.writeable
        self.resident = torch.from_numpy(x) if plain and x.flags.c_contiguous else None
        self.bytes_per_row = 4 * int(np.prod(x.shape[1:], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.index)

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """The positions of one epoch, in the order in which they are trained on: each once."""
        return rng.permutation(len(self))

    def gather(self, order: np.ndarray) -> Batch:
        """The rows at these positions (of the feed, not of the array), in this order."""
        rows = self.index[order]
        if self.resident is not None:
            x = self.resident.index_select(0, torch.from_numpy(rows))
        else:
            x = torch.from_numpy(np.ascontiguousarray(take(self.x, rows)))
        y = None if self.y is None else torch.from_numpy(self.y[rows]).to(self.device)
        at = torch.from_numpy(np.asarray(order, dtype=np.int64)).to(self.device)
        return Batch(self.format.unit(x.to(self.device)), y, given=self.degraded(rows), rows=at)

    def degraded(self, rows: np.ndarray) -> Tensor | None:
        """The degraded pictures that came with these rows of the array, where some did."""
        if self.given is None:
            return None
        x = torch.from_numpy(np.ascontiguousarray(take(self.given, rows)))
        return self.format.unit(x.to(self.device))

    def batches(
        self, batch_size: int, order: np.ndarray | None = None, start: int = 0
    ) -> Iterator[Batch]:
        """Batches in the given order of positions, from batch number `start` on."""
        order = np.arange(len(self)) if order is None else order
        block = batch_size * max(1, BLOCK_BYTES // (batch_size * self.bytes_per_row))
        for first in range(start * batch_size, len(order), block):
            whole = self.gather(order[first : first + block])
            for at in range(0, len(whole.x), batch_size):
                part = slice(at, at + batch_size)
                y = None if whole.y is None else whole.y[part]
                given = None if whole.given is None else whole.given[part]
                at_rows = None if whole.rows is None else whole.rows[part]
                yield Batch(whole.x[part], y, given=given, rows=at_rows)


def take(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of a memory map, read in file order; 16-bit values become int32, which torch knows."""
    ascending = np.argsort(rows, kind="stable")
    picked = x[rows[ascending]]
    back = np.empty_like(ascending)
    back[ascending] = np.arange(len(rows))
    picked = picked[back]
    return picked.astype(np.int32) if picked.dtype == np.uint16 else picked
