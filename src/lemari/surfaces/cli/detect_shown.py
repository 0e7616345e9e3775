"""What `lemari detect` and `lemari train --task detect` say when they are done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lemari.surfaces.cli.restoring import one_line
from lemari.surfaces.cli.show import (
    Progress,
    cell,
    duration,
    finish,
    quoted,
    score_lines,
    table,
)

SHOWN = 10
MOST_ALARMS = 40


def show_trained(folder: Path, told: dict[str, Any], progress: Progress) -> None:
    """What was learned, both errors, the worst rows, and where it all lies."""
    progress.clear()
    for note in told["data"]["notes"]:
        progress.note(one_line(f"note: {note}."))
    data, made = told["data"], told["detector"]
    report = (folder / "report.html").resolve()
    what = f"{made['columns']:,} columns of {data['trained_on']:,} rows"
    if "size" in made:
        what = f"{data['trained_on']:,} pictures of {'x'.join(map(str, made['size'][1:]))} pixels"
    lines = [
        f"Learned {what} ({made['features']:,} features) in {duration(told['seconds'])}.",
        f"Labels: {one_line(told['labels'])}." if told["labels"] else "",
        score_lines(told["scores"]) if told["scores"] else "",
        threshold_line(told["threshold"]),
        worst_lines(told["worst"][:3]),
        f"Wrote {folder.resolve()}",
        f"Report {report}",
    ]
    text = "\n".join(line for line in lines if line)
    result = told | {"run": str(folder.resolve()), "report": str(report)}
    finish(progress.quiet, result, text, f"lemari detect {quoted(folder)} NEW -o scores.csv")


def threshold_line(threshold: dict[str, Any]) -> str:
    """The threshold, its rule, what it should do, and what to know about it."""
    alarms = threshold["expected"].get("alarms_per_10000")
    said = f"Threshold {threshold['value']:.4g} by {threshold['rule']}"
    if alarms is not None:
        said += f": about {alarms:,.3g} false alarms in 10,000 normal rows"
    return said + "." + (f" {threshold['note']}" if threshold["note"] else "")


def worst_lines(rows: list[dict[str, Any]]) -> str:
    """The worst rows as a table with their reasons."""
    files = len({row["file"] for row in rows}) > 1
    shown = []
    for row in rows:
        why = one_line("; ".join(reason["text"] for reason in row["reasons"]))
        name = str(row.get("name") or row["row"])
        name = f"{row['file']} {name}" if files else name
        flag = "flagged" if row["flagged"] else "-"
        shown.append((one_line(name), cell(row["score"]), f"{row['p_value']:.2g}", flag, why))
    return table(shown, ("row", "score", "p", "", "why")) if shown else ""


def show_found(told: dict[str, Any], folder: Path, progress: Progress) -> None:
    """How many rows are flagged, the worst with reasons, drift alarms, and where it all lies."""
    progress.clear()
    for note in told["notes"]:
        progress.note(one_line(f"warning: {note}."))
    kind = "pictures" if any("name" in row for row in told["worst"]) else "rows"
    lines = [
        f"{told['flagged']:,} of {told['rows']:,} {kind} are flagged (score above "
        f"{told['threshold']:.4g}).",
        worst_lines(told["worst"][:SHOWN]),
    ]
    if told.get("discoveries") is not None:
        lines.insert(1, f"{told['discoveries']:,} stand out at a false discovery rate of "
                        f"{told['fdr']:g}.")  # fmt: skip
    if told.get("drift") is not None:
        lines += drift_lines(told["drift"])
    lines += [f"Wrote {told[key]}" for key in ("output", "page", "picture") if told.get(key)]
    text = "\n".join(line for line in lines if line)
    finish(progress.quiet, told, text, f"lemari threshold {quoted(folder)}")


def drift_lines(alarms: list[dict[str, Any]]) -> list[str]:
    """Drift alarms, one a line, in the order of their rows."""
    if not alarms:
        return ["No drift was found."]
    files = len({alarm["file"] for alarm in alarms}) > 1
    lines = [
        one_line(f"drift at {alarm['file'] + ' ' if files else ''}{alarm['text']}")
        for alarm in alarms[:MOST_ALARMS]
    ]
    more = len(alarms) - len(lines)
    return [*lines, f"and {more:,} more alarms, which --json lists"] if more else lines
