"""The model card of a run: what it is, what it was trained on, how good it is, its limits."""

from __future__ import annotations

from typing import Any


def code_of(summary: dict[str, Any]) -> str:
    """How large the code is, in words."""
    return f"a code of {summary['latent']} numbers" if summary["latent"] else "skips for a code"


def card(summary: dict[str, Any]) -> str:
    """Markdown from a run's summary (Mitchell et al. 2019, arXiv:1810.03993)."""
    data = summary["data"]
    lines = [
        f"# {summary['name']}",
        "",
        f"A {summary['variant']} with network {summary['network']}, {code_of(summary)} "
        f"and {summary['parameters']['total']:,} parameters, trained by Lemari "
        f"{summary['version']}.",
        "",
        "## Data",
        "",
        f"{data['name']}: {data['examples']:,} examples of shape "
        f"{'x'.join(map(str, data['shape']))} for training, {data['held_out']:,} held out "
        f"({data['split']}); {len(data['skipped'])} skipped.",
        *(f"- {note}" for note in data["notes"]),
        "",
        "## Scores on held-out rows",
        "",
        *score_table(summary["scores"]),
        "",
        "## Findings",
        "",
        *(
            [f"- **{f['name']}**: {f['evidence']} {f['remedy']}" for f in summary["findings"]]
            or ["None."]
        ),
        "",
        "## Use and limits",
        "",
        "Made for examples like those it was trained on. On others it will return something that "
        "looks like its training data; a score says how unlike they are. Generated examples are "
        "invented.",
        "",
        "## How to reproduce",
        "",
        f"    {summary['command']}",
        "",
    ]
    return "\n".join(lines)


def score_table(scores: list[dict[str, Any]]) -> list[str]:
    """A Markdown table: the score and its baselines."""
    rows = ["| score | value | better | baselines | rows |", "|---|---:|---|---|---:|"]
    for s in scores:
        beside = ", ".join(f"{b['name']} {b['value']:.4g}" for b in s["baselines"]) or "-"
        rows.append(
            f"| {s['name']} | {s['value']:.4g} {s['unit']} | {s['better'] or '-'} | {beside} "
            f"| {s['rows']:,} |"
        )
    return rows
