"""What the benchmarks share: train a job in a folder, and keep a record of what was measured."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from lemari.files import finite_or_none
from lemari.store import Fitted
from lemari.tasks.finish import finish
from lemari.tasks.fit import start, train_in, with_lock
from lemari.tasks.job import Job


def trained(job: Job, keep: Path | None = None) -> tuple[Fitted, list[dict], float]:
    """The model, its epochs and the seconds it took; `keep` is left as a run with its report."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with with_lock(folder):
            start(folder, job)
            fitted, history = train_in(folder, job)
        wall = time.perf_counter() - begin
        if keep:
            finish(folder, fitted, job, history)
    return fitted, history, wall


def read(path: Path) -> list[dict]:
    """The records of a file; none where it is not there yet."""
    return json.loads(path.read_text()) if path.exists() else []


def store(path: Path, record: dict, same: tuple[str, ...]) -> None:
    """Put a record in the place of those with the same values of the keys `same`."""
    path.parent.mkdir(exist_ok=True)
    others = [r for r in read(path) if any(r[key] != record[key] for key in same)]
    path.write_text(json.dumps(finite_or_none([*others, record]), indent=1) + "\n")
