"""`lemari train`."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import typer

from lemari.surfaces.cli import detecting
from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.show import (
    JSON,
    THREADS,
    Progress,
    find_run,
    finding_lines,
    finish,
    floor_line,
    score_lines,
)
from lemari.surfaces.cli.shown import Shown, announce, sigma_line, trained_line
from lemari.surfaces.cli.stopping import stoppable

EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}
SWITCH = {"true": True, "yes": True, "false": False, "no": False}
NOT_RECIPE = {"data", "resume", "out", "as_json", "context", "task"}


def register(app: typer.Typer) -> None:
    app.command("train", context_settings=EXTRA)(train)


def train(
    context: typer.Context,
    data: str = s.DATA,
    variant: str = typer.Option("vae", help="`lemari models` lists them."),
    task: str = typer.Option(
        None, help="denoise, upscale, inpaint or detect, in place of --variant."
    ),
    network: str = typer.Option(None, help="auto, residual, mlp, mlp:300-300, chapter, ..."),
    latent: int = typer.Option(None, help="Numbers in a code (default: 16, or the network's)."),
    epochs: int = typer.Option(10, help="Passes over the data."),
    batch_size: int = typer.Option(128, help="Examples a step."),
    lr: float = typer.Option(1e-3, help="Highest learning rate of Adam."),
    seed: int = s.seed("Everything random follows from it."),
    schedule: str = typer.Option(None, help="constant or cosine (default: the network's)."),
    threads: int = THREADS,
    precision: str = typer.Option(None, help="auto, float32 or bfloat16."),
    held_out: float = typer.Option(0.1, help="Share held out where the data has no test part."),
    augment: str = typer.Option("none", help="none, flip or dihedral: picture symmetries."),
    patience: int = typer.Option(None, help="Epochs without a better one before it stops."),
    out: str = typer.Option(None, help="Folder of the run (default: a new one under runs/)."),
    resume: str = typer.Option(None, metavar="RUN", help="Go on with an interrupted run."),
    data_dir: str = s.DATA_DIR,
    size: str = s.SIZE,
    shape: str = s.SHAPE,
    channels: int = s.CHANNELS,
    fit: str = s.FIT,
    label: str = s.LABEL,
    drop: list[str] = s.DROP,
    max_skipped: float = s.MAX_SKIPPED,
    patch: int = s.PATCH,
    degraded: str = s.DEGRADED,
    as_json: bool = JSON,
) -> None:
    """Train an autoencoder on DATA and write a run folder with its pictures and report.

    Further options are those of the variant (--beta, --likelihood, --sigma ...): `lemari models
    show VARIANT` lists them.
    """
    from lemari.errors import UsageError
    from lemari.tasks.fit import new_folder, open_run, start, with_lock
    from lemari.tasks.job import prepare
    from lemari.tasks.pairing import check_channels
    from lemari.tasks.plan import Request

    progress = Progress(as_json)
    loading = progress.counted("reading")
    # Unknown options and their values arrive as words, the first of them in DATA's place.
    words = [*([] if data is None else [data]), *context.args]
    if task == "detect":
        return detecting.train_detector(context, words)
    if resume:
        folder = find_run(resume)
        with with_lock(folder):
            check_resume(context, folder, words)
            job = open_run(folder, loading)
            carry_on(folder, job, progress, as_json)
        return
    variant = chosen_variant(context, task, variant)
    data, further = data_and_options(words, variant)  # pyright: ignore[reportAssignmentType]
    if data is None:
        raise UsageError("Say what to train on: `lemari train DATA`, for instance digits.")
    options = {"network": network, "latent": latent} | further
    request = Request(variant, {k: v for k, v in options.items() if v is not None}, epochs,
                      batch_size, lr, seed, schedule, threads, precision, held_out, augment,
                      patience)  # fmt: skip
    reading = s.options(data_dir, size, shape, channels, fit, label, drop, max_skipped, patch,
                        degraded)  # fmt: skip
    suit_restoring(context, request, data, reading)
    job = prepare(data, request, loading, **reading)
    check_channels(request.variant, job.format.schema)
    folder = new_folder(out, variant, data)
    with with_lock(folder):
        start(folder, job)
        carry_on(folder, job, progress, as_json)


def given(context: typer.Context, name: str) -> bool:
    """Whether the user gave this option."""
    return str(context.get_parameter_source(name)).endswith("COMMANDLINE")


def chosen_variant(context: typer.Context, task: str | None, variant: str) -> str:
    """The variant of a task; UsageError where another one was asked for as well."""
    from lemari.errors import UsageError
    from lemari.tasks.pairing import variant_of

    if task is None:
        return variant
    found = variant_of(task)
    if given(context, "variant") and variant != found:
        raise UsageError(f"--task {task} trains a {found}, not a {variant}; give one of the two.")
    return found


def suit_restoring(context: typer.Context, request, data: str, reading: dict[str, Any]) -> None:
    """Choose what suits a restoring network and was left open: patches, batch, rate, symmetries."""
    from lemari.tasks.pairing import VARIANT_OF, check_sizes, check_task, patch_for
    from lemari.tasks.plan import network_of

    if reading.get("degraded") and request.variant == "denoising-ae":
        request.options.setdefault("kind", "given")
    check_task(request.variant, request.options, reading)
    if request.variant not in VARIANT_OF.values():
        return
    network = network_of(request.variant, request.options)
    alone = {k: v for k, v in reading.items() if k != "degraded"}
    if reading.get("degraded"):
        check_sizes(data, reading["degraded"], **alone)
    if "patch" not in reading:
        scale = request.options.get("scale", 2) if request.variant == "super-resolution-ae" else 1
        side = patch_for(data, network, scale, **alone)
        reading |= {} if side is None else {"patch": side}
    better = {"batch_size": 16, "lr": 2e-3, "augment": "dihedral"} if reading.get("patch") else {}
    for name, value in better.items():
        if not given(context, name):
            setattr(request, name, value)


def check_resume(context: typer.Context, folder: Path, words: list[str]) -> None:
    """A resume takes its options from the run; others that differ are refused by name."""
    from lemari.errors import UsageError
    from lemari.store import read_recipe

    if not (folder / "recipe.json").is_file():
        return
    recipe = read_recipe(folder / "recipe.json")
    data, further = data_and_options(words, recipe.variant)
    known = options_of(recipe)
    asked = {
        name: value
        for name, value in read_options(context.params).items()
        if given(context, name) and name not in NOT_RECIPE
    }
    asked |= further
    other = [name for name, value in asked.items() if known.get(name) != value]
    if data is not None and data != recipe.data.name:
        same = Path(data).exists() and str(Path(data).resolve()) == recipe.data.name
        other += [] if same else ["DATA"]
    if other:
        raise UsageError(
            f"A resumed run keeps its options, but {', '.join(sorted(other))} would differ from "
            f"{folder / 'recipe.json'}; leave them out, or start a new run."
        )


def read_options(given: dict[str, Any]) -> dict[str, Any]:
    """The values of a command, those that say how DATA is read in the form that a run keeps."""
    names = set(inspect.signature(s.options).parameters)
    reading = s.options(**{k: v for k, v in given.items() if k in names})
    kept = {k: list(v) if isinstance(v, tuple) else v for k, v in reading.items()}
    return {k: kept.get(k) if k in names else v for k, v in given.items()}


def options_of(recipe) -> dict[str, Any]:
    """Every option of a run, those that were left at their defaults included."""
    from lemari.tasks.plan import variant_options as signature

    defaults = {name: parameter.default for name, parameter in signature(recipe.variant).items()}
    return defaults | recipe.data.options | recipe.model_dump() | recipe.options


def data_and_options(words: list[str], variant: str) -> tuple[str | None, dict[str, Any]]:
    """DATA, and `--beta 4 --likelihood=mse` as typed values by the variant's signature."""
    from lemari.errors import UsageError
    from lemari.registry import nearest
    from lemari.tasks.plan import elsewhere
    from lemari.tasks.plan import variant_options as signature

    known = {k: v for k, v in signature(variant).items() if k not in ("latent", "network")}
    shown = [f"--{k.replace('_', '-')}" for k in (*known, *inspect.signature(train).parameters)]
    found: dict[str, Any] = {}
    data, words = None, list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        if data is None and not word.startswith("--"):
            data = word
            continue
        if not word.startswith("--") or key not in known:
            other = elsewhere(key, variant) if word.startswith("--") else ""
            raise UsageError(other or nearest(word, shown, f"option of train or of {variant}"))
        if not equals and "bool" in str(known[key].annotation):
            plain = words and words[0].lower() in SWITCH
            value = words.pop(0) if plain else "true"
        elif not equals:
            if not words:
                raise UsageError(f"--{name} needs a value.")
            value = words.pop(0)
        found[key] = typed(name, value, known[key])
    return data, found


