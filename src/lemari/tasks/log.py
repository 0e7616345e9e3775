"""log.txt of a run folder: what happened when, a line each, for people.

Lines are only ever added, so a run that was resumed or that failed shows all of its days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lemari.errors import LemariError, RunError
from lemari.files import append
from lemari.types import Epoch, Finding, Pulse

Show = Callable[[Pulse | Epoch | Finding], None]


def log(folder: Path, text: str) -> None:
    """Add a line with the time in UTC to the log of a run; line breaks become spaces."""
    now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    append(folder / "log.txt", f"{now} {' '.join(text.split())}\n")


@contextmanager
def logged(folder: Path, show: Show) -> Iterator[Show]:
    """`show`, with epochs and findings also put into the log; so is the fault that ends it."""

    def both(record: Pulse | Epoch | Finding) -> None:
        if isinstance(record, Epoch):
            log(folder, epoch_line(record))
        elif isinstance(record, Finding):
            log(folder, f"{record.severity}, {record.name}: {record.evidence} {record.remedy}")
        show(record)

    try:
        yield both
    except LemariError as fault:
        with suppress(RunError):  # a full disk must not hide the fault
            log(folder, str(fault))
        raise


def epoch_line(epoch: Epoch) -> str:
    """One epoch in words: losses in nats per example."""
    held = epoch.valid.get("loss")
    shown = "" if held is None else f", on held-out rows {held:.6g}"
    return f"epoch {epoch.number}: loss {epoch.loss:.6g} nats{shown}, {epoch.seconds:.1f} s"
