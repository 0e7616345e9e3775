"""What a table holds, column by column, as plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from lemari.mixed.cells import missing_in
from lemari.mixed.column import MixedColumn
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame
from lemari.mixed.kinds import read_as
from lemari.mixed.showing import moment

UNEVEN = "another number of cells than the header"
LISTED = 10  # levels of a category


def described_frame(frame: Frame, fmt: MixedFormat) -> dict[str, Any]:
    """What `Source.inspect` says of all data, and rows, features, and for each column its name,
    kind, missing cells, content and note.

    The content is a `range` of numbers or dates, the `words` of truths, or the number of distinct
    `levels` with the `most_frequent` and their counts.
    """
    place = {name: i for i, name in enumerate(frame.names)}
    columns = [
        _described(c, frame, place[c.name]) for c in fmt.columns if c.name in place
    ]  # fmt: skip
    found: dict[str, Any] = {
        "kind": "table",
        "examples": len(frame),
        "shape": [len(fmt.features)],
        "classes": [] if frame.label is None else list(_labels(frame.label)),
        "skipped": [{"file": f"line {line}", "reason": UNEVEN} for line in frame.skipped],
        "rows": len(frame),
        "features": len(fmt.features),
        "columns": columns,
        "notes": list(frame.notes),
    }
    if frame.label is not None:
        found["labels"] = _labels(frame.label)
    return found


def _described(column: MixedColumn, frame: Frame, place: int) -> dict[str, Any]:
    raw = frame.columns[place]
    missing = int(missing_in(raw).sum())
    if column.kind != "ignored" and column.base != "category":
        missing = int(np.isnan(read_as(column.base, raw)[0]).sum())
    found = {"name": column.name, "kind": column.kind, "missing": missing}
    return {**found, **_content(column), "note": column.note}


def _content(column: MixedColumn) -> dict[str, Any]:
    if column.kind == "ignored":
        return {}
    if column.base == "category":
        often = dict(zip(column.levels[:LISTED], column.counts))
        return {"levels": len(column.levels), "most_frequent": often}
    if column.base == "boolean":
        return {"words": list(column.levels)}
    if column.base == "date":
        return {"range": [moment(column.low), moment(column.high)]}
    return {"range": [_whole(column.low, column), _whole(column.high, column)]}


def _whole(value: float, column: MixedColumn) -> float | int:
    return int(value) if column.whole and abs(value) < 1e15 else value


def _labels(labels: list[Any]) -> dict[str, int]:
    """How often each label occurs, the most frequent first; at most ten."""
    counts: dict[str, int] = {}
    for label in labels:
        word = "missing" if label is None else f"{label:g}" if type(label) is float else str(label)
        counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1])[:LISTED])
