"""What every detection benchmark does: make a detector, measure, keep a record, show tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from detection_pyod import Baseline, measure
from detection_records import OURS, PYOD, key, read, store, table, weak_sets

LEMARI: dict[str, dict] = {"Lemari": {}, "Lemari without rows": {"memory": False}}


def make(method: str, seed: int, mixed: bool = False, **options) -> Any:
    """An unfitted detector with fit, anomaly_score and predict, ours or PyOD's.

    Ours is told that the training rows are normal, unless they are `mixed`.
    """
    if method not in LEMARI:
        return Baseline(method, seed, **options)
    from lemari import Detector

    return Detector(normal_only=not mixed, **LEMARI[method], random_state=seed, **options)


def keep(
    protocol: str, name: str, seed: int, method: str, work: Callable[..., dict], *rest
) -> None:
    """Store what `work(method, seed, *rest)` measures; a PyOD record that is there is left."""
    path = OURS if method in LEMARI else PYOD
    at = {"protocol": protocol, "set": name, "seed": seed, "method": method}
    if path == PYOD and key(at) in {key(r) for r in read(PYOD)}:
        return
    begin = time.perf_counter()
    found = work(method, seed, *rest)
    record = at | {"seconds": round(time.perf_counter() - begin, 3)} | found
    store(path, record)
    shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}
    print(protocol, name, seed, method, shown, flush=True)


def scored(method: str, seed: int, *rows: np.ndarray) -> dict:
    """AUROC, average precision and seconds; rows are train, test, y_test and maybe weights."""
    return measure(make(method, seed), *rows)


def scored_mixed(method: str, seed: int, *rows: np.ndarray) -> dict:
    """As `scored`, where the training rows may be anomalous."""
    return measure(make(method, seed, mixed=True), *rows)


def show(*protocols: str) -> None:
    """Tables of AUROC, average precision and ranks from all that is stored."""
    for protocol in protocols:
        own = [r for r in read(OURS) + read(PYOD) if r["protocol"] == protocol and "auroc" in r]
        if not own:
            continue
        print(f"\n{protocol}", *table(own, len({r["set"] for r in own}), list(LEMARI)), sep="\n")
        for method in LEMARI:
            if weak := weak_sets(own, method):
                print(f"{method}: below 0.5 where KNN is above 0.7: {', '.join(weak)}")


def figures(protocol: str, names: list[str], only: str = "") -> None:
    """Mean over sets (those that start with `only`) and seeds of some figures, a line a method."""
    own = [r for r in read(OURS) + read(PYOD) if r["protocol"] == protocol]
    own = [r for r in own if r["set"].startswith(only)]
    print(f"\n{protocol} {only}")
    for method in dict.fromkeys(r["method"] for r in own):
        mine = [r for r in own if r["method"] == method]
        values = {n: [r[n] for r in mine if r.get(n) is not None] for n in names}
        said = ", ".join(f"{n} {np.mean(v):.4f}" for n, v in values.items() if v)
        sets, seeds = len({r["set"] for r in mine}), len({r["seed"] for r in mine})
        print(f"{method:20} {said}  ({sets} sets, {seeds} seeds)")
