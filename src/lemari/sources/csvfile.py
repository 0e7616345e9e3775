"""CSV files as people write them: with or without a header, with commas, semicolons or tabs."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from lemari.errors import DataError
from lemari.sources.arrays import square_side
from lemari.sources.base import Options
from lemari.sources.columns import (
    LABELS,
    Found,
    Gathered,
    check_drop,
    label_column,
    numbers_of,
    text_column,
    usable_labels,
)
from lemari.sources.mending import as_numbers, rows_of
from lemari.types import Skipped

HEAD = 1 << 22  # bytes that are looked at to learn how the file is written
BLOCK = 1 << 23  # bytes that are parsed at a time
LOOKED_AT = 100  # rows
MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?", "#N/A", "-nan", "<NA>")
MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written."""

    encoding: str
    delimiter: str
    decimal: str
    header: bool
    start: int
    columns: tuple[str, ...]
    sample: tuple[tuple[str, ...], ...]


def read_csv(path: Path, options: Options) -> Found:
    """The numbers and labels of a CSV file.

    Rows of another length, and rows with text where numbers are needed, are skipped and listed.
    """
    import pyarrow as pa

    try:
        dialect = dialect_of(path)
        notes: list[str] = []
        label = _label(dialect, options, notes)
        used = _used(dialect, label, options, notes)
        found = _gather(path, dialect, used, label, notes)
        if found.skipped:
            check_quotes(path, dialect, len(found.values), found.skipped)
        return found
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"{path.name} cannot be read as a table ({error}).") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")  # pyright: ignore[reportReturnType]


def dialect_of(path: Path) -> Dialect:
    """Encoding, separator, header and column names, from the first rows."""
    with _opened(path) as file:
        head = file.read(HEAD)
    if not head.strip():
        raise DataError(f"{path.name} is empty; give a table with at least one row.")
    encoding = _encoding(head)
    lines = head.decode(encoding, "ignore").lstrip("\ufeff").splitlines()[: LOOKED_AT + 1]
    if len(lines) < 2 and len(head) == HEAD:
        raise DataError(f"{path.name} has a first line of over 4 MB; is it a CSV file?")
    if "\0" in "".join(lines[:2]):
        raise DataError(f"{path.name} holds binary data, not text; is it a CSV file?")
    blank = next(i for i, line in enumerate(lines) if line.strip())
    delimiter = max(",;\t|", key=lines[blank].count)
    rows = [tuple(c.strip() for c in r) for r in csv.reader(lines, delimiter=delimiter) if r]
    decimal = "," if delimiter == ";" and _comma_decimals(rows[1:]) else "."
    header = _has_header(rows, decimal)
    names = rows[0] if header else tuple(f"column {i}" for i in range(len(rows[0])))
    names = tuple(n or f"column {i}" for i, n in enumerate(names))
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DataError(f"{path.name} has two columns called '{twice}'; give each its own name.")
    sample = tuple(r for r in rows[header:] if len(r) == len(names))
    return Dialect(encoding, delimiter, decimal, header, blank + header, names, sample)


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head[: HEAD - 4].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 8:
            return "latin-1"
    return "utf-8"


