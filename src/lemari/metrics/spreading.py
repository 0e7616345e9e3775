"""Labels of a few rows, spread over a graph of neighbours to all others."""

from __future__ import annotations

import numpy as np

NEIGHBOURS, RESTART, STEPS = 10, 0.01, 50


def spread_labels(
    codes: np.ndarray, chosen: np.ndarray, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """A class and a certainty between 0 and 1 for every row (Zhou et al. 2004, NeurIPS).

    Labels flow along the edges to the ten nearest codes, and one part in a hundred goes back to
    the labelled rows at each step. All classes are given the same mass. Certainty is 1 minus the
    entropy of a row's shares in units of its largest (Iscen et al. 2019, arXiv:1904.04717); it is
    0 where no label arrives. Shapes: codes (N, D), chosen (n,) positions, labels (n,).
    """
    from scipy import sparse
    from sklearn.neighbors import kneighbors_graph

    edges = kneighbors_graph(codes, min(NEIGHBOURS, len(codes) - 1))
    edges = edges.maximum(edges.T)
    inverse = sparse.diags(1 / np.sqrt(np.asarray(edges.sum(1)).ravel()))
    walk = (inverse @ edges @ inverse).tocsr()
    start = np.zeros((len(codes), classes))
    start[chosen, labels] = 1
    mass = start
    for _ in range(STEPS):
        mass = (1 - RESTART) * (walk @ mass) + RESTART * start
    mass = mass / np.maximum(mass.sum(0, keepdims=True), 1e-300)
    total = mass.sum(1, keepdims=True)
    shares = np.where(total > 0, mass / np.maximum(total, 1e-300), 1 / classes)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    certain = np.clip(1 + (shares * logs).sum(1) / np.log(max(2, classes)), 0, 1)
    found = shares.argmax(1)
    found[chosen], certain[chosen] = labels, 1.0
    return found, certain
