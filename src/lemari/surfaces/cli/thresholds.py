"""`lemari threshold` and `lemari update`: a detector changed after training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli.detect_shown import show_trained, threshold_line
from lemari.surfaces.cli.detecting import Paced, cleared, find_detector
from lemari.surfaces.cli.restoring import usable_threads
from lemari.surfaces.cli.show import JSON, THREADS, Progress, finish, quoted, table

RUN = typer.Argument(..., metavar="RUN", help="Run of train --task detect, or latest.")


def register(app: typer.Typer) -> None:
    app.command("threshold")(threshold)
    app.command("update")(update)


def threshold(
    run: str = RUN,
    alarm_rate: float = typer.Option(None, help="Share of normal rows that may be flagged."),
    confidence: float = typer.Option(None, help="With --alarm-rate: promised so surely."),
    miss_cost: float = typer.Option(None, help="Cost of a missed anomaly (with --alarm-cost)."),
    alarm_cost: float = typer.Option(None, help="Cost of a false alarm (with --miss-cost)."),
    share: float = typer.Option(None, help="With costs: share of anomalies (default: 0.01)."),
    labels: str = typer.Option(None, metavar="FILE", help="Labelled rows (with --label)."),
    label: str = typer.Option(None, help="Column of --labels that holds the labels."),
    goal: str = typer.Option(None, help="With --labels: f1, precision=0.9 or recall=0.9."),
    automatic: str = typer.Option(None, metavar="FILE", help="Unlabelled rows to find it from."),
    value: float = typer.Option(None, help="The threshold itself."),
    as_json: bool = JSON,
) -> None:
    """Show the threshold of a detector and both its errors, or choose it by another rule."""
    from lemari.tasks.choosing import ask, choose
    from lemari.tasks.detect_report import change_threshold, show_threshold
    from lemari.tasks.detector_pictures import load_any
    from lemari.tasks.fit import with_lock

    progress, folder = Progress(as_json), find_detector(run)
    asked = ask(alarm_rate, confidence, miss_cost, alarm_cost, share, labels, label, goal,
                automatic, value)  # fmt: skip
    fitted = load_any(folder, mend=asked is not None)
    if asked is None:
        told = show_threshold(folder, fitted)
    else:
        with with_lock(folder):
            progress.say("scoring")
            chosen, labelled, notes = choose(fitted, asked)
            told = change_threshold(folder, fitted, chosen, labelled, Path(labels or "").name)
        progress.clear()
        for note in notes:
            progress.note(f"warning: {note}.")
    keys = ("threshold", "errors")
    text = "\n".join([threshold_line(told["threshold"]), error_lines(told["errors"])])
    finish(as_json, {k: told[k] for k in keys} | {"run": str(folder.resolve())}, text,
           f"lemari detect {quoted(folder)} NEW -o scores.csv")  # fmt: skip


def error_lines(rows: list[dict[str, Any]]) -> str:
    """Both errors at several thresholds."""
    from lemari.detect_html import percent

    head = ["threshold", "false alarms", "95 % interval", "per 10,000"]
    labelled = any(row["recall"] is not None for row in rows)
    head += ["recall", "precision"] if labelled else []
    shown = []
    for row in rows:
        cells = [row["threshold"], percent(row["false_alarm_rate"])]
        cells += [f"{percent(row['low'])} to {percent(row['high'])}", row["alarms_per_10000"]]
        cells += [percent(row["recall"]), percent(row["precision"])] if labelled else []
        shown.append(tuple(cells))
    return table(shown, tuple(head))


def update(
    run: str = RUN,
    new: str = typer.Argument(..., metavar="NEW", help="Table of rows to learn."),
    out: str = typer.Option(..., "--out", help="Folder of the new run; the old one stays."),
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Let a detector learn new rows beside a sample of the old ones, as a new run."""
    from lemari.machine import threads as working
    from lemari.tasks.detecting import update as learn
    from lemari.tasks.fit import new_folder, with_lock

    count = usable_threads(threads) if threads else 1
    progress, old = Progress(as_json), find_detector(run)
    folder: Path = new_folder(out, "detector", new)
    with cleared(folder), with_lock(folder), working(count):
        told = learn(old, new, folder, Paced(progress))
    show_trained(folder, told, progress)
