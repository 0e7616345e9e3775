"""`lemari generate` and `lemari morph`: new examples from codes."""

from __future__ import annotations

import math
from pathlib import Path

import typer

from lemari.surfaces.cli import samplers_shown as shown
from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.analyse import RUN, load
from lemari.surfaces.cli.show import JSON, Progress, find_run, finish, quoted


def register(app: typer.Typer) -> None:
    app.command("generate")(generate)
    app.command("morph")(morph)


def generate(
    run: str = RUN,
    count: int = typer.Option(64, "-n", help="How many examples."),
    output: str = typer.Option("samples.png", "-o", "--output", help=".png, .npz; tables: .csv"),
    mode: str = typer.Option("random", help="random, grid (two dimensions), or traversal."),
    seed: int = s.seed("For the draws of the code."),
    temperature: float = typer.Option(1.0, help="Below 1: nearer to the prior's middle."),
    truncation: float = typer.Option(None, help="Farthest value, in deviations of the prior."),
    wanted: str = typer.Option(None, "--class", help="Class, for a conditional model."),
    sampler: str = typer.Option(
        "prior", help="prior, auto (the best of the line-up), kept, or the name of one."
    ),
    refit: bool = typer.Option(False, "--refit", help="Fit the sampler anew."),
    as_json: bool = JSON,
) -> None:
    """Decode new codes: random ones, a grid over a plane, or one dimension at a time."""
    from lemari.errors import UsageError
    from lemari.machine import threads
    from lemari.store import Fitted
    from lemari.tasks.create import create, write_created
    from lemari.tasks.detector_files import is_detector
    from lemari.tasks.restorer import need_code

    check_draws(mode, count, temperature)
    check_sampler(sampler, mode, temperature, truncation)
    path, folder, progress = Path(output), find_run(run), Progress(as_json)
    if is_detector(folder):
        raise UsageError(f"{run} is a detector, which draws nothing; use `lemari detect {run}`.")
    fitted = Fitted.load(folder)
    need_code(fitted, quoted(run))
    with threads(fitted.recipe.threads):
        name, law, found = law_for(folder, fitted, sampler, refit, progress)
        made = create(fitted, mode, count, seed, temperature, wanted, truncation, law)
    progress.clear()
    write_created(path, fitted, made, mode)
    result = {"count": len(made.codes), "mode": mode, "output": str(path.resolve()), "seed": seed,
              "sampler": name, "samplers": found and shown.document(found)}  # fmt: skip
    text = f"Wrote {len(made.codes):,} examples to {path}" + (
        "" if law is None else f" (sampler {name})"
    )
    if found:
        text = f"{shown.line_up_lines(found, run)}\n{text}"
    finish(as_json, result, text, f"lemari report {quoted(run)}")


def check_draws(mode: str, count: int, temperature: float) -> None:
    """Refuse an unknown mode, and numbers outside what can be drawn."""
    from lemari.errors import UsageError
    from lemari.tasks.create import MODES

    if mode not in MODES:
        raise UsageError(f"--mode is {', '.join(MODES)}, not {mode!r}.")
    if not 1 <= count <= 1_000_000:
        raise UsageError(f"-n is 1 to 1,000,000, not {count}.")
    if not 0 <= temperature < math.inf:
        raise UsageError(f"--temperature is 0 or more, not {temperature}; 1 is the prior's own.")


def check_sampler(sampler: str, mode: str, temperature: float, truncation: float | None) -> None:
    """Refuse a sampler together with options that only the prior has."""
    from lemari.errors import UsageError
    from lemari.tasks.sampler_folder import check_name

    check_name(sampler)
    if truncation is not None and not 0 < truncation < math.inf:
        raise UsageError(f"--truncation is above 0, not {truncation}; 2 leaves out the rarest.")
    if truncation is not None and mode != "random":
        raise UsageError("--truncation is for random codes; leave out --mode.")
    if sampler == "prior":
        return
    if mode != "random":
        raise UsageError("A sampler draws random codes; leave out --mode.")
    if temperature != 1 or truncation is not None:
        raise UsageError(
            f"--temperature and --truncation are of the prior, not of the sampler {sampler}; leave "
            "them out."
        )


def law_for(folder: Path, fitted, name: str, refit: bool, progress: Progress):
    """Name, sampler and line-up; no sampler for the prior, which needs none."""
    from lemari.tasks.sampler_folder import chosen_sampler

    if name == "prior":
        return name, None, None
    return chosen_sampler(folder, fitted, name, refit, progress.say)


def morph(
    run: str = RUN,
    data: str = typer.Argument(..., metavar="DATA", help="Where both ends come from."),
    first: int = typer.Option(0, "--from", help="Row number of the first example."),
    last: int = typer.Option(1, "--to", help="Row number of the last example."),
    steps: int = typer.Option(11, help="Pictures on the way, both ends included."),
    how: str = typer.Option("slerp", "--path", help="linear or slerp."),
    output: str = typer.Option("morph.png", "-o", "--output", help=".png strip or .gif"),
    split: str = s.SPLIT,
    data_dir: str = s.DATA_DIR,
    shape: str = s.SHAPE,
    as_json: bool = JSON,
) -> None:
    """Decode the way from one example to another, as a strip or a moving picture."""
    import numpy as np

    from lemari import figures
    from lemari.errors import UsageError
    from lemari.machine import threads
    from lemari.tasks.create import between, image_only

    path, progress = Path(output), Progress(as_json)
    if path.suffix.lower() not in (".png", ".gif"):
        raise UsageError(f"A morph goes into a .png or .gif file, not {path.name!r}.")
    fitted, rows = load(run, data, split, progress, **s.options(data_dir, None, shape))
    image_only(fitted, "morph")
    for name, row in (("--from", first), ("--to", last)):
        if not 0 <= row < len(rows):
            raise UsageError(f"{name} is a row from 0 to {len(rows) - 1}, not {row}.")
    with threads(fitted.recipe.threads):
        images, ends = between(fitted, rows, first, last, steps, how)
    if path.suffix.lower() == ".gif":
        figures.save_gif(images, path)
    else:
        figures.save(figures.morph_strip(images, ends), path)
    change = float(np.abs(np.diff(images, axis=0)).mean())
    result = {"steps": len(images), "path": how, "output": str(path.resolve()),
              "mean_change_per_step": change}  # fmt: skip
    finish(as_json, result, f"Wrote {len(images)} steps to {path}",
           f"lemari report {quoted(run)}")  # fmt: skip
