"""Rows in an Arrow stream as a frame, and results as one; the stream is not trusted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from lemari.errors import DataError
from lemari.mixed.arrow import arrow_column
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame
from lemari.serve_app.answers import Refusal, as_json
from lemari.serve_app.limits import Limits
from lemari.serve_app.tables import check_names, check_size, missing, with_extra

if TYPE_CHECKING:
    import pyarrow as pa

HEADER_KIND, HEADER = 1, 2  # fields of a message, as Arrow's Message.fbs numbers them
SCHEMA, DICTIONARY, BATCH = 1, 2, 3  # kinds of its header
LENGTH, COMPRESSION, DATA = 0, 3, 1  # fields of a record batch, and of a dictionary batch
MOST_MESSAGES = 10_000


def frame_from_arrow(body: bytes, fmt: MixedFormat, limits: Limits) -> Frame:
    """The rows of a stream, by column name.

    400 for what is no stream, 413 for too many rows, 415 for a compressed one, 422 for columns.
    """
    import pyarrow as pa

    try:
        check_size(_announced_rows(body), fmt, limits)
        table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, struct.error, ValueError, OSError, OverflowError):
        raise Refusal(400, "The body is no whole Arrow stream; write it with "
                      "pyarrow.ipc.new_stream.") from None  # fmt: skip
    if not table.num_rows:
        raise Refusal(422, "The stream holds no rows; send at least one.")
    check_size(table.num_rows, fmt, limits)
    return _framed(table, fmt)


def _framed(table: pa.Table, fmt: MixedFormat) -> Frame:
    names = [str(name) for name in table.column_names]
    place = check_names(names)
    wanted = [c.name for c in fmt.columns if c.kind != "ignored"]
    absent = [name for name in wanted if name not in place]
    if absent:
        raise Refusal(422, missing(absent[0]))
    columns = []
    for name in wanted:
        try:
            columns.append(arrow_column(name, table.column(place[name])))
        except DataError:
            raise Refusal(
                422, f"Column '{name}' holds no numbers, texts or dates; convert it first."
            ) from None
    return with_extra(wanted, columns, [n for n in names if n not in fmt.names], table.num_rows)


def _announced_rows(body: bytes) -> int:
    """The rows that the stream says it holds, from its headers alone.

    A compressed stream is refused: its size is only known when it is unpacked.
    """
    import pyarrow as pa

    reader, rows = pa.ipc.MessageReader.open_stream(pa.py_buffer(body)), 0
    for count, message in enumerate(reader):
        if count >= MOST_MESSAGES:
            raise Refusal(413, "The stream has too many parts; write it in larger batches.")
        meta = message.metadata.to_pybytes()
        kind, header = _header(meta)
        if kind == SCHEMA:
            continue
        batch = _table(meta, header, DATA) if kind == DICTIONARY else header
        if kind not in (DICTIONARY, BATCH) or batch is None:
            raise ValueError("an unknown part")
        if _field(meta, batch, COMPRESSION):
            raise Refusal(415, "The stream is compressed; write it without compression.")
        rows += _length(meta, batch) if kind == BATCH else 0
    return rows


def _header(meta: bytes) -> tuple[int, int]:
    """The kind of a message and where its header begins."""
    root = struct.unpack_from("<I", meta, 0)[0]
    kind, header = _field(meta, root, HEADER_KIND), _table(meta, root, HEADER)
    if not kind or header is None:
        raise ValueError("a part without a header")
    return meta[kind], header


def _field(meta: bytes, table: int, index: int) -> int:
    """Where a field of a FlatBuffers table lies; 0 when it is left out."""
    vtable = table - struct.unpack_from("<i", meta, table)[0]
    size = struct.unpack_from("<H", meta, vtable)[0]
    slot = 4 + 2 * index
    offset = struct.unpack_from("<H", meta, vtable + slot)[0] if slot < size else 0
    return table + offset if offset else 0


def _table(meta: bytes, table: int, index: int) -> int | None:
    at = _field(meta, table, index)
    return at + struct.unpack_from("<I", meta, at)[0] if at else None


def _length(meta: bytes, batch: int) -> int:
    at = _field(meta, batch, LENGTH)
    return struct.unpack_from("<q", meta, at)[0] if at else 0


def arrow_of(result: dict[str, Any]) -> bytes:
    """Scores, p-values, flags and reasons (as text) as a stream; notes in its metadata."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "score": pa.array(result["scores"], pa.float64()),
        "p_value": pa.array(result["p_values"], pa.float64()),
        "flagged": pa.array(result["flagged"], pa.bool_()),
    }
    if result["reasons"] is not None:
        texts = ["; ".join(r["text"] for r in row) for row in result["reasons"]]
        columns["reasons"] = pa.array(texts, pa.string())
    table = pa.table(columns).replace_schema_metadata({b"notes": as_json(result["notes"])})
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()
