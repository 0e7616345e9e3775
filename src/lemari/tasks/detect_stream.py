"""Rows as they come, answered line by line: CSV with a header, or one JSON object a line."""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from lemari.errors import DataError, LemariError
from lemari.files import finite_or_none
from lemari.mixed.arrow import any_column
from lemari.mixed.cells import text_from
from lemari.mixed.frame import Frame
from lemari.mixed.windows import windows
from lemari.tasks.detect_data import Table, check_columns, unlabelled, windowed_columns
from lemari.tasks.detect_score import score_table, watch
from lemari.tasks.detector import FittedDetector
from lemari.tasks.reasons import reasons

LONGEST = 1 << 20  # bytes of a line
MOST_ENTITIES = 10_000  # series that are followed at once; the one not seen for longest goes
SEPARATORS = ",;\t|"
IGNORED = ("is ignored", "are ignored")  # notes on further columns, the same for every row


class Stream:
    """Answers each row with a line of JSON: row (from 1), score, p_value, flagged and, for flagged
    rows, reasons. A line that cannot be used is answered with "error", and the next one is read.

    Drift alarms, if watched, are lines of their own. With windows a row is answered with
    "waiting", the number of rows still needed, until its window is full.
    """

    def __init__(self, fitted: FittedDetector, most: int = 3, watching: bool = False) -> None:
        self.fitted, self.most, self.watching = fitted, most, watching
        self.row, self.names, self.separator, self.json = 0, None, ",", False
        self.series: dict[str, deque[dict[str, Any]]] = {}

    def lines(self, source: IO[Any]) -> Iterator[str]:
        """The answers to the lines of a binary or text source, as they come."""
        while raw := source.readline(LONGEST):
            line = raw if isinstance(raw, bytes) else raw.encode()
            for answer in self.answers(line if ended(line) else line + rest_of(source)):
                yield json.dumps(finite_or_none(answer), ensure_ascii=False)

    def answers(self, line: bytes) -> list[dict[str, Any]]:
        """What there is to say of one line; nothing of an empty line or the header."""
        if not line.strip():
            return []
        try:
            text = self._text(line)
            self.json = self.json or (self.names is None and text.startswith("{"))
            if self.names is None and not self.json:
                self._header(text)
                return []
            self.row += 1
            return self._scored(self._cells(text))
        except LemariError as fault:
            return [{"row": self.row, "error": str(fault)}]

    def _text(self, line: bytes) -> str:
        if len(line) >= LONGEST:
            self.row += 1
            raise DataError(f"The line is longer than {LONGEST:,} bytes; give one row a line.")
        try:
            return line.decode("utf-8-sig").strip("\r\n ")
        except UnicodeError:
            self.row += 1
            raise DataError("The line is not UTF-8 text; convert it.") from None

    def _header(self, text: str) -> None:
        self.separator = max(SEPARATORS, key=text.count)
        names = [name.strip() for name in self._split(text)]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise DataError(f"Two columns are called '{twice[0]}'; give each its own name.")
        wanted = [c.name for c in self.fitted.format.columns if c.kind != "ignored"]
        if self.fitted.settings.window:
            wanted = windowed_columns(self.fitted)
        absent = [name for name in wanted if name not in names]
        if absent and self.fitted.format.named:
            raise DataError(
                f"The first line is no header with the columns of the training table: it has no "
                f"'{absent[0]}'; give the names first."
            )
        self.names = names

    def _split(self, text: str) -> list[str]:
        try:
            return next(csv.reader([text], delimiter=self.separator, strict=True))
        except csv.Error as fault:
            raise DataError(f"The line is no row of a CSV file ({fault}); mend it.") from None

    def _cells(self, text: str) -> dict[str, Any]:
        """The row of a line by column; DataError unless it is one row."""
        if self.names is None:
            return json_row(text)
        cells = self._split(text)
        if len(cells) != len(self.names):
            raise DataError(
                f"The line has {len(cells)} cells and the header {len(self.names)}; give as many."
            )
        return dict(zip(self.names, cells))

    def _scored(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        told = self.fitted.settings
        if not told.window:
            return self._answer(self._frame([row]))
        entity = str(row.get(told.by)) if told.by else ""
        past = self.series.pop(entity, None) or deque(maxlen=told.window)
        self.series[entity] = past
        if len(self.series) > MOST_ENTITIES:
            del self.series[next(iter(self.series))]
        frame = self._frame([*past, row][-told.window :])
        check_columns(frame, windowed_columns(self.fitted))
        past.append(row)
        if len(past) < told.window:
            return [{"row": self.row, "waiting": told.window - len(past)}]
        found, _ = windows(frame, told.window, columns=windowed_columns(self.fitted))
        return self._answer(found)

    def _frame(self, rows: list[dict[str, Any]]) -> Frame:
        """Rows as columns: text as in a CSV file, or values of JSON."""
        read = any_column if self.names is None else lambda name, cells: text_from(cells)
        columns = {name: [row.get(name) for row in rows] for name in rows[-1]}
        found = tuple(read(name, cells) for name, cells in columns.items())
        named = self.fitted.format.named
        return unlabelled(Frame(tuple(columns), found, len(rows), named=named), self.fitted)

    def _answer(self, frame: Frame) -> list[dict[str, Any]]:
        table = Table("-", frame, np.array([self.row]), frame)
        scored = score_table(self.fitted, table)
        told: dict[str, Any] = {
            "row": self.row,
            "score": float(scored.scores[0]),
            "p_value": float(scored.p[0]),
            "flagged": bool(scored.flagged[0]),
        }
        if told["flagged"]:
            found = reasons(self.fitted, scored.x, self.most, frame)[0]
            told["reasons"] = [reason.text for reason in found]
        if odd := [n for n in scored.notes if not n.endswith(IGNORED)]:
            told["notes"] = odd
        alarms = watch(self.fitted, scored) if self.watching else []
        return [told, *({"drift": str(a), "row": self.row, "column": a.what} for a in alarms)]


def ended(line: bytes) -> bool:
    """Whether a line was read to its end (or to that of the source)."""
    return line.endswith(b"\n") or len(line) < LONGEST


def rest_of(source: IO[Any]) -> bytes:
    """Read on to the end of an endless line and forget it; empty."""
    while (raw := source.readline(LONGEST)) and raw[-1:] not in (b"\n", "\n"):
        pass
    return b""


def json_row(text: str) -> dict[str, Any]:
    """A line of JSON as values by column; DataError for anything but plain values."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise DataError(f"The line is not JSON ({str(fault)[:80]}); mend it.") from None
    if not isinstance(row, dict):
        raise DataError("A line must be one JSON object with a value for each column.")
    nested = [name for name, value in row.items() if isinstance(value, dict | list)]
    if nested:
        raise DataError(f"'{nested[0][:40]}' holds no plain value; give a number or a text.")
    return row
