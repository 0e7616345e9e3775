"""`lemari train --task detect` and `lemari detect`: anomalous rows of tables and series."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli.detect_shown import show_found, show_trained
from lemari.surfaces.cli.detect_words import TAKEN, words_of
from lemari.surfaces.cli.restoring import one_line, usable_threads
from lemari.surfaces.cli.show import (
    JSON,
    THREADS,
    Progress,
    duration,
    find_run,
    finish,
    quoted,
    score_lines,
)


def register(app: typer.Typer) -> None:
    app.command("detect")(detect)


def train_detector(context: typer.Context, words: list[str]) -> None:
    """Train a detector: DATA and further options are in `words`, the usual ones in the context."""
    from lemari.machine import threads as working
    from lemari.tasks.detecting import Order, train
    from lemari.tasks.fit import new_folder, with_lock

    given, as_json = context.params, context.params["as_json"]
    check_options(context)
    data, further = words_of(words)
    order = Order(data, given["label"], tuple(given["drop"] or ()), seed=given["seed"],
                  held_out=given["held_out"], **further)  # fmt: skip
    count = usable_threads(given["threads"]) if given["threads"] else 1
    progress = Progress(as_json)
    folder = new_folder(given["out"], "detector", data)
    with cleared(folder), with_lock(folder), working(count):
        told = train(order, folder, Paced(progress))
    show_trained(folder, told, progress)


def check_options(context: typer.Context) -> None:
    """UsageError for an option of `train` that detectors do not have."""
    from lemari.errors import UsageError

    other = [
        name
        for name in context.params
        if name not in TAKEN and str(context.get_parameter_source(name)).endswith("COMMANDLINE")
    ]
    if other:
        raise UsageError(f"--{other[0].replace('_', '-')} is no option of --task detect.")


@contextmanager
def cleared(folder: Path) -> Iterator[None]:
    """Take the new folder away again when nothing was written into it."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise


class Paced:
    """Progress (what, done in 0 to 1) as a passing line with the time left."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.begin = progress, time.monotonic()

    def __call__(self, what: str, done: float) -> None:
        spent = time.monotonic() - self.begin
        left = spent * (1 - done) / done if done > 0.05 else 0.0
        words = f"  {duration(left)} left" if left >= 1 else ""
        self.progress.line(f"{what}  {done:.0%}{words}")


def detect(
    run: str = typer.Argument(..., metavar="RUN", help="Run of train --task detect, or latest."),
    new: list[str] = typer.Argument(..., metavar="NEW...", help="Tables, or - for a stream."),
    output: str = typer.Option(None, "-o", "--output", help="Scores as .csv or .parquet."),
    most: int = typer.Option(3, min=1, max=20, help="Reasons a row."),
    fdr: float = typer.Option(None, help="Mark a batch with at most this share of normal rows."),
    watch: bool = typer.Option(False, "--watch", help="Also say where the rows drift."),
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Score new rows: which are anomalous, and why. The first row of a file is row 1."""
    from lemari.machine import threads as working
    from lemari.tasks.detect_run import How, detect_files
    from lemari.tasks.detector_pictures import load_any

    progress = Progress(as_json)
    count, folder = usable_threads(threads), find_detector(run)
    with working(count):
        fitted = load_any(folder)
        how = How(output, most, fdr, watch)
        if "-" in new:
            stream(fitted, new, how)  # pyright: ignore[reportArgumentType]
            return
        told = detect_files(fitted, folder, new, how, progress.say)
    show_found(told, folder, progress)


def find_detector(run: str) -> Path:
    """The folder of a detector's run: a path, a name under runs/, or latest."""
    from lemari.errors import RunError
    from lemari.tasks.detector_files import is_detector

    if run == "latest":
        found = sorted(Path("runs").glob("*/detector.json"), key=lambda p: p.stat().st_mtime)
        if not found:
            raise RunError(
                "There is no detector yet under runs/; make one with `lemari train DATA --task "
                "detect`."
            )
        return found[-1].parent
    places = (Path(run), Path("runs") / run)
    return next((path for path in places if is_detector(path)), None) or find_run(run)


def stream(fitted, new: list[str], how) -> None:
    """Answer rows from standard input line by line."""
    import sys

    from lemari.errors import UsageError
    from lemari.tasks.detect_stream import Stream

    if not hasattr(fitted, "drift"):
        raise UsageError("A stream (-) has rows of a table; give a detector of pictures files.")
    if len(new) > 1 or how.output or how.fdr is not None:
        raise UsageError("A stream (-) stands alone, without other files, --output or --fdr.")
    answers = Stream(fitted, how.most, how.watch)
    for answer in answers.lines(sys.stdin.buffer if hasattr(sys.stdin, "buffer") else sys.stdin):
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


def evaluate_detector(folder: Path, data: str | None, label: str | None, as_json: bool) -> None:
    """`lemari evaluate` for a detector: how well it tells the labelled rows of DATA apart."""
    from lemari.errors import UsageError
    from lemari.tasks.detecting import measure
    from lemari.tasks.detector_pictures import load_any

    if data is None:
        raise UsageError("Give labelled rows to evaluate a detector on: DATA and --label.")
    progress, fitted = Progress(as_json), load_any(folder)
    progress.say("scoring")
    told: dict[str, Any] = measure(fitted, data, label) | {"run": str(folder.resolve())}
    progress.clear()
    for note in told["notes"]:
        progress.note(one_line(f"warning: {note}."))
    text = f"Labels: {one_line(told['labels'])}.\n" + score_lines(told["scores"])
    finish(as_json, told, text, f"lemari threshold {quoted(folder)}")
