"""`lemari compare`: several runs, the same rows, one table and one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.runs import refuse_detectors
from lemari.surfaces.cli.show import JSON, Progress, find_run, finish, quoted, table


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


def compare(
    chosen: list[str] = typer.Argument(..., metavar="RUN RUN...", help="Two runs or more."),
    output: str = typer.Option(None, "-o", "--output", help="Folder for table and picture."),
    measures: str = typer.Option(
        None, "--measures", metavar="NAME,...", help="What to measure, or all (default: the quick)."
    ),
    seed: int = s.seed("For the draws of the code."),
    as_json: bool = JSON,
) -> None:
    """Score runs on the rows that all of them held out: one table and one picture."""
    from lemari.tasks.compare import (
        common_rows,
        differences,
        enter,
        judge,
        keep,
        score_table,
    )
    from lemari.tasks.evaluate import chosen_measures
    from lemari.tasks.fit import new_folder

    wanted = None if measures is None else chosen_measures(measures)
    folders = [find_run(name) for name in chosen]
    refuse_detectors(folders)
    progress = Progress(as_json)
    runs = enter(folders, progress.counted("reading"))
    held = common_rows(runs)
    data = Path(runs[0].fitted.recipe.data.name or "array").name
    folder = new_folder(output, "compare", data)
    judge(runs, held, wanted, seed, progress.say)
    progress.say("drawing")
    rows, differ = score_table(runs), differences(runs)
    files = keep(folder, runs, rows, held, seed)
    progress.clear()
    result = {"folder": str(folder.resolve()), "files": files, "rows": len(held),
              "split": runs[0].job.split, "runs": [run.name for run in runs],
              "scores": rows, "differ": differ}  # fmt: skip
    text = f"{shown(rows, differ, [run.name for run in runs])}\n"
    text += f"{len(held):,} rows ({runs[0].job.split}), held out by all. Wrote {folder}"
    finish(as_json, result, text, f"lemari report {quoted(chosen[0])}")


def shown(rows: list[dict[str, Any]], differ: dict[str, list], names: list[str]) -> str:
    """The table: what differs, then each score and, set in, its baselines."""
    lines = [(key, *values, "-") for key, values in differ.items()]
    for row in rows:
        unit = f", {row['unit']}" if row["unit"] else ""
        lines.append((row["name"] + unit, *row["values"], row["best"] or "-"))
        lines += [(f"  {name}", *values, "-") for name, values in row["baselines"].items()]
    return table(lines, ("", *names, "best"))
