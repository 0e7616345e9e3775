"""Disentanglement on rendered sprites, by variant and seed.

    python benchmarks/disentangle.py --variants vae beta-tc-vae factor-vae --seeds 0 1 2
    python benchmarks/disentangle.py --show

Each run appends one record to benchmarks/results/disentangle.json: MIG, DCI, SAP, FactorVAE and
BetaVAE scores on the 5,000 test sprites, beside PCA's code and shuffled rows. Variants that the
package does not have are named and passed over.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np
from records import read, store, trained

from lemari.machine import describe, threads
from lemari.registry import VARIANTS
from lemari.sources.sprites import sprite_factors
from lemari.tasks.evaluate import evaluate
from lemari.tasks.job import prepare
from lemari.tasks.plan import Request, check_options, variant_options

RESULTS = Path(__file__).parent / "results" / "disentangle.json"
TOLD = ("MIG", "DCI disentanglement", "DCI completeness", "SAP", "FactorVAE score", "BetaVAE score")


def options_for(variant: str, network: str, latent: int, given: list[str]) -> dict:
    """The shared options and those of NAME=VALUE that this variant has."""
    known = variant_options(variant)
    own = {k: float(v) for k, _, v in (text.partition("=") for text in given) if k in known}
    options = {"network": network, "latent": latent, "likelihood": "bernoulli"} | own
    check_options(variant, options)
    return options


def run(variant: str, options: dict, seed: int, epochs: int, count: int) -> dict:
    """Train once, score the test sprites; returns the record."""
    job = prepare("sprites", Request(variant, options, epochs=epochs, seed=seed, threads=count))
    fitted, _, seconds = trained(job)
    train, held = job.feeds()
    with threads(count):
        e = evaluate(fitted.model, train, held, split=job.split, seed=seed,
                     measures=("reconstruction", "likelihood", "disentanglement"),
                     recipe=job.recipe, factors=sprite_factors("test"))  # fmt: skip
    return {"variant": variant, "options": options, "seed": seed, "epochs": epochs,
            "seconds": seconds, "scores": [asdict(score) for score in e.scores],
            "machine": describe()}  # fmt: skip


def show(found: list[dict]) -> None:
    """Mean and spread over the seeds of each variant, and PCA and shuffled rows once."""
    rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in found:
        for score in record["scores"]:
            rows[record["variant"]][score["name"]].append(score["value"])
            for beside in score["baselines"] if score["name"] in TOLD else ():
                rows[beside["name"]][score["name"]].append(beside["value"])
    print("| |", " | ".join(TOLD), "|\n|---|", "---|" * len(TOLD))
    for name, scores in rows.items():
        cells = [f"{np.mean(v):.3f} ± {np.std(v):.3f} ({len(v)})"
                 for v in (scores[t] for t in TOLD)]  # fmt: skip
        print(f"| {name} |", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description="Disentanglement on sprites.")
    parser.add_argument("--variants", nargs="+", default=["vae", "beta-tc-vae", "factor-vae"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--network", default="residual")
    parser.add_argument("--latent", type=int, default=10)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    for variant in () if given.show else given.variants:
        if variant not in VARIANTS:
            print(f"{variant} is not in this package; passed over")
            continue
        options = options_for(variant, given.network, given.latent, given.set)
        for seed in given.seeds:
            record = run(variant, options, seed, given.epochs, given.threads)
            store(RESULTS, record, ("variant", "options", "seed", "epochs"))
            print(variant, seed, {s["name"]: round(s["value"], 3) for s in record["scores"]})
    show(read(RESULTS))


if __name__ == "__main__":
    main()
