"""Arrow tables, data frames and lists of cells as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lemari.errors import DataError
from lemari.mixed.cells import Column, Text, text_from, text_of

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_columns(table: pa.Table) -> tuple[list[str], list[Column]]:
    """Names and columns of an Arrow table; lists, structures and bytes are a DataError."""
    names = [str(name) for name in table.column_names]
    return names, [arrow_column(name, table.column(i)) for i, name in enumerate(names)]


def arrow_column(name: str, data: pa.ChunkedArray) -> Column:
    """One Arrow column; zones become UTC, times of day and spans become seconds."""
    import pyarrow as pa

    kind, types = data.type, pa.types
    if types.is_dictionary(kind):
        return arrow_column(name, data.cast(kind.value_type))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _text(data)
    if types.is_boolean(kind):
        return _truths(data) if data.null_count else _numpy(data)
    if types.is_integer(kind) or types.is_floating(kind):
        return _numpy(data.cast(pa.float64()) if data.null_count else data)
    if types.is_decimal(kind) or types.is_null(kind):
        return _numpy(data.cast(pa.float64()))
    if types.is_date(kind) or types.is_timestamp(kind):
        return _numpy(data.cast(pa.timestamp("us"), safe=False))
    if types.is_time(kind) or types.is_duration(kind):
        return _seconds(data)
    raise DataError(
        f"Column '{name}' holds {str(kind)[:60]}, which is no number, text or date; leave it out "
        f"with --drop {name} (drop=)."
    )


def _text(data: pa.ChunkedArray) -> Text:
    """Text cells, coded by Arrow without a Python object for each row."""
    import pyarrow as pa

    if not len(data):
        return Text(np.zeros(0, np.int32), ())
    coded = data.cast(pa.large_string()).combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.unify_dictionaries().combine_chunks()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return text_of(codes, coded.dictionary.to_pylist())


def _truths(data: pa.ChunkedArray) -> Text:
    """Truths of which some are missing, written as Python writes them."""
    import pyarrow as pa

    text = _text(data.cast(pa.string()))
    return Text(text.codes, tuple(level.capitalize() for level in text.levels))


def _seconds(data: pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa

    unit = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[data.type.unit]
    bits = data.cast(pa.int32() if str(data.type).startswith("time32") else pa.int64())
    return _numpy(bits.cast(pa.float64())) / unit


def _numpy(data: pa.ChunkedArray) -> np.ndarray:
    return data.to_numpy()


def any_column(name: str, cells: Any) -> Column:
    """A column from a NumPy array, an Arrow array or a list of Python values."""
    import pyarrow as pa

    if isinstance(cells, pa.ChunkedArray | pa.Array):
        return arrow_column(
            name, pa.chunked_array([cells]) if isinstance(cells, pa.Array) else cells
        )
    try:
        array = np.asarray(cells)
    except (ValueError, TypeError):
        array = np.zeros((0, 0))
    if array.ndim != 1:
        raise DataError(
            f"Column '{name}' is not one list of plain cells; give one value for each row."
        )
    if array.dtype.kind in "buif":
        return array
    if array.dtype.kind == "M":
        return array.astype("datetime64[us]")
    if array.dtype.kind == "m":
        return array.astype("timedelta64[us]").astype(np.float64) / 1e6
    return _objects(name, cells if isinstance(cells, list) else array.tolist())


def _objects(name: str, cells: list[Any]) -> Column:
    """Python values of one kind as Arrow reads them; mixed ones as text."""
    import pyarrow as pa

    try:
        return arrow_column(name, pa.chunked_array([pa.array(cells, from_pandas=True)]))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return text_from(cells)


def frame_columns(data: Any) -> tuple[list[str], list[Column]]:
    """Names and columns of a pandas data frame."""
    names = [str(name) for name in data.columns]
    return names, [_pandas_column(name, data.iloc[:, i]) for i, name in enumerate(names)]


def _pandas_column(name: str, series: Any) -> Column:
    import pyarrow as pa

    if isinstance(series.dtype, np.dtype):
        return any_column(name, series.to_numpy())
    try:
        found = pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError):
        return text_from(series.tolist())
    if isinstance(found.type, pa.BaseExtensionType):
        return text_from(series.tolist())
    return any_column(name, found)
