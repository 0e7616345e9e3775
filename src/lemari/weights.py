"""Tensors on disk: safetensors files that are checked before anything is allocated."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lemari.errors import ModelFileError
from lemari.files import write

MOST_TENSORS, MOST_BYTES, MOST_HEADER = 20_000, 8 << 30, 8 << 20
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def pack(tensors: dict[str, Tensor]) -> bytes:
    """A safetensors file; memory layouts such as channels-last are made plain."""
    return save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    """Write in one step; see `lemari.files.write`."""
    return write(path, pack(tensors))


def read_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a file, from its header alone.

    Refuses what the safetensors library lets pass: repeated names, floods of tensors, sizes that
    do not add up. Raises ModelFileError.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MOST_HEADER or length + 8 > size or size > MOST_BYTES:
                raise ModelFileError(f"{path} is truncated or its header was changed.")
            rows = json.loads(file.read(length).decode(), object_pairs_hook=unrepeated)
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be read: {fault.strerror}.") from fault
    except ModelFileError:
        raise
    except (ValueError, struct.error, RecursionError) as fault:
        raise ModelFileError(f"{path} is not a whole safetensors file ({fault}).") from fault
    if not isinstance(rows, dict):
        raise ModelFileError(f"{path} has a header that Lemari does not write; it was changed.")
    rows.pop("__metadata__", None)
    if len(rows) > MOST_TENSORS:
        raise ModelFileError(
            f"{path} holds {len(rows)} tensors, more than any model of Lemari; it was changed."
        )
    shapes = {}
    try:
        for name, row in rows.items():
            shapes[name] = tuple(int(side) for side in row["shape"])
            first, last = row["data_offsets"]
            if last - first != prod(shapes[name]) * WIDTHS[row["dtype"]]:
                raise ModelFileError(
                    f"{path}: the size of {name[:80]!r} does not add up; it was changed."
                )
    except (ArithmeticError, KeyError, TypeError, ValueError) as fault:
        raise ModelFileError(
            f"{path} has a header that Lemari does not write; it was changed."
        ) from fault
    return shapes


def unrepeated(pairs: list) -> dict:
    """A JSON object whose keys must differ."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def read_tensors(path: Path, expected: dict[str, tuple[int, ...]] | None = None) -> dict:
    """The tensors of a file, all finite; with `expected`, exactly these names and shapes."""
    shapes = read_header(path)
    if expected is not None and shapes != expected:
        odd = sorted(shapes.items() ^ expected.items())[:2]
        raise ModelFileError(
            f"{path} does not hold the weights that its recipe asks for (first difference: "
            f"{str(odd)[:200]}); it was changed, or belongs to another model."
        )
    try:
        tensors = load(path.read_bytes())
    except (OSError, SafetensorError, ValueError) as fault:
        raise ModelFileError(f"{path} cannot be read ({fault}).") from fault
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(
                f"{path}: {name[:80]!r} holds values that are not finite; it was changed."
            )
    return tensors
