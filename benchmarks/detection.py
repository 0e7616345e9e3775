"""Detection tables: Lemari beside PyOD's detectors on the same rows.

    python benchmarks/detection.py one-class --seeds 0 1 2 --threads 1
    python benchmarks/detection.py JOB --methods Lemari KNN       any of PyOD's names, too

Jobs: one-class, unsupervised, card, machines, calibration, reasons, noise, pictures, speed, table
(table prints what is stored). Defaults everywhere: nothing is tuned for a set. Our records go to
benchmarks/results/detection.json, PyOD's to detection-pyod.json, where they are kept and not
measured again; the printed tables join both. Needs LEMARI_DATA, and PyOD for its own columns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import detection_data as data
import detection_kinds
import detection_speed
import numpy as np
from detection_pyod import FAST, NEURAL
from detection_runs import LEMARI, figures, keep, make, scored, scored_mixed, show

RATES = (0.01, 0.05)
ALARMS = [f"{what} {rate}" for rate in RATES for what in ("alarms", "p_value")]
RULES = ("spike", "outside", "swap")
REASONS = [f"{rule} {place}" for rule in RULES for place in ("first", "first two")]


def one_class(methods: list[str], seeds: list[int]) -> None:
    for seed in seeds:
        for name in data.sets():
            rows = data.one_class(*data.load(name), seed)
            for method in methods:
                keep("one-class", name, seed, method, scored, *rows)
    show("one-class")


def unsupervised(methods: list[str], seeds: list[int]) -> None:
    for seed in seeds:
        for name in data.sets():
            X, y = data.unsupervised(*data.load(name))
            for method in methods:
                keep("unsupervised", name, seed, method, scored_mixed, X, X, y)
    show("unsupervised")


def card(methods: list[str], seeds: list[int]) -> None:
    """Both figures with the weights that make frauds 0.17 % of the payments."""
    for seed in seeds:
        rows = data.card(seed)
        for method in methods:
            keep("card", "creditcard", seed, method, scored, *rows)
    show("card")


def noise(methods: list[str], seeds: list[int]) -> None:
    """What 10 % anomalies among the training rows cost, on one test for both."""
    for seed in seeds:
        for name in data.sets():
            clean, mixed, test, y = data.contaminated(*data.load(name), seed)
            for method in methods:
                for kind, train in (("clean", clean), ("mixed", mixed)):
                    keep(f"noise {kind}", name, seed, method, scored_mixed, train, test, y)
    show("noise clean", "noise mixed")


def alarms(method: str, seed: int, train: np.ndarray, normal: np.ndarray) -> dict:
    """Share of unseen normal rows that are flagged when 1 % and 5 % are asked for."""
    found: dict = {"rows": len(normal), "train_rows": len(train)}
    model = make(method, seed).fit(train) if method in LEMARI else None
    for rate in RATES:
        if model is None:
            flags = make(method, seed, contamination=rate).fit(train).predict(normal)
        else:
            model.set_threshold(alarm_rate=rate)
            flags = model.predict(normal)
            found[f"p_value {rate}"] = float(np.mean(np.asarray(model.p_value(normal)) <= rate))
        found[f"alarms {rate}"] = float(np.mean(np.asarray(flags) == -1))
    return found


def calibration(methods: list[str], seeds: list[int]) -> None:
    for seed in seeds:
        for name in data.sets():
            train, test, y = data.one_class(*data.load(name), seed)
            for method in methods:
                keep("calibration", name, seed, method, alarms, train, test[y == 0])
    figures("calibration", ALARMS)


def reason_columns(model, rows: np.ndarray, most: int = 2) -> list[list[int]]:
    """For each row the columns that the detector blames, worst first."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[f"c{i}" for i in range(rows.shape[1])])
    return [
        [int(str(getattr(reason, "column", reason)).removeprefix("c")) for reason in row][:most]
        for row in model.explain(frame, most=most)
    ]


def blamed(method: str, seed: int, train: np.ndarray, normal: np.ndarray) -> dict:
    """Share of the planted faults whose column is blamed first, and among the first two."""
    import pandas as pd

    model, found = None, {}
    if method != "z-score":
        frame = pd.DataFrame(train, columns=[f"c{i}" for i in range(train.shape[1])])
        model = make(method, seed).fit(frame)
    sigma = np.where(train.std(0) > 0, train.std(0), np.inf)
    for rule in RULES:
        rows, at = data.planted(normal, seed, rule)
        away = np.abs(rows - train.mean(0)) / sigma
        top = reason_columns(model, rows) if model else np.argsort(-away, 1)[:, :2].tolist()
        found[f"{rule} first"] = float(np.mean([c in t[:1] for t, c in zip(top, at)]))
        found[f"{rule} first two"] = float(np.mean([c in t for t, c in zip(top, at)]))
    return found


def reasons(methods: list[str], seeds: list[int]) -> None:
    """Faults planted in unseen normal rows; `z-score` blames the largest deviation."""
    for seed in seeds:
        for name in data.sets():
            train, test, y = data.one_class(*data.load(name), seed)
            for method in [*methods, "z-score"]:
                keep("reasons", name, seed, method, blamed, train, test[y == 0])
    figures("reasons", REASONS)


def stored(methods: list[str], seeds: list[int]) -> None:
    show("one-class", "unsupervised", "card", "noise clean", "noise mixed", "pictures")
    detection_kinds.show_machines()
    figures("reasons", REASONS)
    figures("calibration", ALARMS)
    detection_speed.show_speed()


def main() -> None:
    jobs: dict[str, Callable[[list[str], list[int]], None]] = {
        "one-class": one_class,
        "unsupervised": unsupervised,
        "card": card,
        "machines": detection_kinds.machines,
        "calibration": calibration,
        "reasons": reasons,
        "noise": noise,
        "pictures": detection_kinds.pictures,
        "speed": detection_speed.speed,
        "table": stored,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=list(jobs))
    parser.add_argument(
        "--methods",
        nargs="+",
        default=None,
        help="default: both of Lemari and those asked for",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    beside = {
        "card": [*FAST, *NEURAL],
        "machines": ["IForest", "PCA", "AutoEncoder", "KNN"],
        "calibration": ["KNN"],
        "pictures": ["PCA", "IForest"],
    }
    jobs[given.job](given.methods or [*LEMARI, *beside.get(given.job, [])], given.seeds)


if __name__ == "__main__":
    main()
