"""`lemari embed`, `reconstruct` and `evaluate`: what a model makes of examples."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.detecting import evaluate_detector
from lemari.surfaces.cli.show import (
    JSON,
    Progress,
    find_run,
    finish,
    floor_line,
    quoted,
    score_lines,
)

RUN = typer.Argument(..., metavar="RUN", help="Run folder, its name under runs/, or latest.")


def register(app: typer.Typer) -> None:
    for name, command in (("embed", embed), ("reconstruct", reconstruct), ("evaluate", evaluate)):
        app.command(name)(command)


def load(run: str, data: str, split: str | None, progress: Progress, **reading):
    """A model with a code, and the rows of DATA in its format."""
    from lemari.store import Fitted
    from lemari.tasks.restorer import need_code

    folder = find_run(run)
    fitted = Fitted.load(folder)
    need_code(fitted, quoted(run))
    return fitted, read(fitted, data, split, progress, **reading)


def read(fitted, data: str, split: str | None, progress: Progress, **reading):
    """The rows of DATA; data that the model was trained on is read as it was then."""
    trained = fitted.recipe.data
    if "patch" in trained.options:
        reading = {"patch": trained.options["patch"]} | reading
    if trained.name in (data, str(Path(data).resolve())):
        kept = ("shape", "label", "channels", "drop")
        reading = {k: v for k, v in trained.options.items() if k in kept} | reading
        for key in ("shape", "drop"):
            if key in reading:
                reading[key] = tuple(reading[key])
    source = s.held(data, split, progress.counted("reading"), **reading)
    rows = source.load(fitted.format)
    warn(progress, source.notes, rows.skipped)
    check_classes(fitted, rows, progress)
    return rows


def check_classes(fitted, rows, progress: Progress) -> None:
    """UsageError where a conditional model would be told a class that it does not know."""
    from lemari.errors import UsageError
    from lemari.registry import nearest

    told = bool(fitted.model.condition.width)
    if told and rows.strange:
        raise UsageError(
            f"{nearest(rows.strange[0], rows.classes, 'class')} This model is told the class of "
            "each example; leave such rows out, or give the data without labels."
        )
    if rows.strange:
        names = ", ".join(rows.strange[:5]) + (" ..." if len(rows.strange) > 5 else "")
        progress.note(f"note: classes that the model was not trained on count as unknown: {names}")
    if told and rows.y is None:
        progress.note("note: the data has no labels, so the model is told no class")


def warn(progress: Progress, notes, skipped) -> None:
    """How the data was understood, and what of it could not be used."""
    for note in notes:
        progress.note(f"note: {note}")
    if skipped:
        progress.note(f"warning: {len(skipped)} skipped:")
    for item in skipped[:10]:
        progress.note(f"  {item.item!r}: {item.reason}")
    if len(skipped) > 10:
        progress.note(f"  and {len(skipped) - 10} more")


def embed(
    run: str = RUN,
    data: str = typer.Argument(..., metavar="DATA", help="Name, folder, zip, or file."),
    output: str = typer.Option("codes.parquet", "-o", "--output", help=".parquet or .csv"),
    split: str = s.SPLIT,
    data_dir: str = s.DATA_DIR,
    shape: str = s.SHAPE,
    label: str = s.LABEL,
    drop: list[str] = s.DROP,
    as_json: bool = JSON,
) -> None:
    """Write the code of every example: columns id, z0, z1, ..., and label where known."""
    import time

    from lemari.errors import UsageError
    from lemari.feed import Feed
    from lemari.machine import threads
    from lemari.tasks.embed import encode, write_codes

    path = Path(output)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"Codes go into a .parquet or .csv file, not {path.name!r}.")
    progress = Progress(as_json)
    reading = s.options(data_dir, None, shape, label=label, drop=drop)
    fitted, rows = load(run, data, split, progress, **reading)
    begin = time.perf_counter()
    with threads(fitted.recipe.threads):
        feed = Feed(rows.x, rows.y, fitted.format)
        codes = encode(fitted.model, feed, progress.counted("encoding"))
    seconds = time.perf_counter() - begin
    progress.clear()
    write_codes(path, rows, codes)
    result = {"rows": len(rows), "dimensions": codes.shape[1], "seconds": seconds,
              "output": str(path.resolve()),
              "skipped": [asdict(item) for item in rows.skipped]}  # fmt: skip
    finish(as_json, result, f"Wrote {len(rows):,} codes of {codes.shape[1]} numbers to {path} "
           f"({seconds:.2f} s)", f"lemari evaluate {quoted(run)} {quoted(data)}")  # fmt: skip


def reconstruct(
    run: str = RUN,
    data: str = typer.Argument(..., metavar="DATA", help="Name, folder, zip, or file."),
    output: str = typer.Option("reconstructions", "-o", "--output", help="Folder to write into."),
    most: int = typer.Option(None, "-n", help="Only so many examples, from the first on."),
    split: str = s.SPLIT,
    data_dir: str = s.DATA_DIR,
    shape: str = s.SHAPE,
    label: str = s.LABEL,
    drop: list[str] = s.DROP,
    as_json: bool = JSON,
) -> None:
    """Write what the model makes of each example: a PNG each and a strip, or a table."""
    import numpy as np

    from lemari.errors import UsageError
    from lemari.feed import Feed
    from lemari.machine import threads
    from lemari.metrics.image import psnr
    from lemari.tasks.rebuild import write_rebuilt

    if most is not None and most < 1:
        raise UsageError(f"-n is at least 1, not {most}.")
    progress, folder = Progress(as_json), Path(output)
    reading = s.options(data_dir, None, shape, label=label, drop=drop)
    fitted, rows = load(run, data, split, progress, **reading)
    index, image = np.arange(len(rows))[:most], fitted.format.kind == "image"
    feed, ids = Feed(rows.x, rows.y, fitted.format, index), rows.ids[: len(index)]
    with threads(fitted.recipe.threads):
        files, mse = write_rebuilt(folder, fitted.model, feed, ids, progress.counted("rebuilding"))
    progress.clear()
    quality = f"MSE {mse:.5f}" + (f", PSNR {psnr(mse):.2f} dB" if image else "")
    left = f" of {len(rows):,}" if len(index) < len(rows) else ""
    result = {"rows": len(index), "of": len(rows), "mse": mse, "folder": str(folder.resolve()),
              "psnr": psnr(mse) if image else None, "files": files,
              "skipped": [asdict(item) for item in rows.skipped]}  # fmt: skip
    text = f"Wrote {len(files):,} files to {folder} ({len(index):,} examples{left}). {quality}"
    finish(as_json, result, text, f"lemari evaluate {quoted(run)} {quoted(data)}")


def evaluate(
    run: str = RUN,
    data: str = typer.Argument(None, metavar="[DATA]", help="Default: the run's held-out rows."),
    nll: int = typer.Option(
        0, "--nll", min=0, metavar="DRAWS", help="Importance-sampled NLL as well."
    ),
    measures: str = typer.Option(
        None, "--measures", metavar="NAME,...", help="What to measure, or all (default: the quick)."
    ),
    split: str = s.SPLIT,
    data_dir: str = s.DATA_DIR,
    shape: str = s.SHAPE,
    label: str = s.LABEL,
    drop: list[str] = s.DROP,
    seed: int = s.seed("For the draws of the code."),
    as_json: bool = JSON,
) -> None:
    """Score the model beside its baselines, on rows it was not trained on."""
    from lemari.machine import threads
    from lemari.store import Fitted
    from lemari.tasks.detector_files import is_detector
    from lemari.tasks.evaluate import chosen_measures
    from lemari.tasks.judge import factors_of, feeds_for

    chosen_measures(measures)
    progress, folder = Progress(as_json), find_run(run)
    if is_detector(folder):
        return evaluate_detector(folder, data, label, as_json)
    fitted = Fitted.load(folder)
    other = None
    if data is not None:
        reading = s.options(data_dir, None, shape, label=label, drop=drop)
        other = read(fitted, data, split, progress, **reading)
    train, held, where = feeds_for(fitted, other, progress.counted("reading"))
    with threads(fitted.recipe.threads):
        e = judged(fitted, train, held, where, nll, seed, progress, measures,
                   factors_of(fitted, held, where))  # fmt: skip
    progress.clear()
    result = {"run": str(folder.resolve()), "rows": len(held), "split": where,
              "skipped": [asdict(item) for item in other.skipped] if other else []}  # fmt: skip
    left = [f"Left out: {name}: {why}." for name, why in e.left_out.items() if measures]
    found = result | evaluation_document(e)
    lines = (score_lines(found["scores"]), floor_line(e.floor, fitted.model.data.size), *left)
    finish(as_json, found, "\n".join(filter(None, lines)), f"lemari report {quoted(run)}")


def evaluation_document(e) -> dict[str, Any]:
    """An Evaluation as JSON can hold it."""
    return {"scores": [asdict(score) for score in e.scores], "left_out": e.left_out,
            "losses": e.losses, "floor": e.floor,
            "kl_per_dimension": None if e.kl is None else e.kl.tolist()}  # fmt: skip


def judged(
    fitted, train, held, where: str, nll: int, seed: int, progress: Progress, measures, factors
):
    """Scores of restoring where the model restores, and of its code where it has one."""
    import numpy as np

    from lemari.errors import UsageError
    from lemari.latents.point import NoPrior
    from lemari.tasks.evaluate import Evaluation, chosen_measures
    from lemari.tasks.evaluate import evaluate as measure
    from lemari.tasks.mend import mend, scores
    from lemari.tasks.restorer import TASKS

    first, codeless = [], isinstance(fitted.model.prior, NoPrior)
    if fitted.recipe.variant in TASKS:
        if fitted.recipe.options.get("kind") == "given" and held.given is None:
            raise UsageError(
                "A run that learned from pairs can be scored only on its own held-out pairs; leave "
                "out DATA."
            )
        progress.say("restoring")
        first = scores(mend(fitted.model, train, held, fitted.recipe.seed), where)
    if codeless and (nll or measures):
        raise UsageError(
            "A network with skips has no code to measure; leave out --nll and --measures."
        )
    if codeless:
        nothing = np.empty((0, 0), np.float32)
        return Evaluation(first, nothing, nothing, None, None)
    e = measure(fitted.model, train, held, split=where, nll_samples=nll, seed=seed,
                measures=chosen_measures(measures), strict=measures not in (None, "all"),
                recipe=fitted.recipe, factors=factors, progress=progress.say)  # fmt: skip
    e.scores[:0] = first
    return e
