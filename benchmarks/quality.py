"""Quality tables: train by a named setting, judge on the test split, keep the figures as JSON.

    python benchmarks/quality.py chapter-ae --data fashion-mnist --seeds 0 1 2
    python benchmarks/quality.py --list

Each run appends one record to benchmarks/results/NAME.json: scores on rows not trained on, their
baselines measured on the same rows, training seconds, threads and precision. Needs LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from lemari.files import finite_or_none
from lemari.machine import describe, threads
from lemari.tasks.evaluate import evaluate
from lemari.tasks.fit import start, train_in, with_lock
from lemari.tasks.job import prepare
from lemari.tasks.plan import Request

RESULTS = Path(__file__).parent / "results"
CHAPTER = {"variant": "ae", "options": {"network": "chapter", "latent": 2, "likelihood": "mse"}}
RESIDUAL_40 = {"network": "residual", "latent": 40, "likelihood": "bernoulli"}
LONG = {"epochs": 60, "nll": 1000}
SETTINGS: dict[str, dict] = {
    "chapter-ae": CHAPTER | {"epochs": 10},
    "chapter-ae-float32": CHAPTER | {"epochs": 10, "precision": "float32"},
    "auto-32": {"variant": "ae", "options": {"latent": 32}, "epochs": 12, "lr": 2e-3},
    "auto-32-default": {"variant": "ae", "options": {"latent": 32}, "epochs": 10},
    "mlp-vae-50": {
        "variant": "vae",
        "options": {"network": "mlp-tanh:400-400", "latent": 50, "likelihood": "bernoulli"},
        "epochs": 62,
        "nll": 1000,
    },
    "vamp-500": {
        "variant": "vamp-vae",
        "options": {
            "network": "mlp-tanh:400-400",
            "latent": 50,
            "likelihood": "bernoulli",
            "components": 500,
        },
        "epochs": 62,
        "nll": 1000,
    },
    "flow-prior": {"variant": "flow-prior-vae", "options": RESIDUAL_40} | LONG,
    "residual-40": {"variant": "vae", "options": RESIDUAL_40} | LONG,
    "faces-chapter": {
        "variant": "chapter-faces-vae",
        "options": {"latent": 200},
        "epochs": 100,
        "size": (32, 32),
    },
    "faces-chapter-32": {
        "variant": "vae",
        "options": {"network": "chapter-faces", "latent": 32},
        "epochs": 60,
        "batch_size": 32,
        "schedule": "cosine",
        "augment": "flip",
        "patience": 15,
        "size": (32, 32),
    },
    "faces-auto-16": {
        "variant": "vae",
        "options": {"latent": 16},
        "epochs": 36,
        "batch_size": 32,
        "lr": 2e-3,
        "augment": "flip",
        "patience": 10,
        "size": (64, 64),
    },
}


def run(name: str, data: str, seed: int, count: int, keep: Path | None, **changes) -> dict:
    """Train once and measure; returns the record."""
    setting = dict(SETTINGS[name]) | changes
    nll, size = setting.pop("nll", 0), setting.pop("size", None)
    request = Request(**setting, seed=seed, threads=count)
    job = prepare(data, request, **({"size": size} if size else {}))
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with with_lock(folder):
            start(folder, job)
            fitted, history = train_in(folder, job)
        wall = time.perf_counter() - begin
        train, held = job.feeds()
        with threads(count):
            e = evaluate(fitted.model, train, held, split=job.split, nll_samples=nll)
        if keep:
            from lemari.tasks.finish import finish

            finish(folder, fitted, job, history)
    return {
        "setting": name,
        "data": Path(data).name,
        "seed": seed,
        "epochs": len(history),
        "train_seconds": sum(r["seconds"] for r in history),
        "wall_seconds": wall,
        "threads": count,
        "precision": job.recipe.precision,
        "last": {"train": history[-1]["loss"], "held_out": history[-1]["valid"].get("loss")},
        "scores": [asdict(score) for score in e.scores],
        "machine": describe(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", nargs="?", choices=sorted(SETTINGS))
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--keep", type=Path, help="run folder to keep, with its report")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list or not given.setting:
        print(json.dumps(SETTINGS, indent=2))
        return
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{given.setting}.json"
    changes = {"epochs": given.epochs} if given.epochs else {}
    for seed in given.seeds:
        record = run(given.setting, given.data, seed, given.threads, given.keep, **changes)
        records = json.loads(path.read_text()) if path.exists() else []
        key = ("data", "seed", "epochs")
        records = [r for r in records if any(r[k] != record[k] for k in key)]
        path.write_text(json.dumps(finite_or_none([*records, record]), indent=1) + "\n")
        short = {s["name"]: round(s["value"], 5) for s in record["scores"]}
        print(record["data"], seed, f"{record['train_seconds']:.0f} s", short, flush=True)


if __name__ == "__main__":
    main()
