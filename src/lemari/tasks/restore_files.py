"""Restore picture files into a folder: what is read, what may be written, what failed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lemari.errors import DataError, LemariError, RunError, UsageError
from lemari.files import write as write_file
from lemari.picture_files import Picture, read, write
from lemari.png_files import encode_png
from lemari.sources.base import shown as printable
from lemari.sources.places import Folder
from lemari.tasks.restore import How, Restored, Restorer, check, restore_picture

PERCENTILE = 99.0


@dataclass(frozen=True, slots=True)
class Record:
    """One restored file; sizes are (H, W), noise and `clipped` are parts of 1.

    `uncertainty_full` is the standard deviation that is white in the uncertainty picture.
    """

    input: Path
    output: Path
    size: tuple[int, int]
    result: tuple[int, int]
    channels: int
    depth: int
    seconds: float
    noise: float | None
    clipped: float
    note: str = ""
    uncertainty: Path | None = None
    uncertainty_full: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One file that could not be restored, and why."""

    file: Path
    reason: str


Shown = Callable[[Record, np.ndarray, np.ndarray], None]
Step = Callable[[str, int, int], None]


def restore_files(
    restorer: Restorer,
    paths: Iterable[Path | str],
    out: Path | str,
    how: How | None = None,
    shown: Shown | None = None,
    progress: Step | None = None,
) -> tuple[list[Record], list[Failed]]:
    """Restore files, and the pictures in folders, into files of the same names under `out`.

    No file that is there is ever replaced; a fault in one file does not stop the others. `shown`
    is called with record, old and new pixels (H, W, C) of each; `progress` with name, done, total
    tiles. Raises UsageError when model and options do not fit.
    """
    how, out = how or How(), Path(out)
    check(restorer, how)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder with -o.")
    if isinstance(restorer, torch.nn.Module):
        restorer.eval()
    work = Work(out)
    for path in map(Path, paths):
        work.gather(path)
    done: list[Record] = []
    for source, target in work.pairs:
        try:
            work.claim(source, target)
            done.append(one(restorer, work, source, target, how, shown, progress))
        except LemariError as fault:
            work.failed.append(Failed(source, str(fault)))
        except (OSError, MemoryError, RuntimeError) as fault:
            work.failed.append(Failed(source, f"{source} cannot be restored: {system(fault)}."))
    return done, work.failed


def system(fault: Exception) -> str:
    """What the system refused; raises faults of any other kind again."""
    if isinstance(fault, RuntimeError) and "alloc" not in str(fault):
        raise fault
    if isinstance(fault, OSError):
        return fault.strerror or str(fault)
    return "there is not enough memory; try a smaller --tile"


@dataclass
class Work:
    """Sources with their targets under `out`, in the order given."""

    out: Path
    pairs: list[tuple[Path, Path]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def gather(self, path: Path) -> None:
        """Note a file, or every picture in a folder but those already under `out`."""
        if not path.is_dir():
            self.pairs.append((path, self.out / path.name))
            return
        try:
            folder = Folder(path)
        except LemariError as fault:
            self.failed.append(Failed(path, str(fault)))
            return
        own = self.out.resolve()
        names = [n for n in folder.names if own not in (path / n).resolve().parents]
        self.pairs += [(path / name, self.out / name) for name in names]
        self.failed += [Failed(path / s.item, s.reason) for s in folder.skipped]
        if not names and not folder.skipped:
            self.failed.append(Failed(path, f"There are no pictures in {path}."))

    def claim(self, source: Path, target: Path) -> None:
        """Reserve a name to write to; raises RunError when it is another's."""
        key = str(target).casefold()
        if key in self.taken:
            raise RunError(
                f"{target} is already the result of another file of that name; "
                "restore the two into different folders."
            )
        if os.path.lexists(target):
            if target.exists() and target.samefile(source):
                raise RunError(f"{target} is the input itself; give another folder with -o.")
            raise RunError(f"{target} is there already; give another folder with -o.")
        self.taken.add(key)

    def claim_beside(self, source: Path, target: Path) -> Path:
        """A free name for the uncertainty of a picture."""
        first = target.with_name(f"{target.stem}-uncertainty.png")
        if str(first).casefold() in self.taken:
            first = target.with_name(f"{target.name}-uncertainty.png")
        self.claim(source, first)
        return first


def one(
    restorer: Restorer,
    work: Work,
    source: Path,
    target: Path,
    how: How,
    shown: Shown | None,
    progress: Step | None,
) -> Record:
    """Read, restore and write one picture."""
    begin = time.perf_counter()
    picture = read(source)
    beside = work.claim_beside(source, target) if how.uncertainty else None
    step = None if progress is None else lambda done, total: progress(source.name, done, total)
    made = restore_picture(restorer, picture, how, step)
    keep(source, target, picture, made)
    full = None
    if beside is not None and made.spread is not None:
        full = write_spread(beside, made.spread)
    record = Record(
        source, target, picture.pixels.shape[:2], made.pixels.shape[:2], picture.pixels.shape[2],
        picture.depth, time.perf_counter() - begin, made.noise, made.clipped, picture.note,
        beside, full)  # fmt: skip
    if shown is not None:
        shown(record, picture.pixels, made.pixels)
    return record


def keep(source: Path, target: Path, picture: Picture, made: Restored) -> None:
    """Write the result; a picture that did not change is copied byte for byte."""
    if made.alpha is picture.alpha and np.array_equal(made.pixels, picture.pixels):
        write_file(target, source.read_bytes())
    else:
        write(target, picture, made.pixels, made.alpha)


def write_spread(path: Path, spread: np.ndarray) -> float:
    """Standard deviations (H, W) as an 8-bit gray PNG; returns the value that is white."""
    full = float(np.percentile(spread, PERCENTILE))
    values = np.clip(spread / full, 0, 1) if full > 0 else np.zeros_like(spread)
    write_file(path, encode_png(np.rint(values * 255).astype(np.uint8)))
    return full


def read_mask(path: Path | str) -> np.ndarray:
    """A mask picture as (H, W) bool: True where it is lighter than half, to be filled."""
    picture = read(path)
    half = np.iinfo(picture.pixels.dtype).max // 2
    mask = picture.pixels.astype(np.float32).mean(axis=2) > half
    if not mask.any():
        raise DataError(f"The mask {path} is black everywhere; make white what is to be filled.")
    return mask


def as_json(done: list[Record], failed: list[Failed]) -> dict[str, Any]:
    """Records as plain values for `--json`."""
    return {
        "files": [
            {"input": text(r.input), "output": text(r.output.resolve()),
             "size": [r.size[1], r.size[0]], "result": [r.result[1], r.result[0]],
             "channels": r.channels, "depth": r.depth, "seconds": r.seconds, "noise": r.noise,
             "clipped": r.clipped, "note": r.note,
             "uncertainty": None if r.uncertainty is None else text(r.uncertainty.resolve()),
             "uncertainty_full": r.uncertainty_full}
            for r in done
        ],
        "failed": [{"file": text(f.file), "reason": text(f.reason)} for f in failed],
    }  # fmt: skip


def text(value: Path | str) -> str:
    """A path or a sentence that can be printed, whatever bytes a file name is made of."""
    return printable(str(value))
