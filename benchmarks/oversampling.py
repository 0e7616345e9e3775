"""What a classifier gains from made rows of a rare class, beside other remedies.

    python benchmarks/oversampling.py                       all sets; about 15 minutes on one core
    python benchmarks/oversampling.py --sets card --seeds 1
    python benchmarks/oversampling.py --show                the stored tables

Sets are cut to 2,000 normal and 200 rare rows. Stratified 5-fold cross-validation, three seeds;
within the training folds the rare class is used whole, and cut to 50 and to 20 rows. Made rows are
only ever trained on. Compared: nothing, random duplicates, class weights (where the classifier
has them), SMOTE, and Lemari's `Oversampler`, each until both classes have the same number of rows.
The threshold of F1 is the best one on the given training rows. Needs LEMARI_DATA and
imbalanced-learn, which is no dependency of Lemari: `pip install --no-deps --target FOLDER
imbalanced-learn sklearn-compat` with FOLDER on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from detection_data import adbench, folder
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lemari.files import write_json
from lemari.surfaces.estimator.oversampling import Oversampler

RESULTS = Path(__file__).parent / "results" / "oversampling.json"
SETS = (
    "card",
    "10_cover",
    "23_mammography",
    "28_pendigits",
    "31_satimage-2",
    "38_thyroid",
    "40_vowels",
    "41_Waveform",
)
KEPT = (20, 50, None)  # rare rows in the training folds; None for all
NORMAL, RARE, FOLDS, SEEDS = 2000, 200, 5, 3
METHODS = ("none", "duplicates", "weights", "smote", "lemari")
CLASSIFIERS = ("logistic", "boosting", "nearest")
MEASURES = ("average_precision", "f1", "auroc")


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """X (N, F) and y (N,), 1 for the rare class, of one set, cut with a fixed seed."""
    X, y = card() if name == "card" else adbench(name)
    order = np.random.default_rng(0).permutation(len(y))
    normal, rare = order[y[order] == 0][:NORMAL], order[y[order] == 1][:RARE]
    kept = np.sort(np.concatenate([normal, rare]))
    return X[kept], y[kept]


def card() -> tuple[np.ndarray, np.ndarray]:
    """Card payments drawn at random over both days, and all frauds; V1 to V28 and Amount."""
    with gzip.open(folder() / "creditcard" / "creditcard_subset.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")
        rows = [line.rstrip("\n").split(",") for line in file]
    taken = [row for row in rows if row[names.index("sampling")] in ("random", "fraud")]
    kept = [i for i, name in enumerate(names) if name not in ("Time", "Class", "sampling")]
    X = np.array([[float(row[i]) for i in kept] for row in taken])
    return X, np.array([int(row[names.index("Class")]) for row in taken])


def classifier(name: str, weights: bool) -> Any:
    """A scikit-learn classifier, of which only the number of trees is no default."""
    weight: Any = "balanced" if weights else None
    if name == "logistic":
        return make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000, class_weight=weight)
        )
    if name == "boosting":
        return HistGradientBoostingClassifier(max_iter=50, random_state=0, class_weight=weight)
    return make_pipeline(StandardScaler(), KNeighborsClassifier())


def resampler(method: str, rare: int, seed: int) -> Callable[[np.ndarray, np.ndarray], Any]:
    """A function of training rows and classes that returns more of them."""
    if method in ("none", "weights"):
        return lambda X, y: (X, y)
    if method == "lemari":
        return Oversampler(random_state=seed).fit_resample
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    if method == "duplicates":
        return RandomOverSampler(random_state=seed).fit_resample
    return SMOTE(random_state=seed, k_neighbors=min(5, rare - 1)).fit_resample


def best_threshold(y: np.ndarray, scores: np.ndarray) -> float:
    """The threshold of the best F1 of scores (N,), halfway to the next lower score."""
    precision, recall, at = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = at[int(f1[:-1].argmax())]
    below = scores[scores < best]
    return float((best + below.max()) / 2) if len(below) else float(best)


def measured(y: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """The three measures of test scores (N,)."""
    flagged = scores > threshold
    hits = int((flagged & (y == 1)).sum())
    return {
        "average_precision": float(average_precision_score(y, scores)),
        "f1": 2 * hits / max(1, int(flagged.sum() + y.sum())),
        "auroc": float(roc_auc_score(y, scores)),
    }


def one_split(
    X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    """The records of every method and classifier on one split."""
    records = []
    rare = int(y[train].sum())
    for method in METHODS:
        begin = time.process_time()
        more, labels = resampler(method, rare, seed)(X[train], y[train])
        seconds = time.process_time() - begin
        for name in CLASSIFIERS:
            if method == "weights" and name == "nearest":
                continue
            fitted = classifier(name, method == "weights").fit(more, labels)
            given, scores = (fitted.predict_proba(X[part])[:, 1] for part in (train, test))
            found = measured(y[test], scores, best_threshold(y[train], given))
            records.append({"method": method, "classifier": name, "seconds": seconds, **found})
    return records


def one_set(name: str, seeds: int) -> list[dict[str, Any]]:
    """The mean over folds and seeds of each method, classifier and number of rare rows."""
    X, y = load(name)
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for seed in range(seeds):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        for train, test in folds.split(X, y):
            for kept in KEPT:
                part = cut_rare(train, y, kept, seed)
                if kept and int(y[train].sum()) <= kept:
                    continue
                for record in one_split(X, y, part, test, seed):
                    key = (record.pop("method"), record.pop("classifier"), str(kept or "all"))
                    found.setdefault(key, []).append(record)
    return [
        {"set": name, "method": method, "classifier": classifier, "rare": rare, "runs": len(runs)}
        | {k: round(float(np.mean([r[k] for r in runs])), 4) for k in (*MEASURES, "seconds")}
        for (method, classifier, rare), runs in found.items()
    ]


def cut_rare(train: np.ndarray, y: np.ndarray, kept: int | None, seed: int) -> np.ndarray:
    """The training rows with at most `kept` of the rare ones."""
    rare = np.random.default_rng(seed).permutation(train[y[train] == 1])
    return np.sort(np.concatenate([train[y[train] == 0], rare[:kept]]))


def table(records: list[dict[str, Any]], measure: str) -> str:
    """Means over the sets: a row for each classifier and number of rare rows."""
    lines = [
        f"| {measure} | rare rows | sets | " + " | ".join(METHODS) + " |",
        "|---|---:|---:|" + "---:|" * len(METHODS),
    ]
    for classifier_ in CLASSIFIERS:
        for rare in map(str, (*KEPT[:-1], "all")):
            own = [r for r in records if r["classifier"] == classifier_ and r["rare"] == rare]
            means = [[r[measure] for r in own if r["method"] == m] for m in METHODS]
            shown = [f"{np.mean(v):.3f}" if v else "-" for v in means]
            lines.append(
                f"| {classifier_} | {rare} | {len(means[0])} | " + " | ".join(shown) + " |"
            )
    return "\n".join(lines)


def wins(records: list[dict[str, Any]], measure: str) -> str:
    """How often Lemari's rows are better than each other remedy by more than 0.005, and worse."""
    places = {(r["set"], r["classifier"], r["rare"], r["method"]): r[measure] for r in records}
    lines = []
    for other in METHODS[:-1]:
        both = [(v, places.get((*k[:3], other))) for k, v in places.items() if k[3] == "lemari"]
        gains = np.array([v - w for v, w in both if w is not None])
        lines.append(
            f"{measure}, against {other}: better in {int((gains > 0.005).sum())}, worse in "
            f"{int((gains < -0.005).sum())} of {len(gains)}; mean {gains.mean():+.4f}"
        )
    return "\n".join(lines)


def stored() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text())["records"] if RESULTS.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in () if given.show else given.sets:
        begin = time.time()
        fresh = one_set(name, given.seeds)
        records = [r for r in stored() if r["set"] != name] + fresh
        write_json(RESULTS, {"folds": FOLDS, "records": sorted(records, key=lambda r: r["set"])})
        print(f"{name}: {time.time() - begin:.0f} s", flush=True)
    for measure in MEASURES:
        print(f"\n{table(stored(), measure)}\n\n{wins(stored(), measure)}")


if __name__ == "__main__":
    main()
