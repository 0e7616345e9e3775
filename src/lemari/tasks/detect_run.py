"""Score files with a detector: results, drift alarms, and a page of the worst rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lemari.detect.calibration import as_rate, discoveries
from lemari.detect.drift import DriftAlarm
from lemari.detect_html import results_page
from lemari.errors import UsageError
from lemari.mixed.writing import write_rows
from lemari.restore_html import unused
from lemari.tasks.detect_data import read_new
from lemari.tasks.detect_score import (
    MOST_COLUMNS,
    Scored,
    explained,
    records,
    result_columns,
    score_table,
    watch,
)
from lemari.tasks.detector import FittedDetector
from lemari.tasks.detector_pictures import FittedPictures
from lemari.tasks.picture_runs import detect_pictures

SHOWN = 50  # rows on the page
OUTPUTS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class How:
    """Where results go, how many reasons a row has, the false discovery rate, drift alarms."""

    output: str | None = None
    most: int = 3
    fdr: float | None = None
    watch: bool = False


def detect_files(
    fitted: FittedDetector | FittedPictures,
    run: Path,
    names: Sequence[str],
    how: How,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Score files one after the other; returns what was found, and writes it where asked for."""
    check(how, names)
    if isinstance(fitted, FittedPictures):
        return detect_pictures(fitted, run, names, how, say)
    scored, alarms = [], []
    for name in names:
        say(f"scoring {Path(name).name}")
        scored.append(score_table(fitted, read_new(fitted, name)))
    if how.watch:
        before = 0
        for one in scored:
            alarms += [_alarm(a, one.table.name, before) for a in watch(fitted, one)]
            before += len(one)
    say("explaining")
    told = [records(fitted, s, i, how.most) for s, i in zip(scored, explained(scored))]
    found = summed(fitted, run, scored, told, how)
    if how.watch:
        found["drift"] = alarms
        found["notes"] += window_note(fitted)
    if how.output:
        write_results(fitted, scored, told, how.output, how.fdr, found)
    return found


def check(how: How, names: Sequence[str] = ()) -> None:
    """UsageError for an output or a rate that cannot be, and for results in place of their rows."""
    if how.output and Path(how.output).suffix.lower() not in OUTPUTS:
        raise UsageError(f"{how.output} cannot be written; choose a name in .csv or .parquet.")
    if how.output and Path(how.output).resolve() in [Path(name).resolve() for name in names]:
        raise UsageError(f"{how.output} holds the rows to score; write the results elsewhere.")
    if how.fdr is not None:
        as_rate(how.fdr, "false discovery rate")


def summed(
    fitted: FittedDetector,
    run: Path,
    scored: Sequence[Scored],
    told: Sequence[Sequence[dict[str, Any]]],
    how: How,
) -> dict[str, Any]:
    """Counts and the worst rows of all files together."""
    every = sorted((r for part in told for r in part), key=lambda r: -r["score"])
    notes = dict.fromkeys(note for s in scored for note in s.notes)
    found: dict[str, Any] = {
        "run": run.resolve().name,
        "files": [s.table.name for s in scored],
        "rows": sum(map(len, scored)),
        "flagged": int(sum(s.flagged.sum() for s in scored)),
        "threshold": fitted.threshold.value,
        "worst": every,
        "notes": list(notes),
    }
    if how.fdr is not None:
        p = np.concatenate([s.p for s in scored])
        found |= {"fdr": how.fdr, "discoveries": int(discoveries(p, how.fdr).sum())}
    return found


def write_results(
    fitted, scored, told, output: str, fdr: float | None, found: dict[str, Any]
) -> None:
    """The file of results and, beside it, the page of the worst rows."""
    widest = max(len(s.table.source.names) for s in scored)
    if widest > MOST_COLUMNS:
        found["notes"].append(
            f"the {widest:,} input columns are not repeated in the results, which take "
            f"{MOST_COLUMNS} at most"
        )
    out = write_rows(output, result_columns(fitted, scored, told, fdr))
    page = results_page(unused(out.with_suffix(".html")), found | {"worst": found["worst"][:SHOWN]})
    found |= {"output": str(out.resolve()), "page": str(page.resolve())}


def _alarm(alarm: DriftAlarm, name: str, before: int) -> dict[str, Any]:
    """An alarm with its row counted in its file, which `before` rows of others came before."""
    alarm = replace(alarm, row=alarm.row - before)
    return {"file": name, **asdict(alarm), "text": str(alarm)}


def window_note(fitted: FittedDetector) -> list[str]:
    """What windows do to drift alarms."""
    if not fitted.settings.window:
        return []
    return [
        "windows overlap and rows of a series hang together, so drift alarms come more often than "
        "stated; rows are counted in windows"
    ]
