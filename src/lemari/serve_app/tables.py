"""Rows in JSON as a frame.

Each cell is read by what its column was in training, never by the cells beside it, so that a row
scores the same in whatever company it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from lemari.mixed.cells import Column, text_from
from lemari.mixed.column import MixedColumn
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import LONGEST_NAME, MOST_COLUMNS, Frame
from lemari.serve_app.answers import Refusal
from lemari.serve_app.limits import Limits

KEYS = ("rows", "columns", "explain", "most")
CELL = (str, int, float, bool, type(None))


def content_of(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; 400 for anything else, NaN and Infinity included."""
    try:
        content = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is no JSON; send an object such as {\"rows\": [...]}; "
                      "a missing value is null.") from None  # fmt: skip
    if not isinstance(content, dict):
        raise Refusal(422, 'The JSON is no object; send {"rows": [...]}.')
    unknown = [key for key in content if key not in KEYS]
    if unknown:
        raise Refusal(422, f"The keys are {', '.join(KEYS)}, not '{unknown[0][:100]}'.")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(name)


def frame_of(content: dict[str, Any], fmt: MixedFormat, limits: Limits) -> Frame:
    """The rows of a request by column, those that were not there in training left empty."""
    rows = content.get("rows")
    if not isinstance(rows, list) or not rows:
        raise Refusal(422, '"rows" is a list of one row or more; send at least one.')
    check_size(len(rows), fmt, limits)
    if isinstance(rows[0], dict):
        if "columns" in content:
            raise Refusal(422, 'Rows with names need no "columns"; leave it out.')
        return _from_objects(rows, fmt)
    return _from_lists(rows, content.get("columns"), fmt)


def check_size(rows: int, fmt: MixedFormat, limits: Limits) -> None:
    """413 for more rows than are taken at once, before anything is made for them."""
    most = min(limits.rows, max(1, limits.numbers // max(1, len(fmt.features))))
    if rows > most:
        raise Refusal(413, f"{rows:,} rows are too many for one request; send up to {most:,}.")


def _from_objects(rows: list[Any], fmt: MixedFormat) -> Frame:
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Refusal(422, f"Row {i} is no object while row 0 is; send all rows alike.")
    cells = {c.name: [row.get(c.name, row) for row in rows] for c in _wanted(fmt)}
    for name, found in cells.items():
        for i, cell in enumerate(found):
            if cell is rows[i]:
                raise Refusal(
                    422, f"Row {i} has no column '{name}'; give all columns, null where missing."
                )
    names = set().union(*rows) - set(fmt.names)
    return _framed(fmt, cells, sorted(names), len(rows))


def _from_lists(rows: list[Any], names: Any, fmt: MixedFormat) -> Frame:
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(rows[0]):
            raise Refusal(422, f"Row {i} is no list as long as row 0; send all rows alike.")
    if names is None:
        if fmt.named or len(rows[0]) != len(fmt.columns):
            raise Refusal(422, f'Say which columns the lists hold: "columns": [{len(rows[0])} '
                          "names]; GET /about lists them.")  # fmt: skip
        names = list(fmt.names)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise Refusal(422, '"columns" is a list of names.')
    if len(names) != len(rows[0]):
        raise Refusal(422, f"{len(names):,} columns are named, but rows have {len(rows[0]):,}.")
    place = check_names(names)
    for c in _wanted(fmt):
        if c.name not in place:
            raise Refusal(422, missing(c.name))
    cells = {c.name: [row[place[c.name]] for row in rows] for c in _wanted(fmt)}
    return _framed(fmt, cells, [n for n in names if n not in fmt.names], len(rows))


def missing(name: str) -> str:
    """The sentence for a column that is not there at all."""
    return f"There is no column '{name}', which was there in training; give all columns."


def check_names(names: Sequence[str]) -> dict[str, int]:
    """Places by name; 422 for a name that comes twice, is too long, or is one too many."""
    place = {name: i for i, name in enumerate(names)}
    if len(place) < len(names):
        raise Refusal(422, "Two columns have one name; give each its own.")
    if len(names) > MOST_COLUMNS or any(len(name) > LONGEST_NAME for name in names):
        raise Refusal(422, f"There are more than {MOST_COLUMNS:,} columns, or a name longer than "
                      f"{LONGEST_NAME:,} characters; leave them out.")  # fmt: skip
    return place


def _wanted(fmt: MixedFormat) -> list[MixedColumn]:
    return [c for c in fmt.columns if c.kind != "ignored"]


def _framed(fmt: MixedFormat, cells: dict[str, list], extra: list[str], rows: int) -> Frame:
    check_names(extra)
    columns = [typed(c, cells[c.name]) for c in _wanted(fmt)]
    return with_extra(list(cells), columns, extra, rows)


def with_extra(names: list[str], columns: list[Column], extra: list[str], rows: int) -> Frame:
    """A frame in which further columns are named, so that they are noted, but empty."""
    empty = np.broadcast_to(np.float64(0), rows)
    return Frame((*names, *extra), (*columns, *[empty] * len(extra)), rows)


def typed(column: MixedColumn, cells: list[Any]) -> Column:
    """JSON cells as numbers for a column of numbers, as text otherwise; null is missing."""
    kinds = set(map(type, cells))
    if not kinds <= set(CELL):
        raise Refusal(
            422, f"Column '{column.name}' holds lists or objects; give plain values or null."
        )
    if column.base != "numeric":
        return text_from(cells)
    if str in kinds:
        return text_from([int(v) if isinstance(v, bool) else v for v in cells])
    return np.array([_number(v) for v in cells], np.float64)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return float("inf") if value > 0 else float("-inf")
