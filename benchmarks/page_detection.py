"""The detection part of docs/benchmarks.md, from the records of the detection benchmarks."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from detection_records import OURS, PYOD, means, ranks_beside, read

NAMES = ["Lemari", "Lemari without rows"]
TITLES = {
    "one-class": "One-class: fitted to half of the normal rows, tested on all others",
    "unsupervised": "Unsupervised: the same rows fitted and scored",
    "card": "Card fraud, one-class, weighted to 0.17 % of frauds",
    "noise clean": "Contamination: fitted to normal rows, in the mode for mixed rows",
    "noise mixed": "Contamination: the same with 10 % of anomalies among them",
}
FIGURES = {
    "calibration": ["alarms 0.01", "alarms 0.05"],
    "reasons": ["spike first two", "outside first two", "swap first two"],
    "skab window 1": ["auroc", "f1"],
    "skab window 8": ["auroc", "f1"],
    "cmapss window 1": ["spearman"],
    "cmapss window 8": ["spearman"],
    "speed fit": ["fit and score", "AutoEncoder", "times faster"],
    "speed score": ["rows a second"],
    "speed large": ["million fit", "peak GiB"],
}
HERE = Path(__file__).parent / "results"


def ranked(records: list[dict]) -> list[str]:
    """AUROC, average precision and mean rank of each method that has all sets."""
    auroc, ap, seconds = (means(records, n) for n in ("auroc", "ap", "seconds"))
    most = max(len(by) for by in auroc.values())
    whole = {m: by for m, by in auroc.items() if len(by) == most}
    ranks = ranks_beside(whole, NAMES)
    lines = ["| method | AUROC | average precision | mean rank | seconds a set | seeds |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for m in sorted(whole, key=lambda m: -np.mean(list(whole[m].values()))):
        seeds = len({r["seed"] for r in records if r["method"] == m})
        a, b, s = (np.mean(list(part[m].values())) for part in (auroc, ap, seconds))
        lines.append(f"| {m} | {a:.3f} | {b:.3f} | {ranks[m]:.2f} | {s:.1f} | {seeds} |")
    return [*lines, ""]


def figures(records: list[dict], names: list[str]) -> list[str]:
    """The mean of some figures over sets and seeds, a row a method."""
    lines = [f"| method | {' | '.join(names)} | sets | seeds |", "|---" * (len(names) + 3) + "|"]
    for m in dict.fromkeys(r["method"] for r in records):
        own = [r for r in records if r["method"] == m]
        values = [[r[n] for r in own if r.get(n) is not None] for n in names]
        if not all(values):
            continue
        said = " | ".join(f"{np.mean(v):,.4g}" for v in values)
        sets, seeds = (len({r[k] for r in own}) for k in ("set", "seed"))
        lines.append(f"| {m} | {said} | {sets} | {seeds} |")
    return [*lines, ""]


def pictures() -> list[str]:
    """Mean AUROC over classes for each set of pictures."""
    path = HERE / "detection-pictures.json"
    if not path.exists():
        return []
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for r in json.loads(path.read_text()):
        if "auroc" in r:
            found[r["set"].rstrip("0123456789 ")][r["method"]].append(r["auroc"])
    methods = sorted({m for by in found.values() for m in by}, key=lambda m: m != "Lemari")
    lines = ["### Pictures, one-class, mean AUROC", "", f"| set | {' | '.join(methods)} | runs |",
             "|---" * (len(methods) + 2) + "|"]  # fmt: skip
    for name, by in found.items():
        said = " | ".join(f"{np.mean(by[m]):.4f}" if m in by else "" for m in methods)
        lines.append(f"| {name} | {said} | {max(map(len, by.values()))} |")
    command = "python benchmarks/detection_pictures.py --sets fashion-mnist mnist solar pneumonia"
    return [*lines, "", f"Command: `{command}`", ""]


def section() -> list[str]:
    """All that is stored, or nothing."""
    records = read(OURS) + read(PYOD)
    if not records:
        return []
    lines = ["## Detection", "", (HERE.parent / "detection.md").read_text().rstrip(), ""]
    for protocol, title in TITLES.items():
        own = [r for r in records if r["protocol"] == protocol and "auroc" in r]
        if own:
            lines += [f"### {title}", "", *ranked(own)]
    for protocol, names in FIGURES.items():
        own = [r for r in records if f"{r['protocol']} ".startswith(f"{protocol} ")]
        if own:
            lines += [f"### {protocol[0].upper()}{protocol[1:]}", "", *figures(own, names)]
    return lines + pictures()
