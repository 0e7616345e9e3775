"""The epochs of a run, in metrics.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lemari.files import finite_or_none, write
from lemari.types import Epoch


def keep_history(folder: Path, epochs: int) -> list[dict]:
    """The epoch records so far, cut to those that the checkpoint has seen."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return [r for r in records if isinstance(r, dict) and r.get("number", epochs + 1) <= epochs]


def note(folder: Path, history: list[dict], epoch: Epoch, rows: int, best: int = 0) -> None:
    """Add one epoch, with its training rows a second, to the history and to metrics.jsonl.

    With a number `best`, the best epoch so far is marked. The file is rewritten whole, in one step.
    """
    record = finite_or_none(asdict(epoch))
    record["lr"] = record.pop("rate")
    record["rate"] = rows / epoch.seconds if epoch.seconds else None
    history.append(record)
    for each in history:
        each.pop("best", None)
        if each["number"] == best:
            each["best"] = True
    lines = [json.dumps(r) for r in history]
    write(folder / "metrics.jsonl", ("\n".join(lines) + "\n").encode())


def kept_epoch(history: Sequence[dict]) -> dict:
    """The record of the epoch whose weights were kept: the one marked best, or else the last.

    Empty without epochs.
    """
    marked = [record for record in history if record.get("best")]
    return marked[-1] if marked else history[-1] if history else {}
