"""CSV files with columns of any kind, read by Arrow in blocks."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemari.errors import DataError
from lemari.mixed.arrow import arrow_columns
from lemari.mixed.cells import Column, Text, text_of
from lemari.sources.base import available_memory
from lemari.sources.csvfile import MISSING, Dialect, arrow_batches, dialect_of, is_number

if TYPE_CHECKING:
    import pyarrow as pa

CODE = re.compile(r"[+-]?0\d")  # 0123 is a code, not a number
MOST_LISTED = 10_000


@dataclass(slots=True)
class Read:
    """What a file held; `skipped` are the lines (from 1) left out for their number of cells."""

    names: list[str]
    columns: list[Column]
    uneven: int = 0
    skipped: list[int] = field(default_factory=list)


def read_csv(path: Path, texts: Collection[str] = (), limit: int | None = None) -> Read:
    """The columns of a CSV file (.csv, .tsv, .gz): numbers as float64, all else as text.

    Columns named in `texts` stay text, and so do columns of codes with leading zeros. Rows with
    another number of cells than the header are left out and counted. At most `limit` rows.
    """
    import pyarrow as pa

    try:
        dialect = dialect_of(path)
        wanted = [n for i, n in enumerate(dialect.columns) if n not in texts and _plain(dialect, i)]
        try:
            return _read(path, dialect, wanted, limit)
        except pa.ArrowInvalid:
            return _read(path, dialect, _survey(path, dialect, wanted), limit)
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error, pa.ArrowException) as error:
        raise DataError(
            f"{path.name} cannot be read as a table ({str(error)[:200]}); "
            "save it again as CSV with commas, or as Parquet."
        ) from None


def _plain(dialect: Dialect, index: int) -> bool:
    """Whether the first rows of a column are numbers, none with leading zeros."""
    cells = [row[index] for row in dialect.sample if row[index] not in MISSING]
    numbers = all(is_number(c, dialect.decimal) and not CODE.match(c) for c in cells)
    return bool(cells) and numbers


def _read(path: Path, dialect: Dialect, numeric: list[str], limit: int | None) -> Read:
    import pyarrow as pa

    out, batches, rows, size = Read([], []), [], 0, 0
    most = available_memory() // 2
    for batch in _batches(path, dialect, set(numeric), out):
        batches.append(batch if limit is None else batch.slice(0, limit - rows))
        rows, size = rows + len(batches[-1]), size + batch.nbytes
        if size > most:
            raise DataError(
                f"{path.name} is too big for the memory that is free; give a part of it with "
                f"--limit {rows} (limit=)."
            )
        if limit is not None and rows >= limit:
            break
    if out.uneven > rows:
        raise DataError(
            f"{out.uneven:,} rows of {path.name} have another number of cells than the header and "
            f"{rows:,} have the same; write all rows with one separator."
        )
    out.names = list(dialect.columns)
    if batches:
        out.names, columns = arrow_columns(pa.Table.from_batches(batches))
        out.columns = [_pointed(c) if dialect.decimal == "," else c for c in columns]
    return out


def _pointed(column: Column) -> Column:
    """Text with the decimal commas of numbers as points."""
    if not isinstance(column, Text):
        return column
    levels = [v.replace(",", ".") if is_number(v, ",") else v for v in column.levels]
    return text_of(column.codes, levels)


def _survey(path: Path, dialect: Dialect, wanted: list[str]) -> list[str]:
    """Those of the wanted columns whose every cell is a number, by reading the file once."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    left = list(wanted)
    for batch in _batches(path, dialect, set(), Read([], [])):
        for name in list(left):
            cells = pc.utf8_trim_whitespace(batch.column(name))
            if dialect.decimal == ",":
                cells = pc.replace_substring(cells, ",", ".")
            try:
                cells.cast(pa.float64())
            except pa.ArrowInvalid:
                left.remove(name)
    return left


def _batches(
    path: Path, dialect: Dialect, numeric: set[str], out: Read
) -> Iterator[pa.RecordBatch]:
    """Arrow batches of the file; rows of another length are counted in `out`."""
    import pyarrow as pa

    def uneven(row: Any) -> str:
        out.uneven += 1
        if row.number and len(out.skipped) < MOST_LISTED:
            out.skipped.append(row.number)
        return "skip"

    types = {n: pa.float64() if n in numeric else pa.string() for n in dialect.columns}
    return arrow_batches(path, dialect, types, uneven, newlines=True)
