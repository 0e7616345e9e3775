"""`lemari demo`: the whole path on data that needs no download."""

from __future__ import annotations

import typer

from lemari.surfaces.cli import sourcing as s
from lemari.surfaces.cli.show import JSON, Progress
from lemari.surfaces.cli.training import carry_on


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    out: str = typer.Option(None, help="Folder of the run (default: a new one under runs/)."),
    epochs: int = typer.Option(60, help="Passes over the data."),
    seed: int = s.seed("Everything random follows from it."),
    as_json: bool = JSON,
) -> None:
    """Train a 2-d VAE on the 1,797 handwritten digits that ship with scikit-learn."""
    from lemari.tasks.fit import new_folder, start, with_lock
    from lemari.tasks.job import prepare
    from lemari.tasks.plan import Request

    progress = Progress(as_json)
    request = Request("vae", {"latent": 2, "network": "mlp:256-128"}, epochs=epochs, seed=seed,
                      batch_size=64, lr=2e-3)  # fmt: skip
    job = prepare("digits", request)
    folder = new_folder(out, "demo", "digits")
    with with_lock(folder):
        start(folder, job)
        carry_on(folder, job, progress, as_json)
