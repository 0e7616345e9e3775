"""Rows of a table that cannot be used: found, told by line, and left out where the rest is fine."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, Any

import numpy as np

from lemari.sources.arrays import square_side
from lemari.sources.columns import Found, smallest
from lemari.types import Skipped


def rows_of(file: IO[bytes], dialect: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that have as many cells as there are columns, each with its line number."""
    with io.TextIOWrapper(file, dialect.encoding, "replace", newline="") as text:
        reader = csv.reader(text, delimiter=dialect.delimiter)
        for row in reader:
            if len(row) == len(dialect.columns) and reader.line_num > dialect.start:
                yield reader.line_num, row


def worded(cell: str, column: str) -> str:
    """Why a row with this cell is left out."""
    return f"the text '{cell[:40]}' in column '{column}', where a number is needed"


def as_numbers(batch: Any, used: Sequence[str], decimal: str) -> tuple[np.ndarray, dict[int, str]]:
    """Columns of text as numbers (n, D), NaN where missing; and why some rows have none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    out, bad = np.full((batch.num_rows, len(used)), np.nan), {}
    for i, name in enumerate(used):
        cells = pc.utf8_trim_whitespace(batch.column(name))  # pyright: ignore
        if decimal != ".":
            cells = pc.replace_substring(cells, decimal, ".")  # pyright: ignore
        try:
            out[:, i] = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            for at, cell in enumerate(cells.to_pylist()):
                out[at, i] = number = np.nan if cell is None else number_in(cell)
                if number is None:
                    bad.setdefault(at, worded(str(cell), name))
    return out, bad


def number_in(cell: str) -> float | None:
    """The number that a cell holds, None for text."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def without_gaps(found: Found, wanted: bool = False) -> Found:
    """Where the columns are pixels: without the rows in which one is missing or not finite.

    Pixels are whole numbers up to 255 in a square number of columns, or what is `wanted` as such.
    Other tables are given back as they are: their gaps are filled.
    """
    x = found.values
    if x.dtype == np.uint8 or not len(x):
        return found
    whole = np.asarray(np.isfinite(x).all(1))
    kept = x[whole]
    if whole.all() or not len(kept):
        return found
    if not wanted:
        kept = smallest(kept)
        if kept.dtype != np.uint8 or not square_side(x.shape[1]) or kept.max() <= 1:
            return found
    rows = np.nonzero(~whole)[0]
    column = np.argmin(np.isfinite(x[rows]), 1)
    skipped = [
        Skipped(f"row {row}", f"no number in column '{found.columns[i]}'")
        for row, i in zip(rows.tolist(), column.tolist())
    ]
    labels = found.labels
    if labels is not None:
        labels = [label for label, fine in zip(labels, whole, strict=True) if fine]
    return replace(found, values=kept, labels=labels, skipped=[*found.skipped, *skipped])
