"""The line-up of samplers, as a table."""

from __future__ import annotations

from lemari.surfaces.cli.show import quoted, table

HEAD = ("sampler", "Frechet", "kernel", "precision", "recall", "copies", "seconds")


def document(found) -> dict:
    """The line-up in numbers."""
    from lemari.tasks.sampler_folder import document

    return document(found)


def line_up_lines(found, run: str) -> str:
    """Every sampler beside the baselines, what was left out, and how to read it."""
    keys = ("sampler", "frechet", "kernel", "precision", "recall", "copies", "seconds")
    rows = [tuple(row[key] for key in keys) for row in (*found.rows, *found.baselines)]
    lines = [
        table(rows, HEAD),
        f"Each of {found.examples:,} examples against as many held-out rows, in {found.features}. "
        "Ranked on other held-out rows. Copies: share nearer to a training row than 19 of 20 "
        "held-out rows are; 0.05 is expected.",
        *(f"left out: {name}: {reason}" for name, reason in found.left_out.items()),
        f"Kept {found.best} in {quoted(run)}/sampler; --sampler kept draws from it.",
    ]
    return "\n".join(lines)
