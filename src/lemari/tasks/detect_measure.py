"""How well a detector tells labelled anomalies from normal rows, beside simple methods."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from lemari.detect.thresholds import Threshold
from lemari.detect.views import standard
from lemari.errors import DataError

MOST = 20_000  # rows that the simple methods are fitted to, and rows that they are measured on
NEIGHBOURS = 5
AT = "at the threshold"
KEPT = 0.9  # share of the variance that PCA keeps


def measures(
    scores: np.ndarray,
    y: np.ndarray,
    x: np.ndarray,
    train: np.ndarray,
    seed: int,
    split: str,
) -> list[dict[str, Any]]:
    """AUROC and average precision of labelled rows, with those of simple methods.

    Shapes: scores and y (N,), x (N, F), training rows (M, F); without training rows nothing is
    put beside them. DataError unless both classes are there.
    """
    if not ((y == 0).any() and (y == 1).any()):
        raise DataError("Only one class is labelled; give rows of both.")
    some, weights = sampled(y, seed)
    beside = baselines(train, x[some], seed) if len(train) else {}
    found = []
    for name, measure in (("AUROC", roc_auc_score), ("average precision", average_precision_score)):
        others = [
            {"name": n, "value": float(measure(y[some], s, sample_weight=weights))}
            for n, s in beside.items()
        ]
        found.append(_score(name, float(measure(y, scores)), "higher", others, len(y), split))
    return found


def rates(
    scores: np.ndarray, y: np.ndarray, threshold: Threshold, split: str
) -> list[dict[str, Any]]:
    """Recall, precision and false alarms of labelled rows (N,) at a threshold."""
    flagged, odd = threshold.flags(scores), y == 1
    found = [("recall", flagged[odd], "higher"), ("precision", odd[flagged], "higher"),
             ("false alarms", flagged[~odd], "lower")]  # fmt: skip
    return [
        _score(f"{name} {AT}", float(part.mean()), better, [], len(y), split)
        for name, part, better in found
        if len(part)
    ]


def _score(name, value, better, baselines, rows, split) -> dict[str, Any]:
    told = {"name": name, "value": value, "unit": "", "better": better}
    return told | {"baselines": baselines, "rows": rows, "split": split}


def sampled(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """At most 20,000 rows of each class and weights that keep the share of anomalies."""
    rng, rows, weights = np.random.default_rng(seed), [], []
    for kind in (0, 1):
        own = np.flatnonzero(y == kind)
        kept = rng.permutation(own)[:MOST]
        rows.append(np.sort(kept))
        weights.append(np.full(len(kept), len(own) / max(1, len(kept))))
    return np.concatenate(rows), np.concatenate(weights)


def baselines(train: np.ndarray, x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Scores (N,) of three simple methods, fitted to the same rows in the same features."""
    train = train[np.random.default_rng(seed).permutation(len(train))[:MOST]]
    train, x = standard(train), standard(x)
    near = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(train))).fit(train)
    pca = PCA(KEPT, svd_solver="full", random_state=seed).fit(train)
    made = pca.inverse_transform(pca.transform(x))
    forest = IsolationForest(random_state=seed).fit(train)
    return {
        "kNN": near.kneighbors(x)[0][:, -1],
        "PCA": np.square(x - made).sum(1),
        "IForest": -forest.score_samples(x),
    }
