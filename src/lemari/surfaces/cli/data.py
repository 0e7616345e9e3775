"""`lemari data inspect`."""

from __future__ import annotations

from typing import Any

import typer

from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.restoring import one_line
from lemari.surfaces.cli.show import JSON, Progress, finish, quoted, table

MOST_COLUMNS = 200

app = typer.Typer(help="Look at data before training.", no_args_is_help=True)


@app.callback()
def top() -> None:
    """Look at data before training."""


@app.command("inspect")
def inspect(
    data: str = s.DATA,
    split: str = typer.Option("train", help="train, test or all."),
    data_dir: str = s.DATA_DIR,
    size: str = s.SIZE,
    shape: str = s.SHAPE,
    channels: int = s.CHANNELS,
    fit: str = s.FIT,
    label: str = s.LABEL,
    drop: list[str] = s.DROP,
    max_skipped: float = typer.Option(1.0, "--max-skipped", help="Share of unusable files."),
    as_json: bool = JSON,
) -> None:
    """Open all of DATA and say what is there: kind, size, classes, range, broken files."""
    from lemari.errors import UsageError
    from lemari.sources import open_data
    from lemari.tasks.detect_data import typed_table

    if data is None:
        raise UsageError("Say what to inspect: `lemari data inspect DATA`.")
    progress = Progress(as_json)
    given = s.options(data_dir, size, shape, channels, fit, label, drop, max_skipped)
    loading = progress.counted("reading")
    found = typed_table(data, label, drop or ())
    if found is not None and not pictures_in(data, split, given):
        finish(as_json, found, typed_lines(found), f"lemari train {quoted(data)} --task detect")
        return
    found = open_data(data, split=split, progress=loading, **given).inspect()
    progress.clear()
    lines = [
        f"{found['examples']:,} examples of {'x'.join(map(str, found['shape']))} "
        f"({found['kind']}, {found['dtype']}, {found['range'][0]:g} to {found['range'][1]:g})",
        f"{len(found['classes'])} classes: {', '.join(found['classes'][:12])}"
        if found["classes"]
        else "no labels",
        *(f"note: {note}" for note in found["notes"]),
        f"{len(found['skipped'])} skipped",
        *(f"  {item['file']!r}: {item['reason']}" for item in found["skipped"]),
    ]
    finish(as_json, found, "\n".join(lines), f"lemari train {quoted(data)}")


def pictures_in(data: str, split: str, given: dict[str, Any]) -> bool:
    """Whether `train` would read a table file as pictures, its broken rows left out."""
    from lemari.errors import LemariError
    from lemari.sources import open_data

    try:
        return open_data(data, split=split, **given).kind == "image"
    except LemariError:
        return False


def typed_lines(found: dict[str, Any]) -> str:
    """The typed columns of a table, one line each."""
    from lemari.detect_html import content

    columns = found["columns"]
    rows = [
        tuple(map(one_line, (c["name"], c["kind"], f"{c['missing']:,}", content(c), c["note"])))
        for c in columns[:MOST_COLUMNS]
    ]
    left = len(columns) - len(rows)
    labels = ", ".join(f"{one_line(k)} ({v:,})" for k, v in found.get("labels", {}).items())
    lines = [
        f"{found['rows']:,} rows of {len(columns):,} columns, {found['features']:,} features",
        f"labels: {labels}" if labels else "no labels",
        *(f"note: {one_line(note)}" for note in found["notes"]),
        table(rows, ("column", "kind", "missing", "content", "note")),
    ]
    return "\n".join([*lines, f"and {left:,} more"] if left > 0 else lines)
