"""Clusters of a code against classes: accuracy, mutual information, Rand index."""

from __future__ import annotations

import numpy as np


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of rows in the right cluster under the best one-to-one match of clusters to classes.

    The match is found by the Hungarian method (Kuhn 1955). Shapes: labels, clusters (N,), whole
    numbers from 0.
    """
    from scipy.optimize import linear_sum_assignment

    size = 1 + max(int(labels.max()), int(clusters.max()))
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    rows, columns = linear_sum_assignment(-counts)
    return float(counts[rows, columns].sum() / len(labels))


def kmeans(codes: np.ndarray, others: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """The cluster (M,) of each of `others`, by the nearest of `count` centres of `codes`.

    The best of ten starts (k-means++). Shapes: codes (N, D), others (M, D).
    """
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=10, random_state=seed % 2**32).fit(codes)  # pyright: ignore[reportArgumentType]
    return np.asarray(found.predict(others))


def agreement(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Accuracy, normalised mutual information and adjusted Rand index, 1 for equal partitions."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return {
        "accuracy": clustering_accuracy(labels, clusters),
        "NMI": float(normalized_mutual_info_score(labels, clusters)),
        "ARI": float(adjusted_rand_score(labels, clusters)),
    }
