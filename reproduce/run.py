"""Train by a stored recipe, and compare with its goals and with what was measured before.

    python reproduce/run.py --list
    python reproduce/run.py chapter-ae --data mnist [--seed 0] [--threads 2] [--store]

Needs LEMARI_DATA. Ends with 1 when a goal is missed or a score left its tolerance.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks" / "results"
sys.path.insert(0, str(HERE.parent / "benchmarks"))


def entries() -> dict[str, dict[str, Any]]:
    """All entries by name."""
    return {p.stem: json.loads(p.read_text()) for p in sorted(HERE.glob("*.json"))}


def stored(name: str, data: str) -> dict[str, list[float]]:
    """Scores of earlier runs: name -> one value a seed."""
    path = RESULTS / f"{name}.json"
    found: dict[str, list[float]] = {}
    for record in json.loads(path.read_text()) if path.exists() else []:
        if record["data"] == data:
            for score in record["scores"]:
                found.setdefault(score["name"], []).append(score["value"])
    return found


def tolerance(values: list[float]) -> float:
    """Three times the spread of the seeds, at least a hundredth of the mean."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return max(3 * spread, 0.01 * abs(statistics.mean(values)))


def verdicts(
    scores: dict[str, float], goals: dict[str, list], before: dict[str, list[float]]
) -> list[tuple[str, bool]]:
    """A sentence for each goal and each stored score, and whether it holds.

    >>> verdicts({"MSE": 0.5}, {"MSE": ["at most", 0.6]}, {"MSE": [0.4, 0.4]})
    [('MSE 0.5, at most 0.6 asked', True), ('MSE 0.5, stored 0.4 +- 0.004', False)]
    """
    found = []
    for name, (how, bound) in goals.items():
        fine = name in scores and (
            scores[name] <= bound if how == "at most" else scores[name] >= bound
        )
        found.append((f"{name} {scores.get(name, float('nan')):.5g}, {how} {bound} asked", fine))
    for name in goals if goals else before:
        if before.get(name) and name in scores:
            mean, room = statistics.mean(before[name]), tolerance(before[name])
            fine = abs(scores[name] - mean) <= room
            found.append((f"{name} {scores[name]:.5g}, stored {mean:.5g} +- {room:.2g}", fine))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=sorted(entries()))
    parser.add_argument("--data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--store", action="store_true", help="keep the result beside the others")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list or not given.name:
        for name, entry in entries().items():
            sets = ", ".join(entry["goals"]) or "-"
            print(f"{name:20} {entry['minutes']:>4} min  {sets:24} {entry['about']}")
        return
    from quality import keep, run

    entry = entries()[given.name]
    data = given.data or next(iter(entry["goals"]), "fashion-mnist")
    record = run(given.name, data, given.seed, given.threads, None)
    scores = {score["name"]: score["value"] for score in record["scores"]}
    found = verdicts(scores, entry["goals"].get(data, {}), stored(given.name, record["data"]))
    for sentence, fine in found:
        print("holds " if fine else "FAILS ", sentence)
    if given.store:
        keep(record)
    sys.exit(not all(fine for _, fine in found))


if __name__ == "__main__":
    main()
