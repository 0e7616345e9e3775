"""`lemari restore`: picture files with less noise, more pixels, or filled places."""

from __future__ import annotations

from pathlib import Path

import typer

from lemari.surfaces.cli.show import JSON, THREADS, Progress, duration, find_run, finish, quoted

MODELS = ("gray-denoise", "color-denoise", "x2", "x4")


def register(app: typer.Typer) -> None:
    app.command("restore")(restore)


def restore(
    words: list[str] = typer.Argument(
        ..., metavar="[RUN] FILES...", help="Run (left out with --model), then files or folders."
    ),
    output: str = typer.Option("restored", "-o", "--output", help="Folder to write into."),
    model: str = typer.Option(None, "--model", help="Built in: " + ", ".join(MODELS) + "."),
    noise: float = typer.Option(
        None, help="Noise as a part of the pixel range; default: estimated."
    ),
    strength: float = typer.Option(1.0, help="0 leaves the picture, 1 restores it fully."),
    mask: str = typer.Option(None, help="Picture of the same size, white where to fill."),
    uncertainty: bool = typer.Option(
        False, "--uncertainty", help="Also a map of how far 8 turned views disagree."
    ),
    best: bool = typer.Option(False, "--best", help="Mean of 8 turned views: slower, better."),
    tile: int = typer.Option(256, help="Side of a tile in pixels; smaller needs less memory."),
    threads: int = THREADS,
    no_page: bool = typer.Option(False, "--no-page", help="Only the pictures."),
    as_json: bool = JSON,
) -> None:
    """Restore pictures of any size into OUT: same name, format, depth and metadata."""
    from lemari.machine import threads as working
    from lemari.restore_html import Page
    from lemari.tasks import restore_files as task
    from lemari.tasks.restore import How
    from lemari.tasks.tiling import LEAST_TILE, MOST_TILE

    names = files_of(words, model)
    count = usable_threads(threads)
    if not LEAST_TILE <= tile <= MOST_TILE:
        fault(f"--tile is {LEAST_TILE} to {MOST_TILE:,} pixels, not {tile}.")
    covered = None if mask is None else task.read_mask(mask)
    how = How(noise, strength, covered, best, uncertainty, tile)
    progress, out, page = Progress(as_json), Path(output), Page()
    with working(count):
        restorer = find_restorer(words, model)
        done, failed = task.restore_files(
            restorer, names, out, how,
            shown=None if no_page else lambda record, old, new: page.add(
                record.input.name, facts(record), old, new),
            progress=lambda name, done, total: progress.line(
                one_line(f"{name}: tile {done} of {total}")),
        )  # fmt: skip
    show(done, failed, out, page.write(out, restorer.task) if page.pairs else None, progress)


def show(done, failed, out: Path, page: Path | None, progress: Progress) -> None:
    """Say what was made and what failed; exit 1 when anything failed."""
    from lemari.tasks.restore_files import as_json, text

    progress.clear()
    for record in done:
        if record.note:
            progress.note(one_line(f"note: {record.input}: {record.note}."))
    for item in failed:
        progress.note(one_line(f"failed: {item.file}: {item.reason}"))
    result = as_json(done, failed) | {"page": None if page is None else text(page.resolve())}
    seconds = sum(record.seconds for record in done)
    said = f"Restored {len(done):,} picture{'' if len(done) == 1 else 's'} into {out} "
    said += f"({duration(seconds)})" + (f"; {len(failed):,} failed" if failed else "")
    finish(progress.quiet, result, one_line(said), f"open {text(quoted(page))}" if page else "")
    if failed:
        raise typer.Exit(1)


def one_line(text: str) -> str:
    """The text with ? for what a terminal would obey, not print: a file name may hold it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def fault(text: str) -> None:
    from lemari.errors import UsageError

    raise UsageError(text)


def files_of(words: list[str], model: str | None) -> list[str]:
    """The files among the words; the first word is the run when there is no --model."""
    if "" in words:
        fault("A file name is empty; give the files to restore, or . for this folder.")
    if model is not None:
        if model not in MODELS:
            fault(f"--model is {', '.join(MODELS)}, not {model!r}.")
        return words
    if len(words) < 2 or Path(words[0]).is_file():
        fault("Give a run and the files to restore, or --model with one of the built-in models.")
    return words[1:]


def find_restorer(words: list[str], model: str | None):
    """The built-in model of that name, or the one of the run that is the first word."""
    from lemari.tasks import restorer

    if model is not None:
        return restorer.built_in(model)
    return restorer.restorer_of(find_run(words[0]))


def usable_threads(wanted: int | None) -> int:
    from lemari.machine import cores

    if wanted is not None and not 1 <= wanted <= cores():
        fault(f"--threads is 1 to {cores()} on this machine, not {wanted}.")
    return wanted or cores()


def facts(record) -> str:
    """What is written below a picture on the page."""
    (h, w), (tall, wide) = record.size, record.result
    size = f"{w} × {h}" + (f" to {wide} × {tall}" if (h, w) != (tall, wide) else "")
    kind = f"{record.depth}-bit {'gray' if record.channels == 1 else 'colour'}"
    noise = "" if record.noise is None else f", noise {record.noise:.4f} of the range"
    return f"{size} pixels, {kind}{noise}, {record.seconds:.1f} s"
