"""Samplers on frozen codes: how far below the plain N(0, I) prior of the same model they come.

    python benchmarks/samplers.py --data mnist fashion-mnist --variants ae vae --seeds 0 1 2

Trains each model for a few epochs, fits every sampler to its training codes, ranks them on one
half of the held-out rows, and stores the figures of the other half in benchmarks/results/
samplers.json: one record for each data set, variant and seed. Needs LEMARI_DATA. `--table` prints
what is stored: means over the seeds. The feature net is trained on the same rows, and named.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from lemari.files import finite_or_none
from lemari.machine import describe, threads
from lemari.registry import VARIANTS
from lemari.store import build
from lemari.tasks.generate import settle
from lemari.tasks.job import prepare
from lemari.tasks.plan import Request
from lemari.tasks.sampler_folder import document
from lemari.tasks.sampling import line_up
from lemari.train import Training

RESULTS = Path(__file__).parent / "results" / "samplers.json"
OPTIONS = {"latent": 16, "network": "mlp:256-128"}
WANTED = 0.30  # at least so much below N(0, I)


def run(data: str, variant: str, seed: int, epochs: int, count: int) -> dict:
    """Train once, fit and rank; returns the record."""
    request = Request(variant, dict(OPTIONS), seed=seed, epochs=epochs, threads=count)
    job = prepare(data, request)
    train, held = job.feeds()
    model = build(job.format.schema, job.recipe)
    with threads(count):
        for _ in Training(model, train, job.recipe.plan).run():
            pass
        settle(model, train)
        found = line_up(model.eval(), train, held, seed=seed)
    by_name = {row["sampler"]: row["frechet"] for row in found.rows}
    return {
        "data": data,
        "variant": variant,
        "seed": seed,
        "epochs": epochs,
        "options": OPTIONS,
        "below_normal": 1 - by_name[found.best] / by_name["normal"],
        "below_prior": 1 - by_name[found.best] / by_name["prior"],
        **document(found),
        "threads": count,
        "machine": describe(),
    }


def table(records: list[dict]) -> str:
    """Mean Frechet distance of each sampler over the seeds, one line a data set and variant."""
    lines = []
    for data, variant in dict.fromkeys((r["data"], r["variant"]) for r in records):
        mine = [r for r in records if (r["data"], r["variant"]) == (data, variant)]
        names = dict.fromkeys(row["sampler"] for r in mine for row in r["rows"] + r["baselines"])
        mean = {
            name: np.mean([row["frechet"] for r in mine for row in r["rows"] + r["baselines"]
                           if row["sampler"] == name])
            for name in names
        }  # fmt: skip
        below = [r["below_normal"] for r in mine]
        held = "holds" if min(below) >= WANTED else "does not hold"
        lines.append(
            f"{data} {variant}, {len(mine)} seeds: best "
            f"{' '.join(dict.fromkeys(r['best'] for r in mine))}, {100 * min(below):.0f} to "
            f"{100 * max(below):.0f} % below N(0, I); at least {100 * WANTED:.0f} % {held}"
        )
        lines += [f"    {name:24}{value:8.3f}" for name, value in mean.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", default=["mnist", "fashion-mnist"])
    known = [v for v in ("ae", "rae-l2", "vae") if v in VARIANTS]
    parser.add_argument("--variants", nargs="+", default=known)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    work = [(d, v, s) for s in given.seeds for d in given.data for v in given.variants]
    for data, variant, seed in [] if given.table else work:
        record = run(data, variant, seed, given.epochs, given.threads)
        key = ("data", "variant", "seed", "epochs")
        stored = [r for r in stored if any(r[k] != record[k] for k in key)] + [record]
        RESULTS.write_text(json.dumps(finite_or_none(stored), indent=1) + "\n")
        print(table([record]), flush=True)
    if given.table:
        print(table(stored))


if __name__ == "__main__":
    main()
