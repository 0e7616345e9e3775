"""The format of a mixed table as JSON, and strictly back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from lemari.errors import ModelFileError
from lemari.mixed.column import BASES, CYCLES, KINDS, MOST_LEVELS, MixedColumn
from lemari.mixed.frame import MOST_COLUMNS
from lemari.values import is_name, is_number

VERSION = 1
MOST_ROWS = 1 << 53


def as_json(columns: tuple[MixedColumn, ...], rows: int) -> dict[str, Any]:
    """Plain lists, numbers and strings."""
    plain = [
        {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(c).items()} for c in columns
    ]
    return {"version": VERSION, "kind": "mixed", "rows": rows, "columns": plain}


def from_json(data: Any) -> tuple[tuple[MixedColumn, ...], int]:
    """The columns and the number of rows; anything but what `as_json` wrote is refused."""
    if not isinstance(data, dict) or set(data) != {"version", "kind", "rows", "columns"}:
        raise _refused("its keys differ from the known ones")
    if repr(data["version"]) != repr(VERSION) or data["kind"] != "mixed":
        raise _refused("it is not a format of version 1 for mixed tables")
    rows, listed = data["rows"], data["columns"]
    if type(rows) is not int or not 1 <= rows <= MOST_ROWS:
        raise _refused("'rows' has a wrong type or is out of bounds")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_COLUMNS:
        raise _refused("'columns' has a wrong type or is out of bounds")
    columns = tuple(_column(entry, rows) for entry in listed)
    if len({c.name for c in columns}) != len(columns):
        raise _refused("two columns have one name")
    if all(c.kind == "ignored" for c in columns):
        raise _refused("all its columns are ignored")
    return columns, rows


def _column(entry: Any, rows: int) -> MixedColumn:
    names = [f.name for f in fields(MixedColumn)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise _refused("the keys of a column differ from the known ones")
    for name in names:
        if not RULES[name](entry[name]):
            raise _refused(f"'{name}' of a column has a wrong type or is out of bounds")
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    column = MixedColumn(**plain)
    fault = _fault(column, rows)
    if fault:
        raise _refused(f"column '{column.name[:40]}' {fault}")
    return column


def _fault(c: MixedColumn, rows: int) -> str:
    """What the entries of one column contradict; empty when nothing."""
    if c.kind in BASES and c.kind != c.base:
        return "has two kinds"
    if c.low > c.high:
        return "has 'low' above 'high'"
    if c.cycles and c.kind != "date":
        return "has cycles without dates"
    if c.base == "boolean" and c.kind != "ignored" and len(c.levels) != 2:
        return "needs two words"
    if len(c.counts) != (len(c.levels) if c.base == "category" else 0):
        return "has other counts than levels"
    if sum(c.counts) > rows or len(set(c.levels)) != len(c.levels):
        return "has levels that cannot be"
    needed = {"category": 2, "constant": 1}.get(c.kind, 0) if c.base == "category" else 0
    if len(c.levels) < needed or (c.kind == "constant" and len(c.levels) > needed + 2):
        return "has too few or too many levels"
    return ""


def _list_of(rule: Callable[[Any], bool], most: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, list) and len(v) <= most and all(map(rule, v))


def _refused(fault: str) -> ModelFileError:
    return ModelFileError(f"The format file cannot be used: {fault}; save the model again.")


RULES: dict[str, Callable[[Any], bool]] = {
    "name": is_name,
    "kind": lambda v: isinstance(v, str) and v in KINDS,
    "base": lambda v: isinstance(v, str) and v in BASES,
    "levels": _list_of(is_name, MOST_LEVELS),
    "counts": _list_of(lambda v: type(v) is int and 1 <= v <= MOST_ROWS, MOST_LEVELS),
    "center": is_number,
    "scale": lambda v: is_number(v) and v > 0,
    "low": is_number,
    "high": is_number,
    "missing_share": lambda v: is_number(v) and 0 <= v <= 1,
    "whole": lambda v: type(v) is bool,
    "cycles": lambda v: v in ([], ["hour"], ["weekday"], ["hour", "weekday"]),
    "note": is_name,
}
assert set(CYCLES) == {"hour", "weekday"}
