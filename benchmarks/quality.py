"""Quality tables: train by an entry of reproduce/, judge on the test split, keep the figures.

    python benchmarks/quality.py chapter-ae --data fashion-mnist --seeds 0 1 2
    python benchmarks/quality.py --list

Each run appends one record to benchmarks/results/NAME.json: scores on rows not trained on, their
baselines measured on the same rows, training seconds, threads and precision. Needs LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from records import store, trained

from lemari.machine import describe, threads
from lemari.tasks.evaluate import evaluate
from lemari.tasks.job import prepare
from lemari.tasks.plan import Request

RESULTS = Path(__file__).parent / "results"
ENTRIES = Path(__file__).parents[1] / "reproduce"
SETTINGS: dict[str, dict] = {
    p.stem: json.loads(p.read_text()) for p in sorted(ENTRIES.glob("*.json"))
}


def run(name: str, data: str, seed: int, count: int, keep: Path | None, **changes) -> dict:
    """Train once and measure; returns the record."""
    entry = SETTINGS[name]
    request = Request(**entry["recipe"] | changes, seed=seed, threads=count)
    nll, size = entry.get("nll", 0), entry.get("size")
    job = prepare(data, request, **({"size": tuple(size)} if size else {}))
    fitted, history, wall = trained(job, keep)
    train, held = job.feeds()
    with threads(count):
        e = evaluate(fitted.model, train, held, split=job.split, nll_samples=nll)
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
    changes = {"epochs": given.epochs} if given.epochs else {}
    for seed in given.seeds:
        record = run(given.setting, given.data, seed, given.threads, given.keep, **changes)
        store(RESULTS / f"{given.setting}.json", record, ("data", "seed", "epochs"))
        short = {s["name"]: round(s["value"], 5) for s in record["scores"]}
        print(record["data"], seed, f"{record['train_seconds']:.0f} s", short, flush=True)


if __name__ == "__main__":
    main()
