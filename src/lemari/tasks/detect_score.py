"""New rows scored: which are flagged, the worst with their reasons, and a table of results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lemari.detect.calibration import discoveries
from lemari.detect.drift import DriftAlarm
from lemari.errors import RunError
from lemari.mixed.cells import Text, missing_in
from lemari.tasks.detect_data import Table
from lemari.tasks.detector import FittedDetector, feature_names, scores_and_values
from lemari.tasks.reasons import Reason, nearest_rows, reasons

NUMBER = re.compile(r"-?\d[\d.]*(e[+-]?\d+)?")
WORST = 10  # rows that are told of even when nothing is flagged
MOST_EXPLAINED = 200
MOST_COLUMNS = 100  # input columns that the results repeat
COMPARED = 8  # columns in which a row is shown beside the nearest ones


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The rows of a table: scores, p-values and flags (N,), features x (N, F), and notes."""

    table: Table
    scores: np.ndarray
    p: np.ndarray
    flagged: np.ndarray
    x: np.ndarray
    notes: list[str]

    def __len__(self) -> int:
        return len(self.scores)


def score_table(fitted: FittedDetector, table: Table) -> Scored:
    """Score all rows of a table. DataError when it is not like the training table."""
    scores, p, x, notes = scores_and_values(fitted, table.frame)
    return Scored(table, scores, p, fitted.threshold.flags(scores), x, notes)


def watch(fitted: FittedDetector, scored: Scored) -> list[DriftAlarm]:
    """Drift alarms of the rows, in their order. RunError for a detector without a monitor."""
    if fitted.drift is None:
        raise RunError(
            "This detector was trained on fewer than 50 rows, too few to watch for drift; train "
            "it on more."
        )
    return [in_units(fitted, alarm) for alarm in fitted.drift.see(scored.scores, scored.x)]


def in_units(fitted: FittedDetector, alarm: DriftAlarm) -> DriftAlarm:
    """The alarm with the numbers of a column as the table has them, not standardised."""
    fmt = fitted.format
    names = feature_names(fmt)
    if alarm.what not in names:
        return alarm
    feature = fmt.features[names.index(alarm.what)]
    column = fmt.columns[feature.column]
    if feature.role not in ("value", "time"):
        return alarm

    def shown(match: re.Match[str]) -> str:
        return fmt.shown(feature.column, column.center + column.scale * float(match[0]))

    return replace(alarm, statistic=NUMBER.sub(shown, alarm.statistic))


def explained(scored: Sequence[Scored]) -> list[list[int]]:
    """For each table the rows to give reasons for, worst first: flagged ones and the worst ten."""
    every = np.concatenate([s.scores for s in scored])
    flags = np.concatenate([s.flagged for s in scored])
    order = np.argsort(-every, kind="stable")
    place = np.arange(len(order))
    chosen = set(order[(flags[order] | (place < WORST))][:MOST_EXPLAINED].tolist())
    starts = np.cumsum([0, *(len(s) for s in scored)])
    return [
        [i for i in np.argsort(-s.scores, kind="stable").tolist() if start + i in chosen]
        for s, start in zip(scored, starts)
    ]


def records(
    fitted: FittedDetector, scored: Scored, index: Sequence[int], most: int = 3
) -> list[dict[str, Any]]:
    """What there is to say of some rows: score, reasons, and the values beside the nearest rows."""
    if not len(index):
        return []
    where = np.asarray(index)
    found = reasons(fitted, scored.x[where], most, scored.table.frame.take(where))
    return [record(fitted, scored, i, why) for i, why in zip(index, found)]


def record(fitted: FittedDetector, scored: Scored, i: int, why: list[Reason]) -> dict[str, Any]:
    """One row as plain values."""
    return {
        "file": scored.table.name,
        "row": int(scored.table.rows[i]),
        "score": float(scored.scores[i]),
        "p_value": float(scored.p[i]),
        "flagged": bool(scored.flagged[i]),
        "reasons": [_plain(reason) for reason in why],
        "beside": beside(fitted, scored, i, [reason.column for reason in why]),
    }


def _plain(reason: Reason) -> dict[str, Any]:
    """A reason for JSON: dates as text, numbers without NumPy."""
    told = reason.as_dict()
    for key in ("value", "low", "high"):
        value = told[key]
        if isinstance(value, np.datetime64):
            told[key] = str(value)
        elif isinstance(value, np.generic):
            told[key] = value.item()
    return told


def beside(
    fitted: FittedDetector, scored: Scored, i: int, first: Sequence[str]
) -> list[dict[str, Any]]:
    """A few columns of the row, those of its reasons first, with the nearest normal rows' values.

    The row itself, where it is among the stored ones, is left out.
    """
    fmt, frame = fitted.format, scored.table.frame
    used = [c.name for c in fmt.columns if c.kind != "ignored"]
    names = list(dict.fromkeys([*first, *used]))[:COMPARED]
    own = {}
    for name in names:
        column = fmt.names.index(name)
        value = frame.value(frame.place(name) if name in frame.names else column, i)
        own[name] = fmt.shown(column, value)
    rows = [
        {name: row[name] for name in names}
        for row in nearest_rows(fitted, scored.x[i : i + 1], 4)[0]
    ]
    rows = [row for row in rows if row != own][:3]
    return [{"column": n, "value": own[n], "nearest": [row[n] for row in rows]} for n in names]


def result_columns(
    fitted: FittedDetector,
    scored: Sequence[Scored],
    told: Sequence[Sequence[dict[str, Any]]],
    fdr: float | None,
) -> dict[str, Any]:
    """Columns of the results: file (of several), row, score, p_value, flagged, reasons, inputs."""
    columns: dict[str, Any] = {}
    if len(scored) > 1:
        columns["file"] = [s.table.name for s in scored for _ in range(len(s))]
    columns["row"] = np.concatenate([s.table.rows for s in scored])
    columns["score"] = np.concatenate([s.scores for s in scored])
    columns["p_value"] = np.concatenate([s.p for s in scored])
    columns["flagged"] = np.concatenate([s.flagged for s in scored])
    if fdr is not None:
        columns["discovery"] = discoveries(columns["p_value"], fdr)
    columns["reasons"] = [text for s, part in zip(scored, told) for text in reason_texts(s, part)]
    inputs = [s.table.source for s in scored]
    names = [n for n in inputs[0].names if all(n in f.names for f in inputs)]
    if len(names) <= MOST_COLUMNS:
        for name in names:
            key = f"{name} (input)" if name in columns else name
            columns[key] = _joined([f.columns[f.place(name)] for f in inputs])
    return columns


def reason_texts(scored: Scored, told: Sequence[dict[str, Any]]) -> list[str | None]:
    """The reasons of each row in one text; None for rows without."""
    place = {int(row): i for i, row in enumerate(scored.table.rows)}
    texts: list[str | None] = [None] * len(scored)
    for one in told:
        texts[place[one["row"]]] = "; ".join(reason["text"] for reason in one["reasons"])
    return texts


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    kinds = {p.dtype.kind if isinstance(p, np.ndarray) else "T" for p in parts}
    if len(kinds) == 1 and "T" not in kinds:
        return np.concatenate(parts)
    cells: list[Any] = []
    for part in parts:
        if isinstance(part, Text):
            cells += part.cells()
        else:
            gone = missing_in(part)
            cells += [None if g else str(v) for v, g in zip(part.tolist(), gone)]
    return [None if c is None else str(c) for c in cells]