def _comma_decimals(rows: list[tuple[str, ...]]) -> bool:
    cells = [c for r in rows for c in r if "," in c]
    return bool(cells) and all(is_number(c, ",") for c in cells)


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell is a number (missing values are not)."""
    try:
        float(cell.replace(decimal, ".") if decimal != "." else cell)
    except ValueError:
        return False
    return "_" not in cell and cell.lower() != "nan"


def _has_header(rows: list[tuple[str, ...]], decimal: str) -> bool:
    """Whether the first row names the columns: text above numbers, or a usual label name."""
    first, rest = rows[0], rows[1:]
    texts = [i for i, c in enumerate(first) if c not in MISSING and not is_number(c, decimal)]
    if not texts:
        return False
    below = [[r[i] for r in rest if i < len(r)] for i in texts]
    if any(cells and 2 * _count(cells, decimal) > len(cells) for cells in below):
        return True
    return len(texts) * 2 > len(first) or any(first[i].lower() in LABELS for i in texts)


def _count(cells: list[str], decimal: str) -> int:
    return sum(is_number(c, decimal) for c in cells)


def _label(dialect: Dialect, options: Options, notes: list[str]) -> str | None:
    """The label column; without a header, the first of 1 + square columns of whole numbers."""
    columns = dialect.columns
    check_drop(columns, options.drop)
    name = label_column(columns, options.label)
    if name or dialect.header or options.drop or not square_side(len(columns) - 1):
        return name
    if square_side(len(columns)) or any(not c.isdigit() for r in dialect.sample for c in r[1:]):
        return None
    notes.append(f"the first of {len(columns)} columns is read as the label")
    return columns[0]


def _used(dialect: Dialect, label: str | None, options: Options, notes: list[str]) -> list[str]:
    """The columns of numbers; raises DataError for one of text."""
    used = []
    for i, name in enumerate(dialect.columns):
        if name == label or name in options.drop:
            continue
        if i == 0 and is_index(dialect):
            notes.append("the first column has no name and counts the rows; it is left out")
            continue
        cells = [r[i] for r in dialect.sample if r[i] not in MISSING]
        if cells and 2 * _count(cells, dialect.decimal) < len(cells):
            raise text_column(name)
        used.append(name)
    if not used:
        raise DataError("The table has no column of numbers; give a table with at least one.")
    return used


def is_index(dialect: Dialect) -> bool:
    """Whether the first column is the row number that a data frame was saved with."""
    first = [row[0] for row in dialect.sample]
    counted = [[str(n + start) for n in range(len(first))] for start in (0, 1)]
    return dialect.header and dialect.columns[0] == "column 0" and first in counted


def check_quotes(path: Path, dialect: Dialect, rows: int, skipped: Sequence[Skipped]) -> None:
    """DataError where a quote that is never closed has swallowed the rows after it."""
    with _opened(path) as file:
        lines = sum(bool(line.strip()) for line in file) - dialect.header
    if dialect.encoding != "utf-16" and rows + len(skipped) < lines and len(skipped) < MOST_LISTED:
        raise DataError(
            f"{path.name} has {lines:,} lines, but only {rows:,} rows can be told apart: a quote "
            f"is opened and never closed near {skipped[0].item}; close or remove it."
        )


def _gather(
    path: Path, dialect: Dialect, used: list[str], label: str | None, notes: list[str]
) -> Found:
    import pyarrow as pa

    gathered, skipped = Gathered(len(used)), []
    try:
        for batch in _batches(path, dialect, used, label, skipped):
            gathered.add(numbers_of(batch, used))
            if label:
                gathered.labels += batch.column(label).to_pylist()
    except pa.ArrowInvalid:  # text among the numbers
        gathered, skipped = _gather_text(path, dialect, used, label)
    labels = usable_labels(label, _plain(gathered.labels), notes) if label else None
    return Found(gathered.values(), tuple(used), labels, skipped, notes)


def _gather_text(
    path: Path, dialect: Dialect, used: list[str], label: str | None
) -> tuple[Gathered, list[Skipped]]:
    """The rows whose cells are numbers; the others by line, with the first cell that is none."""
    gathered, skipped, start = Gathered(len(used)), [], 0
    bad: dict[int, str] = {}
    for batch in _batches(path, dialect, used, label, skipped, text=True):
        values, faults = as_numbers(batch, used, dialect.decimal)
        bad |= {start + at: why for at, why in faults.items()}
        start += batch.num_rows
        fine = np.array([i not in faults for i in range(len(values))], bool)
        gathered.add(values[fine])
        if label:
            cells = batch.column(label).to_pylist()
            gathered.labels += [cell for cell, kept in zip(cells, fine) if kept]
    with _opened(path) as file:
        lines = [line for line, _ in rows_of(file, dialect)]
    known = len(lines) == start  # else a quoted cell holds line breaks
    for at, why in list(bad.items())[:MOST_LISTED]:
        skipped.append(Skipped(f"line {lines[at]}" if known else f"row {at}", why))
    return gathered, skipped


def _batches(
    path: Path,
    dialect: Dialect,
    used: list[str],
    label: str | None,
    skipped: list[Skipped],
    text: bool = False,
) -> Iterator[Any]:
    """Arrow batches of the file, the label as text and numbers as float64 or, too, as text."""
    import pyarrow as pa

    def uneven(row: Any) -> str:
        if len(skipped) < MOST_LISTED:
            where = f"line {row.number}" if row.number else "a line"
            reason = f"{row.actual_columns} columns instead of {row.expected_columns}"
            skipped.append(Skipped(where, reason))
        return "skip"

    types = dict.fromkeys(used, pa.string() if text else pa.float64()) | (
        {label: pa.string()} if label else {}
    )
    return arrow_batches(path, dialect, types, uneven)


def arrow_batches(
    path: Path,
    dialect: Dialect,
    types: dict[str, Any],
    uneven: Callable[[Any], str],
    newlines: bool = False,
) -> Iterator[Any]:
    """Arrow batches of the columns in `types`; `uneven` hears of rows of another length.

    With `newlines` quoted cells may hold line breaks.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    # Arrow reads the file itself: handing it a Python file aborts the process at times.
    packed = "gzip" if path.name.lower().endswith(".gz") else None
    with arrow.open_csv(
        pa.input_stream(str(path), compression=packed),
        read_options=arrow.ReadOptions(
            use_threads=False,
            block_size=BLOCK,
            column_names=dialect.columns,
            skip_rows=dialect.start,
            encoding="utf8" if dialect.encoding == "utf-8" else dialect.encoding,
        ),
        parse_options=arrow.ParseOptions(
            delimiter=dialect.delimiter, invalid_row_handler=uneven, newlines_in_values=newlines
        ),
        convert_options=arrow.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=list(MISSING),
            strings_can_be_null=True,
            decimal_point=dialect.decimal,
        ),
    ) as reader:  # closed before the interpreter ends: its threads call `uneven`
        yield from reader


def _plain(labels: list[str | None]) -> list[Any]:
    """Labels without spaces around; numbers as numbers when all of them are."""
    cells = [v if v is None else v.strip() for v in labels]
    if all(v is None or is_number(v) for v in cells):
        return [None if v is None else float(v) for v in cells]
    return cells
