"""How soon planted shifts are found, how often unchanged streams alarm, and how fast it is.

    python benchmarks/drift_check.py [--runs 200] [--streams 20] [--out FILE.json]

Without the command: `power(...)`, `false_alarms(...)` and `speed(...)` return plain dictionaries.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from lemari.detect.drift import DriftMonitor

LATE = 500
KINDS = ("gaussian", "cauchy", "lognormal", "rounded", "category", "rare", "constant", "missing")


def draw(rng: np.random.Generator, kind: str, rows: int) -> np.ndarray:
    """Rows of one kind of column."""
    if kind == "cauchy":
        return rng.standard_cauchy(rows)
    if kind == "lognormal":
        return np.exp(rng.normal(size=rows) * 1.5)
    if kind == "rounded":
        return np.round(rng.normal(size=rows) * 4)
    if kind == "category":
        return rng.choice(8, size=rows, p=[0.4, 0.2, 0.15, 0.1, 0.06, 0.05, 0.03, 0.01])
    if kind == "rare":
        return (rng.random(rows) < 0.004).astype(float)
    if kind == "constant":
        return np.full(rows, 7.0)
    normal = rng.normal(size=rows)
    return np.where(rng.random(rows) < 0.1, np.nan, normal) if kind == "missing" else normal


def table(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """All kinds in turn, (rows, columns)."""
    kinds = [KINDS[i % len(KINDS)] for i in range(columns)]
    return np.stack([draw(rng, kind, rows) for kind in kinds], axis=1)


SHIFTS = {
    "mean by 1 sd": lambda rng, x: x + 1,
    "mean by 0.75 sd": lambda rng, x: x + 0.75,
    "scale by 1.5": lambda rng, x: x * 1.5,
    "scale by 2": lambda rng, x: x * 2,
    "scale by 0.5": lambda rng, x: x * 0.5,
    "10 % at 4 sd": lambda rng, x: np.where(rng.random(len(x)) < 0.1, x + 4, x),
    "10 % missing": lambda rng, x: np.where(rng.random(len(x)) < 0.1, np.nan, x),
    "stuck at one value": lambda rng, x: np.full(len(x), 0.3),
}


def power(
    shift: str, reference: int = 1000, columns: int = 30, runs: int = 200, seed: int = 0
) -> dict[str, object]:
    """Share of runs in which a shift of one Gaussian column is found within 500 rows."""
    rng, rows = np.random.default_rng(seed), []
    names = [f"column {i}" for i in range(columns)]
    for _ in range(runs):
        known, before = rng.normal(size=(reference, columns)), int(rng.integers(500, 1000))
        new = rng.normal(size=(before + LATE, columns))
        new[before:, 0] = SHIFTS[shift](rng, new[before:, 0])
        scores = rng.normal(size=reference), rng.normal(size=len(new))
        monitor = DriftMonitor.learn(scores[0], known, names)
        alarms = [a for a in monitor.see(scores[1], new) if a.what == names[0]]
        late = [a.row - before for a in alarms if a.row > before]
        rows.append(min(late, default=LATE + 1))
    found = np.array(rows)
    return {
        "shift": shift,
        "reference": reference,
        "columns": columns,
        "runs": runs,
        "found": float((found <= LATE).mean()),
        "median_rows": float(np.median(found)),
    }


def false_alarms(
    reference: int = 1000, columns: int = 30, streams: int = 20, rows: int = 100_000, seed: int = 0
) -> dict[str, object]:
    """Share of unchanged streams, each with a reference of its own, that give any alarm."""
    rng, alarmed, alarms = np.random.default_rng(seed), 0, 0
    names = [f"column {i}" for i in range(columns)]
    for _ in range(streams):
        known = table(rng, reference, columns)
        monitor = DriftMonitor.learn(rng.normal(size=reference), known, names)
        found = []
        for _ in range(0, rows, 10_000):
            found += monitor.see(rng.normal(size=10_000), table(rng, 10_000, columns))
        alarmed, alarms = alarmed + bool(found), alarms + len(found)
    return {
        "reference": reference,
        "columns": columns,
        "streams": streams,
        "rows": rows,
        "streams_with_alarm": alarmed,
        "alarms": alarms,
    }


def speed(columns: int = 30, rows: int = 200_000, repeats: int = 3) -> dict[str, object]:
    """Rows watched a second, the best of some repeats."""
    rng = np.random.default_rng(0)
    names = [f"column {i}" for i in range(columns)]
    monitor = DriftMonitor.learn(rng.normal(size=1000), rng.normal(size=(1000, columns)), names)
    new, scores, best = rng.normal(size=(rows, columns)), rng.normal(size=rows), np.inf
    for _ in range(repeats):
        begin = time.perf_counter()
        monitor.see(scores, new)
        best = min(best, time.perf_counter() - begin)
    return {"columns": columns, "rows_per_second": round(rows / best)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--out")
    options = parser.parse_args()
    results: dict[str, list] = {"power": [], "false_alarms": [], "speed": [speed()]}
    print(results["speed"][0], flush=True)
    for reference, columns in ((500, 30), (1000, 30), (5000, 30), (1000, 100), (1000, 1)):
        for shift in SHIFTS:
            results["power"].append(power(shift, reference, columns, options.runs))
            print(results["power"][-1], flush=True)
    for reference in (500, 1000, 5000):
        for columns in (1, 10, 100):
            found = false_alarms(reference, columns, options.streams)
            results["false_alarms"].append(found)
            print(found, flush=True)
    if options.out:
        with open(options.out, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()
