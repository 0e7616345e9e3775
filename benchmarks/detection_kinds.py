"""Detection in series of machines and in pictures, beside PyOD's detectors on the same rows."""

from __future__ import annotations

import detection_data as data
import numpy as np
from detection_records import quality
from detection_runs import LEMARI, figures, keep, make, scored, show

WINDOW = {"skab": 8, "cmapss": 8}  # rows side by side
LAST = 60  # cycles before the failure
SERIES = {"skab": ["auroc", "ap", "f1", "best f1"], "cmapss": ["spearman"]}


def skab_figures(method: str, seed: int, series: list[tuple]) -> dict:
    """Means over the series: AUROC, AP, F1 at the method's own threshold, and at the best one."""
    from sklearn.metrics import f1_score, precision_recall_curve

    rows = []
    for _, train, test, y in series:
        model = make(method, seed).fit(train)
        score = np.asarray(model.anomaly_score(test), dtype=np.float64)
        found = quality(y, score)
        found["f1"] = float(f1_score(y, np.asarray(model.predict(test)) == -1))
        if np.isfinite(score).all():
            precision, recall, _ = precision_recall_curve(y, score)
            both = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
            found["best f1"] = float(both.max())
        else:
            found["best f1"] = float(f1_score(y, np.ones_like(y)))
        rows.append(found)
    means = {name: float(np.mean([r[name] for r in rows])) for name in SERIES["skab"]}
    failed = sum("failed" in r for r in rows)
    return means | {"series": len(rows)} | ({"failed": f"{failed} series"} if failed else {})


def turbofan_figures(method: str, seed: int, length: int) -> dict:
    """Spearman between the score and time in the last 60 cycles, mean over the test engines."""
    from scipy.stats import spearmanr

    train, engines = data.turbofan(seed, length=length)
    model, found, failed = make(method, seed).fit(train), [], 0
    for engine in engines:
        score = np.asarray(model.anomaly_score(engine[-LAST:]), dtype=np.float64)
        finite = np.isfinite(score).all()
        failed += not finite
        rises = finite and np.ptp(score) > 0
        found.append(spearmanr(score, np.arange(len(score)))[0] if rises else 0.0)
    means = {
        "spearman": float(np.mean(found)),
        "least": float(np.min(found)),
        "engines": len(found),
    }
    return means | ({"failed": f"{failed} engines: scores are not finite"} if failed else {})


def machines(methods: list[str], seeds: list[int]) -> None:
    """SKAB and C-MAPSS FD001, on single rows and on windows."""
    for length in (1, WINDOW["skab"]):
        series = list(data.skab(length))
        for seed in seeds:
            for method in methods:
                keep(f"skab window {length}", "skab", seed, method, skab_figures, series)
    for length in (1, WINDOW["cmapss"]):
        for seed in seeds:
            for method in methods:
                keep(f"cmapss window {length}", "fd001", seed, method, turbofan_figures, length)
    show_machines()


def show_machines() -> None:
    for kind, names in SERIES.items():
        for length in (1, WINDOW[kind]):
            figures(f"{kind} window {length}", names)


def picture_sets(seed: int):
    """Name, train, test (N, H, W) uint8 and y_test of the 22 picture tasks."""
    for name in ("fashion-mnist", "mnist"):
        for label in range(10):
            yield f"{name} {label}", *data.idx_pictures(name, label)
    yield "solar", *data.solar(seed)
    yield "pneumonia", *data.pneumonia()


def pictures(methods: list[str], seeds: list[int]) -> None:
    """One class against the rest; PyOD's detectors see the pixels as columns."""
    for seed in seeds:
        for name, train, test, y in picture_sets(seed):
            for method in methods:
                rows = (train, test)
                if method not in LEMARI:
                    rows = tuple(x.reshape(len(x), -1).astype(np.float64) for x in rows)
                keep("pictures", name, seed, method, scored, *rows, y)
    show("pictures")
    for name in ("fashion-mnist", "mnist", "solar", "pneumonia"):
        figures("pictures", ["auroc", "ap"], only=name)
