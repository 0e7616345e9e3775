"""Codes of examples, and examples of codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lemari.errors import DataError
from lemari.feed import Feed
from lemari.model import Autoencoder
from lemari.types import Batch, Rows

BLOCK = 512


@torch.no_grad()
def encode(model: Autoencoder, feed: Feed, progress=None) -> np.ndarray:
    """The posterior mean of each row, flattened: (N, D) float32."""
    model.eval()
    out: np.ndarray | None = None
    done = 0
    for batch in feed.batches(BLOCK):
        codes = code_of(model, batch).flatten(1).cpu().numpy()
        if out is None:
            out = np.empty((len(feed), codes.shape[1]), np.float32)
        out[done : done + len(codes)] = codes
        done += len(codes)
        if progress:
            progress(done, len(feed))
    return np.empty((0, int(np.prod(model.code))), np.float32) if out is None else out


def code_of(model: Autoencoder, batch: Batch) -> Tensor:
    """The posterior mean, (B, *Z), of the examples as they are: nothing is degraded."""
    return model.encode(model.corrupt.given(batch.x), model.condition(batch)).mean


@torch.no_grad()
def decode(
    model: Autoencoder,
    codes: np.ndarray,
    y: np.ndarray | None = None,
    c: Tensor | None = None,
) -> np.ndarray:
    """Decoder mean of each code: (N, D) -> (N, *S), values as the model sees them.

    They are float32, or float64 for a model in double precision. `y` (N,) class numbers for a
    conditional model, or `c` (N, C) its condition itself. Raises DataError for codes of another
    width.
    """
    model.eval()
    double = any(p.dtype == torch.float64 for p in model.decoder.parameters())
    dtype = np.float64 if double else np.float32
    z = torch.from_numpy(np.ascontiguousarray(codes, dtype=dtype))
    size = int(np.prod(model.code))
    if z.dim() != 2 or z.shape[1] != size:
        raise DataError(
            f"Codes of shape {tuple(z.shape)} were given, but this model's codes are rows of "
            f"{size} numbers."
        )
    out = np.empty((len(z), *model.data.shape), dtype)
    for first in range(0, len(z), BLOCK):
        part = z[first : first + BLOCK]
        labels = None if y is None else torch.from_numpy(y[first : first + BLOCK])
        here = model.condition(Batch(part, labels)) if c is None else c[first : first + BLOCK]
        shaped = part.view(1, len(part), *model.code)
        out[first : first + len(part)] = model.decode(shaped, here).mean[0].numpy()
    return out


@torch.no_grad()
def reconstruct(model: Autoencoder, batch: Batch) -> Tensor:
    """Decoder mean at the posterior mean, (B, *S), of the examples as they are."""
    c = model.condition(batch)
    q = model.encode(model.corrupt.given(batch.x), c)
    return model.decode(q.mean.unsqueeze(0), c).mean[0]


def write_codes(path: Path, rows: Rows, codes: np.ndarray) -> Path:
    """A Parquet (or .csv) table: id, z0, z1, ..., and label where labels are known."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    from lemari.files import write

    columns: dict[str, object] = {"id": list(rows.ids)}
    columns |= {f"z{i}": codes[:, i] for i in range(codes.shape[1])}
    if rows.y is not None and rows.classes:
        columns["label"] = [rows.classes[i] if i >= 0 else None for i in rows.y]
    table, sink = pa.table(columns), pa.BufferOutputStream()
    if path.suffix.lower() == ".csv":
        csv.write_csv(table, sink)
    else:
        parquet.write_table(table, sink)
    return write(path, sink.getvalue().to_pybytes())
