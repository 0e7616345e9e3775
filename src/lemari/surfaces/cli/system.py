"""`lemari doctor`: is this machine fit for it?"""

from __future__ import annotations

import typer

from lemari.surfaces.cli.show import JSON, finish


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(as_json: bool = JSON) -> None:
    """Versions, device, threads, and a speed test of two seconds."""
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
