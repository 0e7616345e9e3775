"""What `lemari train` says: before, during and after."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lemari.surfaces.cli.analyse import warn
from lemari.surfaces.cli.show import Progress, duration, finding_lines


def trained_line(history: list[dict], seconds: float) -> str:
    """How long training took, and which epoch's weights were kept when it was stopped early."""
    best = [record["number"] for record in history if record.get("best")]
    kept = f"; best epoch {best[-1]} of {len(history)} kept" if best else ""
    return f"Trained {len(history)} epoch{'s' * (len(history) != 1)} in {duration(seconds)}{kept}."


def sigma_line(summary: dict[str, Any]) -> str:
    """What a learned sigma came to, and the effective beta with it."""
    beta = summary.get("effective_beta")
    if beta is None or summary.get("likelihood") != "Gaussian":
        return ""
    return f"Sigma {summary['sigma']:.4g}; effective beta (unit-variance Gaussian) {beta:.4g}."


def announce(job, progress: Progress) -> None:
    """What is about to be trained, on what, and how the KL counts."""
    from lemari.latents.point import NoPrior
    from lemari.layers_table import parameter_counts
    from lemari.model import effective_beta
    from lemari.store import build

    recipe, model = job.recipe, build(job.format.schema, job.recipe)
    shape = "x".join(map(str, job.format.schema.shape))
    warn(progress, job.notes, job.skipped)
    beta, valid = effective_beta(model), job.valid_index
    code = "code of " + "x".join(map(str, model.code))
    code = "skips for a code" if isinstance(model.prior, NoPrior) else code
    watched = "" if valid is None else f", {len(valid):,} for early stopping"
    progress.note(
        f"{recipe.variant}: {parameter_counts(model)['total']:,} parameters, {code}; "
        f"{len(job.train):,} examples of {shape}, {len(job.held_index):,} held out "
        f"({job.split}){watched}; seed {recipe.seed}, {recipe.threads} threads, {recipe.precision}"
    )
    if beta is not None:
        learned = model.decoder.likelihood.learned
        tail = " at the start (sigma is learned, and the effective beta with it)" if learned else ""
        progress.note(f"effective beta (unit-variance Gaussian): {beta:.4g}{tail}")


class Shown:
    """Shows pulses as a passing line with the time left; epochs and findings as lines that stay."""

    def __init__(self, job, progress: Progress) -> None:
        import time

        self.epochs, self.progress, self.clock = job.recipe.epochs, progress, time.monotonic
        self.rows = "held out" if job.valid_index is None else "validation"
        self.begin, self.first = self.clock(), None

    def __call__(self, record) -> None:
        from lemari.types import Finding, Pulse

        if isinstance(record, Finding):
            self.progress.note(finding_lines([asdict(record)]))
            return
        if isinstance(record, Pulse):
            done = record.epoch + record.step / record.steps
            self.progress.line(
                f"epoch {record.epoch + 1}/{self.epochs}  step {record.step}/{record.steps}  "
                f"loss {record.loss:.2f} nats  {self.left(done)}"
            )
            return
        held = record.valid.get("loss")
        beside = "" if held is None else f"  {self.rows} {held:.2f}"
        self.progress.note(
            f"epoch {record.number}/{self.epochs}  loss {record.loss:.2f}{beside} nats  "
            f"{record.seconds:.1f} s  {self.left(record.number)}"
        )

    def left(self, done: float) -> str:
        """Time left, from the pace since this process began."""
        if self.first is None:
            self.first, self.begin = done, self.clock()
            return ""
        pace = (self.clock() - self.begin) / max(1e-9, done - self.first)
        return f"{duration(pace * (self.epochs - done))} left" if done < self.epochs else ""
