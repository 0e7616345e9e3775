"""`lemari runs` and `lemari report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli.analyse import RUN
from lemari.surfaces.cli.show import JSON, Progress, find_run, finish, quoted, table


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List runs, or compare some.", invoke_without_command=True)
    group.callback(invoke_without_command=True)(listing)
    group.command("list")(plain)
    group.command("compare")(compare)
    app.add_typer(group, name="runs")
    app.command("report")(report)


def listing(
    context: typer.Context,
    folder: str = typer.Option("runs", help="Where the runs lie."),
    as_json: bool = JSON,
) -> None:
    """List the runs of a folder, newest last."""
    if context.invoked_subcommand is None:
        every(folder, as_json)


def plain(folder: str = typer.Option("runs"), as_json: bool = JSON) -> None:
    """List the runs of a folder, newest last."""
    every(folder, as_json)


def every(folder: str, as_json: bool) -> None:
    found = [p for n in ("recipe.json", "detector.json") for p in Path(folder).glob(f"*/{n}")]
    found.sort(key=lambda p: p.stat().st_mtime)
    rows = [row_of(path.parent) for path in found]
    keys = ("run", "state", "variant", "data", "latent", "epochs", "loss", "MSE", "kNN-5 accuracy")
    if any(path.name == "detector.json" for path in found):
        keys += ("AUROC",)
    text = table([tuple(row.get(key) for key in keys) for row in rows], keys) if rows else ""
    finish(as_json, {"runs": rows}, text or f"No runs in {folder}.",
           "lemari compare RUN RUN" if len(rows) > 1 else "lemari demo")  # fmt: skip


def row_of(run: Path) -> dict[str, Any]:
    """A run in one row; damaged parts are left out."""
    from lemari.errors import ModelFileError
    from lemari.files import read_json

    row: dict[str, Any] = {"run": run.name, "path": str(run.resolve())}
    row["state"] = "finished" if (run / "report.html").exists() else "unfinished"
    detector = (run / "detector.json").is_file()
    try:
        if detector:
            summary = {"findings": []} | read_json(run / "metrics" / "summary.json")
        else:
            summary = read_json(run / "summary.json")
        row |= {k: summary.get(k) for k in ("latent", "epochs", "seconds")}
        row["variant"] = "detector" if detector else summary.get("variant")
        row["data"] = summary["data"]["name"]
        row |= {score["name"]: score["value"] for score in summary.get("scores", [])}
        row["findings"] = [finding["name"] for finding in summary["findings"]]
    except (ModelFileError, KeyError, TypeError, AttributeError):
        if row["state"] == "finished":
            row["state"] = "damaged"
    return row


def compare(
    chosen: list[str] = typer.Argument(..., metavar="RUN RUN...", help="Two runs or more."),
    as_json: bool = JSON,
) -> None:
    """One table: every score of each run, and the options in which they differ."""
    from lemari.errors import UsageError
    from lemari.store import read_recipe

    folders = [find_run(name) for name in chosen]
    if len(folders) < 2:
        raise UsageError("Comparing takes two runs or more.")
    refuse_detectors(folders)
    rows = [row_of(folder) for folder in folders]
    recipes = []
    for folder in folders:
        recipe = read_recipe(folder / "recipe.json").model_dump()
        recipes.append(recipe.pop("options") | {"data": recipe.pop("data")["name"]} | recipe)
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    differ = [k for k in keys if len({str(recipe.get(k)) for recipe in recipes}) > 1]
    scores = list(dict.fromkeys(
        k for row in rows for k, v in row.items() if isinstance(v, int | float)))  # fmt: skip
    lines = [(k, *(recipe.get(k) for recipe in recipes)) for k in differ]
    lines += [(k, *(row.get(k) for row in rows)) for k in scores if k not in differ]
    text = table(lines, ("", *(row["run"] for row in rows)))
    result = {"runs": rows, "differ": {k: [r.get(k) for r in recipes] for k in differ}}
    finish(as_json, result, text, f"lemari report {quoted(chosen[0])}")


def report(run: str = RUN, as_json: bool = JSON) -> None:
    """Score a run again, draw all its pictures again, and write its report."""
    from lemari.files import read_json
    from lemari.store import Fitted
    from lemari.tasks.detector_files import is_detector
    from lemari.tasks.finish import finish as complete
    from lemari.tasks.finish import next_command
    from lemari.tasks.fit import keep_history, open_run, with_lock

    if is_detector(folder := find_either(run)):
        return redraw(folder, as_json)
    progress = Progress(as_json)
    with with_lock(folder):
        fitted = Fitted.load(folder)
        job = open_run(folder, progress.counted("reading"))
        notes = read_json(folder / "data.json") if (folder / "data.json").is_file() else {}
        job.notes[:] = notes.get("notes", job.notes)
        history = keep_history(folder, fitted.recipe.epochs)
        summary = complete(folder, fitted, job, history, progress.say)
    progress.clear()
    where = str((folder / "report.html").resolve())
    finish(as_json, {"report": where, "findings": summary["findings"]}, f"Wrote {where}",
           next_command(run, fitted))  # fmt: skip


def find_either(run: str) -> Path:
    """A run of any task; `latest` is the newest that was trained, whatever its task."""
    if run != "latest":
        return find_run(run)
    found = [p for n in ("recipe.json", "detector.json") for p in Path("runs").glob(f"*/{n}")]
    return max(found, key=lambda p: p.stat().st_mtime).parent if found else find_run(run)


def redraw(folder: Path, as_json: bool) -> None:
    """Draw a detector's picture again and write its report, such as after threshold.json was
    edited."""
    from lemari.tasks.detect_report import rewrite
    from lemari.tasks.fit import with_lock

    with with_lock(folder):
        rewrite(folder)
    where = str((folder / "report.html").resolve())
    finish(as_json, {"report": where, "findings": []}, f"Wrote {where}",
           f"lemari detect {quoted(folder)} NEW -o scores.csv")  # fmt: skip


def refuse_detectors(folders: list[Path]) -> None:
    from lemari.errors import UsageError
    from lemari.tasks.detector_files import is_detector

    found = [folder for folder in folders if is_detector(folder)]
    if found:
        raise UsageError(
            f"{found[0]} is a detector, which has no recipe to compare; `lemari runs list` shows "
            "the scores of detectors side by side."
        )
