"""Options that say how DATA is to be read; the same for every command that takes DATA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

DATA = typer.Argument(None, metavar="DATA", help="Name, folder, zip, or file of examples.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where mnist and fashion-mnist are looked for.")
SIZE = typer.Option(None, "--size", metavar="H,W", help="Picture size given to the network.")
SHAPE = typer.Option(None, "--shape", metavar="C,H,W", help="Rows of numbers are such pictures.")
CHANNELS = typer.Option(None, "--channels", help="1 gray, 3 colour, 4 colour with alpha.")
FIT = typer.Option("crop", "--fit", help="How pictures are brought to size: crop, stretch, pad.")
LABEL = typer.Option(None, "--label", help="Column or key that holds the classes.")
DROP = typer.Option(None, "--drop", help="Column to leave out (may be repeated).")
PATCH = typer.Option(None, "--patch", help="Train on squares of so many pixels (restoring).")
DEGRADED = typer.Option(
    None, "--degraded", metavar="FOLDER", help="Degraded pictures of the same names (pairs)."
)
SPLIT = typer.Option(None, "--split", help="train, test or all (default: test where there is one).")
MAX_SKIPPED = typer.Option(0.5, "--max-skipped", help="Share of unusable files that is tolerated.")


def seed(what: str) -> Any:
    """The option --seed, in the range that the random generators take."""
    return typer.Option(0, min=0, max=2**63 - 1, help=what)


def numbers(text: str | None, name: str) -> tuple[int, ...] | None:
    """`28,28` or `28x28` as whole numbers; one number stands for a square size."""
    from lemari.errors import UsageError

    if text is None:
        return None
    try:
        found = tuple(int(part) for part in text.lower().replace("x", ",").split(","))
    except ValueError:
        found = ()
    if not found or any(n < 1 for n in found):
        raise UsageError(f"{name} takes whole numbers such as 28,28, not {text!r}.")
    return found * 2 if name == "--size" and len(found) == 1 else found


def options(
    data_dir: str | None = None,
    size: str | None = None,
    shape: str | None = None,
    channels: int | None = None,
    fit: str = "crop",
    label: str | None = None,
    drop: list[str] | None = None,
    max_skipped: float = 0.5,
    patch: int | None = None,
    degraded: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments for `open_data`, without those that say nothing."""
    given = {
        "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
        "size": numbers(size, "--size"),
        "shape": numbers(shape, "--shape"),
        "channels": channels,
        "fit": None if fit == "crop" else fit,
        "label": label,
        "drop": tuple(drop) if drop else None,
        "max_skipped": None if max_skipped == 0.5 else max_skipped,
        "patch": patch,
        "degraded": None if degraded is None else str(Path(degraded).resolve()),
    }
    return {key: value for key, value in given.items() if value is not None}


def held(data: str, split: str | None, progress=None, **given: Any):
    """DATA for use rather than training: its test part where the publisher made one."""
    from lemari.sources import open_data

    if split is not None:
        return open_data(data, split=split, progress=progress, **given)
    source = open_data(data, progress=progress, **given)
    if source.official_split:
        return open_data(data, split="test", progress=progress, **given)
    return source
