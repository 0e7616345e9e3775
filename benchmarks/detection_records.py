"""Records of the detection benchmarks: stored one a line, merged, summed up as tables.

A record is a dict with `protocol`, `set`, `seed`, `method`, and what was measured.
"""

from __future__ import annotations

import fcntl
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from lemari.files import finite_or_none, write

RESULTS = Path(__file__).parent / "results"
PYOD, OURS = RESULTS / "detection-pyod.json", RESULTS / "detection.json"
KEY = ("protocol", "set", "seed", "method")


def key(record: dict) -> tuple:
    return tuple(record.get(name) for name in KEY)


def read(path: Path) -> list[dict]:
    return json.loads(path.read_text()) if path.exists() else []


def store(path: Path, record: dict) -> None:
    """Add one record, or replace the one with the same key; safe with several writers."""
    path.parent.mkdir(exist_ok=True)
    with open(Path(gettempdir()) / f"{path.stem}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = {key(r): r for r in read(path)} | {key(record): finite_or_none(record)}
        lines = [json.dumps(r) for _, r in sorted(records.items(), key=lambda kv: str(kv[0]))]
        write(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


def quality(y: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> dict:
    """AUROC and average precision; scores that are not finite count as a failure (chance)."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not np.isfinite(score).all():
        return chance(y, "scores are not finite", weight)
    return {
        "auroc": float(roc_auc_score(y, score, sample_weight=weight)),
        "ap": float(average_precision_score(y, score, sample_weight=weight)),
    }


def chance(y: np.ndarray, why: str, weight: np.ndarray | None = None) -> dict:
    """What a constant score would get, marked as a failure."""
    return {"auroc": 0.5, "ap": float(np.average(y, weights=weight)), "failed": why}


def means(records: Iterable[dict], name: str) -> dict[str, dict[str, float]]:
    """method -> set -> mean over the seeds of one figure."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in records:
        if r.get(name) is not None:
            found[r["method"]][r["set"]].append(r[name])
    return {m: {s: float(np.mean(v)) for s, v in by.items()} for m, by in found.items()}


def mean_ranks(auroc: dict[str, dict[str, float]]) -> dict[str, float]:
    """Mean rank among the methods, 1 is best; over the sets that every method has."""
    from scipy.stats import rankdata

    shared = sorted(set.intersection(*(set(by) for by in auroc.values())))
    if not shared:
        return {}
    table = np.array([[by[s] for s in shared] for by in auroc.values()])
    return dict(zip(auroc, rankdata(-table, axis=0).mean(1).tolist()))


def ranks_beside(auroc: dict[str, dict[str, float]], ours: list[str]) -> dict[str, float]:
    """Mean ranks where variants of our own do not push each other down.

    Each of `ours` is ranked among all other methods and itself; the others among themselves and
    the first of ours.
    """
    others = {m: by for m, by in auroc.items() if m not in ours}
    own = [m for m in ours if m in auroc]
    ranks = mean_ranks(others | {m: auroc[m] for m in own[:1]}) if auroc else {}
    return ranks | {m: mean_ranks({m: auroc[m]} | others)[m] for m in own[1:]}


def weak_sets(records: list[dict], ours: str) -> list[str]:
    """Sets where `ours` is below 0.5 though KNN is above 0.7."""
    auroc = means(records, "auroc")
    knn = auroc.get("KNN", {})
    return [s for s, value in auroc.get(ours, {}).items() if value < 0.5 and knn.get(s, 0) > 0.7]


def table(records: list[dict], most: int, ours: list[str] | None = None) -> list[str]:
    """One line a method, best first; a method with fewer than `most` sets is marked, not ranked."""
    auroc, ap = means(records, "auroc"), means(records, "ap")
    ranks = ranks_beside({m: by for m, by in auroc.items() if len(by) == most}, ours or [])
    seconds = means(records, "seconds")
    lines = [f"{'method':18} {'AUROC':>6} {'AP':>6} {'rank':>5} {'s/set':>7}  sets seeds failed"]
    for m in sorted(auroc, key=lambda m: -np.mean(list(auroc[m].values()))):
        own = [r for r in records if r["method"] == m]
        lines.append(
            f"{m:18} {np.mean(list(auroc[m].values())):6.3f} {np.mean(list(ap[m].values())):6.3f} "
            f"{ranks.get(m, float('nan')):5.2f} {np.mean(list(seconds[m].values())):7.2f}  "
            f"{len(auroc[m]):4} {len({r['seed'] for r in own}):5} "
            f"{sum('failed' in r for r in own):6}{'' if len(auroc[m]) == most else '  (partial)'}"
        )
    return lines


def main() -> None:
    records = read(PYOD) + read(OURS)
    for protocol in sys.argv[1:] or ["one-class", "unsupervised"]:
        own = [r for r in records if r["protocol"] == protocol and "auroc" in r]
        if own:
            print(protocol, *table(own, len({r["set"] for r in own})), "", sep="\n")


if __name__ == "__main__":
    main()
