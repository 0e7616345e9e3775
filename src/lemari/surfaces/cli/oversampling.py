"""`lemari oversample`: a table with more rows of its rare classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli.show import JSON, Progress, finish, quoted, table

SYNTHETIC = "synthetic"


def register(app: typer.Typer) -> None:
    app.command("oversample")(oversample)


def oversample(
    data: str = typer.Argument(..., metavar="DATA", help="Table: .csv, .parquet, .npy or .npz."),
    label: str = typer.Option(None, help="Column that holds the class."),
    output: str = typer.Option(..., "-o", "--output", help="New .csv or .parquet file."),
    target: str = typer.Option(
        "equal", help="equal, rows a class (500), or a part of the largest class (0.5)."
    ),
    only: list[str] = typer.Option(None, "--class", help="Only this class; may be repeated."),
    only_new: bool = typer.Option(False, "--only-new", help="Write the new rows alone."),
    seed: int = typer.Option(0, help="The same seed makes the same rows."),
    as_json: bool = JSON,
) -> None:
    """Make new rows for rare classes; write all rows with a column `synthetic` (0 or 1)."""
    from dataclasses import asdict

    from lemari.machine import threads
    from lemari.mixed.cells import written
    from lemari.mixed.writing import write_rows
    from lemari.tasks.oversample import oversample as make

    out = checked_output(output)
    name, place, frame, labels = read(data, label)
    progress = Progress(as_json)
    progress.say("training")
    with threads(1):
        made = make(frame, labels, target=goal(target), only=only or (), seed=seed)
    progress.clear()
    found = columns_of(frame, labels, made.rows, name, place, only_new)
    if not len(next(iter(found.values()))):
        fault("No class is below the target, so there is no new row; give a higher --target.")
    write_rows(out, found)
    for note in (*frame.notes, *made.notes):
        progress.note(f"note: {note}")
    rows = [
        (written(c.label), c.given, c.made, c.method, c.nearest, c.usual, c.copies)
        for c in made.classes
    ]
    head = ("class", "given", "made", "by", "nearest", "usual", "copies")
    said = f"Wrote {len(made.rows):,} new rows into {out}"
    said += "" if only_new else f", after the {len(frame):,} given ones"
    result = {"output": str(out), "classes": [asdict(c) for c in made.classes]}
    shown = f"{said}.\n{table(rows, head)}" if rows else f"{said}; no class is below the target."
    finish(as_json, result, shown, f"lemari data inspect {quoted(out)}")


def checked_output(output: str) -> Path:
    """The file to write, which must be new and end in .csv or .parquet."""
    out = Path(output)
    if out.suffix.lower() not in (".csv", ".parquet"):
        fault(f"Rows cannot be written to {out.name}; choose a name in .csv or .parquet.")
    if out.exists():
        fault(f"{out} exists already and is not overwritten; give another name with -o.")
    return out


def read(data: str, label: str | None) -> tuple[str, int, Any, list[Any]]:
    """Name and place of the label column, the table without it, and the labels."""
    from dataclasses import replace

    from lemari.mixed.frame import read_frame

    frame = read_frame(data)
    if label is None:
        if frame.label is None:
            fault("The table has no labels of its own; name the column with --label COLUMN.")
        name, place, labels = "label", len(frame.names), frame.label
    else:
        name, place = label, frame.place(label)
        frame = read_frame(frame, label=label)
        labels = frame.label
    own = f"column '{name}' looks like"
    notes = tuple(n for n in dict.fromkeys(frame.notes) if not n.startswith(own))
    if {SYNTHETIC, name} & set(frame.names):
        twice = SYNTHETIC if SYNTHETIC in frame.names else name
        fault(f"The table has a column '{twice}', which is written beside it; rename it first.")
    return name, place, replace(frame, label=None, notes=notes), labels or []


def columns_of(
    frame: Any, labels: list[Any], new: Any, name: str, place: int, only_new: bool
) -> dict[str, Any]:
    """The columns to write, the labels where they stood."""
    from dataclasses import replace

    from lemari.tasks.oversample import joined

    rows = new if only_new else joined([replace(frame, label=labels), new])
    names: list[str] = list(rows.names)
    columns: list[Any] = list(rows.columns)
    names.insert(place, name)
    columns.insert(place, rows.label)
    found: dict[str, Any] = dict(zip(names, columns))
    if not only_new:
        found[SYNTHETIC] = [0] * len(frame) + [1] * len(new)
    return found


def goal(target: str) -> str | int | float:
    """The target as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(target)
        except ValueError:
            continue
    return target


def fault(text: str) -> None:
    from lemari.errors import UsageError

    raise UsageError(text)
