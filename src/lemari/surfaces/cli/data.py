"""`lemari data inspect`."""

from __future__ import annotations

import typer

from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.show import JSON, Progress, finish, quoted

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

    if data is None:
        raise UsageError("Say what to inspect: `lemari data inspect DATA`.")
    progress = Progress(as_json)
    given = s.options(data_dir, size, shape, channels, fit, label, drop, max_skipped)
    found = open_data(data, split=split, progress=progress.counted("reading"), **given).inspect()
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
