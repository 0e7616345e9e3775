"""Result rows as CSV or Parquet that no spreadsheet takes for formulas."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lemari.errors import UsageError
from lemari.files import write
from lemari.mixed.cells import Text

if TYPE_CHECKING:
    import pyarrow as pa

FORMULA = "=+-@\t\r"  # a text cell that begins with one of these is a formula to a spreadsheet


def write_rows(path: Path | str, columns: Mapping[str, Any]) -> Path:
    """Write columns (arrays, lists or `Text`) to a .csv or .parquet file, in one step.

    In a CSV file, text cells and names that begin with = + - @, a tab or a carriage return get
    an apostrophe in front; numbers stay numbers. Parquet holds the text as it is. Raises
    UsageError for another ending, RunError when the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path = Path(path)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(
            f"Rows cannot be written to {path.name}; choose a name in .csv or .parquet."
        )
    names, arrays = list(columns), [_arrow(column) for column in columns.values()]
    out = io.BytesIO()
    if path.suffix.lower() == ".parquet":
        pyarrow.parquet.write_table(pa.Table.from_arrays(arrays, names), out)
    else:
        names, arrays = [safe(name) for name in names], [_safe(array) for array in arrays]
        pyarrow.csv.write_csv(pa.Table.from_arrays(arrays, names), out)
    return write(path, out.getvalue())


def safe(text: str) -> str:
    """Text that a spreadsheet shows and does not run.

    >>> safe("=1+1"), safe("plain")
    ("'=1+1", 'plain')
    """
    return f"'{text}" if text.startswith(tuple(FORMULA)) else text


def _arrow(column: Any) -> pa.Array:
    """A column for Arrow: NaN as missing, labels of mixed types as text."""
    import pyarrow as pa

    if isinstance(column, Text):
        return pa.array(column.cells(), pa.string())
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return pa.array(column, from_pandas=True)
    cells = list(column)
    try:
        return pa.array(cells, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if c is None else str(c) for c in cells], pa.string())


def _safe(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    return pa.array([None if c is None else safe(c) for c in column.to_pylist()], column.type)