def typed(name: str, text: str, parameter: inspect.Parameter) -> Any:
    """The text as what the variant's signature says."""
    from lemari.errors import UsageError

    note = str(parameter.annotation)
    if "bool" in note:
        if text.lower() not in SWITCH:
            raise UsageError(f"--{name} is true or false, not {text!r}.")
        return SWITCH[text.lower()]
    try:
        if text.lower() == "none" and "None" in note:
            return None
        if "float" in note:
            if "str" in note and ":" in text:
                return text
            value = float(text)
            if not math.isfinite(value):
                raise ValueError
            return value
        return int(text) if "int" in note else text
    except ValueError:
        raise UsageError(f"--{name} takes a number, not {text!r}.") from None


def carry_on(folder: Path, job, progress: Progress, as_json: bool) -> None:
    """Train to the end, then finish the folder and say what came out."""
    from lemari.tasks.finish import finish as complete
    from lemari.tasks.finish import next_command
    from lemari.tasks.fit import train_in

    announce(job, progress)
    with stoppable() as stop:
        fitted, history = train_in(folder, job, Shown(job, progress), stop)
    summary = complete(folder, fitted, job, history, progress.say)
    progress.clear()
    report = (folder / "report.html").resolve()
    lines = [
        score_lines(summary["scores"]),
        floor_line(summary["floor"], job.format.schema.size),
        finding_lines(summary["findings"]),
        sigma_line(summary),
        trained_line(history, summary["seconds"]),
        f"Wrote {folder.resolve()}",
        f"Report {report}",
    ]
    text = "\n".join(line for line in lines if line)
    finish(as_json, summary | {"run": str(folder.resolve()), "report": str(report)}, text,
           next_command(folder, fitted))  # fmt: skip
