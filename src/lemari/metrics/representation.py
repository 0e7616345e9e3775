"""How much of the classes a code keeps, and how a plain code lies in its space."""

from __future__ import annotations

import numpy as np


def knn_accuracy(
    codes: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, k: int = 5
) -> float:
    """Share of test codes whose k nearest training codes vote for the right class.

    Rows with an unknown class (-1) are left out. Shapes: codes (N, D), test (M, D).
    """
    from sklearn.neighbors import KNeighborsClassifier

    known, sure = labels >= 0, truth >= 0
    wide = codes.shape[1] > 15
    vote = KNeighborsClassifier(min(k, int(known.sum())), algorithm="brute" if wide else "auto")
    vote.fit(codes[known], labels[known])
    return float(vote.score(test[sure], truth[sure]))


def area_shares(
    codes: np.ndarray, labels: np.ndarray | None, classes: tuple[str, ...], cells: int = 50
) -> tuple[dict[str, float], float]:
    """Which share of the box around 2-d codes each class covers, and which share is empty.

    The box is cut into cells x cells; a cell belongs to the class that most of its codes have,
    and is empty when it holds none. Returns ({class: share}, empty share).
    """
    low, high = codes.min(0), codes.max(0)
    scaled = (codes - low) / np.maximum(high - low, 1e-12)
    at = np.minimum((scaled * cells).astype(int), cells - 1)
    flat = at[:, 0] * cells + at[:, 1]
    empty = 1 - len(np.unique(flat)) / cells**2
    if labels is None or not classes:
        return {}, float(empty)
    counts = np.zeros((len(classes), cells**2), int)
    known = labels >= 0
    np.add.at(counts, (labels[known], flat[known]), 1)
    owner = np.where(counts.any(0), counts.argmax(0), -1)
    return {name: float((owner == i).mean()) for i, name in enumerate(classes)}, float(empty)


def nearest_error(pictures: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Mean squared error of each picture to the real example most like it.

    Shapes: pictures (N, D), real (M, D) -> (N,).
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    _, distance = pairwise_distances_argmin_min(pictures, real, metric="sqeuclidean")
    return distance / pictures.shape[1]


def linear_probe(
    codes: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> float:
    """Share of test codes that a logistic regression on the training codes classifies rightly.

    Codes are standardised first; rows with an unknown class (-1) are left out. Shapes: codes
    (N, D), test (M, D).
    """
    from sklearn.linear_model import LogisticRegression

    known, sure = labels >= 0, truth >= 0
    mean, spread = codes[known].mean(0), np.maximum(codes[known].std(0), 1e-6)
    if len(np.unique(labels[known])) < 2:
        return float((truth[sure] == labels[known][0]).mean())
    probe = LogisticRegression(max_iter=300).fit((codes[known] - mean) / spread, labels[known])
    return float(probe.score((test[sure] - mean) / spread, truth[sure]))
