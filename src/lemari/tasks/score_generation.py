"""How good are examples that the model generates? Against held-out rows, beside two baselines."""

from __future__ import annotations

from lemari.errors import UsageError
from lemari.tasks.sampling import line_up
from lemari.tasks.score import Subject

NAMES = {
    "frechet": ("Frechet distance", "lower"),
    "kernel": ("kernel distance", "lower"),
    "precision": ("precision", "higher"),
    "recall": ("recall", "higher"),
    "copies": ("share of copies", "lower"),
}


def generation_scores(s: Subject) -> None:
    """Distances of draws from the model's own prior, in features learned from these rows."""
    try:
        found = line_up(s.model, s.train, s.held, names=("prior",), seed=s.seed, say=s.say)
    except UsageError as fault:
        s.e.left_out["generation"] = str(fault)
        return
    if not found.rows:
        s.e.left_out["generation"] = found.left_out.get("prior", "the prior cannot be drawn from")
        return
    (row,) = found.rows
    for key, (name, better) in NAMES.items():
        beside = {b["sampler"]: b[key] for b in found.baselines if b[key] is not None}
        shown = f"{name} ({found.features})" if key == "frechet" else name
        s.add(shown, row[key], better, beside, rows=found.examples)
