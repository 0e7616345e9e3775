"""`lemari doctor`: is this machine fit for it, and what is wrong with a run?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from lemari.surfaces.cli.show import JSON, Progress, find_run, finding_lines, finish, quoted


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    run: str = typer.Argument(None, help="A run to examine (default: this machine)."),
    data: str = typer.Argument(None, help="New data, whose range is compared with the run's."),
    as_json: bool = JSON,
) -> None:
    """Examine a finished RUN: what went wrong, and the one setting to change.

    Without RUN: versions, device, threads, and a speed test of two seconds.
    """
    if run is not None:
        return visit(run, data, as_json)
    machine(as_json)


def visit(run: str, data: str | None, as_json: bool) -> None:
    """The findings on a run, made again."""
    from lemari.errors import UsageError
    from lemari.tasks.detector_files import is_detector
    from lemari.tasks.examine import examine_run

    folder = find_run(run)
    if is_detector(folder):
        raise UsageError(f"{folder} is a detector; `lemari detect` tells its drift on new rows.")
    progress = Progress(as_json)
    found = [asdict(f) for f in examine_run(folder, data, progress.counted("reading"))]
    progress.clear()
    result = {"run": str(folder.resolve()), "findings": found}
    finish(as_json, result, finding_lines(found) or f"Nothing is wrong with {folder}.",
           f"lemari report {quoted(run)}")  # fmt: skip


def machine(as_json: bool) -> None:
    """What this machine is, and how fast."""
    import torch

    from lemari.machine import cores, describe, speed

    about = describe()
    about |= {"threads": torch.get_num_threads(), "speed": speed()}
    packages = about["packages"]
    lines = [
        f"lemari {packages['lemari']}, python {about['python']}, {about['system']}",  # pyright: ignore[reportIndexIssue]
        ", ".join(f"{name} {version}" for name, version in packages.items() if name != "lemari"),  # pyright: ignore[reportAttributeAccessIssue]
        f"device {about['device']}, {about['cores']} cores, {about['threads']} threads, "
        f"bfloat16 in hardware: {'yes' if about['fast_bfloat16'] else 'no'}",
        f"speed {about['speed']['gflops']:.0f} Gflop/s in matrix products, "  # pyright: ignore[reportIndexIssue]
        f"{about['speed']['rows_per_second']:,.0f} rows a second in a small autoencoder",  # pyright: ignore[reportIndexIssue]
    ]
    if about["threads"] > cores():  # pyright: ignore[reportOperatorIssue]
        lines.append("warning: more threads than cores; training would crawl. Unset "
                     "OMP_NUM_THREADS.")  # fmt: skip
    finish(as_json, about, "\n".join(lines), "lemari demo")
