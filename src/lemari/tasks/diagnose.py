"""Why a plain code is bad at generating, in numbers: range, areas, emptiness, quality between."""

from __future__ import annotations

from typing import Any

import numpy as np

from lemari.feed import Feed
from lemari.metrics.representation import area_shares, nearest_error
from lemari.model import Autoencoder
from lemari.tasks.embed import decode
from lemari.tasks.evaluate import Evaluation

PAIRS, REAL, NEAREST = 300, 5000, 50


def diagnose(model: Autoencoder, train: Feed, e: Evaluation, classes: tuple[str, ...], seed: int):
    """The chapter's three complaints of a plain autoencoder, measured on the training codes.

    `range` of each of the first 10 dimensions; `area` a class covers and the `empty` share (2-d
    codes only); how far decoded pictures are from any real one at the codes and between them.
    Returns (numbers, distance (N,), error (N,)) for the report and its picture.
    """
    codes = e.codes
    found: dict[str, Any] = {
        "range": [[float(a), float(b)] for a, b in zip(codes.min(0), codes.max(0), strict=True)][
            :10
        ]
    }
    if codes.shape[1] == 2:
        found["area"], found["empty"] = area_shares(codes, e.labels, classes)
    distance, error, near = between(model, train, codes, seed)
    found["between"] = {
        "quality_at_codes": float(near.mean()),
        "quality_between": float(error.mean()),
    }
    return found, distance, error


def between(
    model: Autoencoder, train: Feed, codes: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode midway between a code and one of its 50 nearest, and at the codes themselves.

    Returns the distance of the two codes, the mean squared error of the picture midway to the
    nearest real example, and the same error at codes.
    """
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(seed)
    some = rng.permutation(len(codes))[:REAL]
    real = train.gather(some).x.flatten(1).numpy()
    first = rng.integers(0, len(codes), PAIRS)
    near = min(NEAREST, len(codes) - 1)
    found = NearestNeighbors(n_neighbors=near + 1).fit(codes).kneighbors(codes[first])[1]
    last = found[np.arange(PAIRS), rng.integers(1, near + 1, PAIRS)]
    middle = 0.5 * (codes[first] + codes[last])
    y = None if train.y is None else train.y[train.index]
    labels = None if y is None else y[first]
    distance = np.linalg.norm(codes[first] - codes[last], axis=1)
    pictures, at = (decode(model, z, labels).reshape(PAIRS, -1) for z in (middle, codes[first]))
    return distance, nearest_error(pictures, real), nearest_error(at, real)
