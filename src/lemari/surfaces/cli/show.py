"""How commands speak: text for people, one JSON document for machines, progress on a terminal."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

JSON = typer.Option(False, "--json", help="Print one JSON document instead of text.")
THREADS = typer.Option(None, "--threads", help="Processor threads (default: chosen).")


def finish(as_json: bool, result: dict[str, Any], text: str = "", next: str = "") -> None:
    """End a command: its result, or the text with what to try next."""
    if as_json:
        from lemari.files import finite_or_none

        typer.echo(json.dumps(finite_or_none(result), ensure_ascii=False))
        return
    if text:
        typer.echo(text)
    if next:
        typer.echo(f"Next: {next}")


def table(rows: list[tuple], head: tuple) -> str:
    """Aligned columns; numbers to the right."""
    cells = [tuple(map(cell, row)) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        parts = (
            text.rjust(w) if r else text.ljust(w)
            for text, w, r in zip(row, widths, right, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(cells[0]), "  ".join("-" * w for w in widths), *map(line, cells[1:])])


def cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def score_lines(scores: list[dict[str, Any]]) -> str:
    """Scores beside their baselines."""
    rows = []
    for s in scores:
        beside = ", ".join(f"{b['name']} {cell(b['value'])}" for b in s["baselines"])
        value = f"{cell(s['value'])}{' ' + s['unit'] if s['unit'] else ''}"
        rows.append((s["name"], value, s["better"] or "-", beside or "-", s["rows"], s["split"]))
    return table(rows, ("score", "value", "better", "baselines", "rows", "split"))


def floor_line(floor: float | None, size: int) -> str:
    """What part of a Bernoulli loss no model can remove; empty without grey pixels."""
    if not floor:
        return ""
    return (
        f"No loss can be below {floor:.2f} nats ({floor / size:.4f} a pixel): that is the entropy "
        "of the grey pixels themselves."
    )


def finding_lines(findings: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{f['severity']}: {f['name']}: {f['evidence']} {f['remedy']}" for f in findings
    )


def quoted(path: Any) -> str:
    return shlex.quote(str(path))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(5.2), duration(125), duration(7260)
    ('5 s', '2 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """One line that rewrites itself on a terminal; silent elsewhere and under --json."""

    def __init__(self, as_json: bool) -> None:
        self.live = not as_json and sys.stderr.isatty()
        self.quiet, self.width, self.last = as_json, 0, 0.0

    def line(self, text: str, often: float = 0.1) -> None:
        """Show a passing text, at most every `often` seconds."""
        if self.live and time.monotonic() - self.last >= often:
            self.last = time.monotonic()
            text = text[:100]
            print(f"\r{text.ljust(self.width)}", end="", file=sys.stderr, flush=True)
            self.width = len(text)

    def note(self, text: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        if self.width:
            print("\r" + " " * self.width + "\r", end="", file=sys.stderr)
            self.width = 0
        print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        self.line(text + " ...", often=0.0)

    def counted(self, what: str) -> Callable[[int, int], None]:
        """A callback (done, total) that shows how far `what` is."""
        return lambda done, total: self.line(f"{what} {done:,} of {total:,}")

    def clear(self) -> None:
        if self.width:
            print("\r" + " " * self.width + "\r", end="", file=sys.stderr, flush=True)
            self.width = 0


def find_run(run: str) -> Path:
    """A run folder from a path, a name under runs/, or `latest`."""
    from lemari.errors import RunError

    if run == "latest":
        found = sorted(Path("runs").glob("*/recipe.json"), key=lambda p: p.stat().st_mtime)
        if not found:
            raise RunError("There is no run yet under runs/; make one with `lemari demo`.")
        return found[-1].parent
    places = (Path(run), Path("runs") / run)
    for path in places:
        if (path / "recipe.json").is_file():
            return path
    for path in places:
        if path.is_dir():
            return path
    raise RunError(
        f"There is no run {run!r}, neither as a folder nor under runs/; `lemari runs` lists them."
    )
