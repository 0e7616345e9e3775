"""The index of a saved folder: the sha256 of every part, written last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lemari.errors import ModelFileError
from lemari.files import read_json, sha256, sweep, write_json
from lemari.weights import MOST_BYTES

NAME = "index.json"
VERSION = 1


def write_index(folder: Path, parts: Sequence[str]) -> None:
    """Write the sums of the parts, which are all there, and sweep what earlier writes left."""
    sums = {name: sha256(folder / name) for name in parts}
    write_json(folder / NAME, {"version": VERSION, "sha256": sums})
    sweep(folder)


def check_sums(folder: Path, parts: Sequence[str]) -> None:
    """Every part is there and has the sum that was written last; ModelFileError otherwise."""
    index = read_json(folder / NAME)
    if not isinstance(index, dict) or index.get("version") != VERSION:
        raise ModelFileError(
            f"{folder} was written by another version of Lemari; use that one, or train again."
        )
    sums = index.get("sha256")
    if not isinstance(sums, dict) or set(sums) != set(parts):
        raise ModelFileError(
            f"{folder / NAME} was changed after saving; use a backup, or train again."
        )
    for name, expected in sums.items():
        if (folder / name).is_file() and (folder / name).stat().st_size > MOST_BYTES:
            raise ModelFileError(f"{folder / name} is larger than any model; it was changed.")
        if sha256(folder / name) != expected:
            raise ModelFileError(
                f"{folder / name} is not the file that was saved: it is truncated or was "
                "changed. Use a backup, or train again."
            )
