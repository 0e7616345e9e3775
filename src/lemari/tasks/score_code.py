"""Scores of a code: what it keeps of classes, of neighbourhoods and of known factors."""

from __future__ import annotations

import numpy as np

from lemari.metrics.clustering import agreement, kmeans
from lemari.metrics.disentangle import disentanglement
from lemari.metrics.few_labels import (
    drawn_labels,
    on_raw_values,
    tuned_on_labels,
    tuned_on_spread,
)
from lemari.metrics.neighbourhood import ROWS, kept_neighbours
from lemari.metrics.representation import knn_accuracy, linear_probe
from lemari.model import effective_beta
from lemari.starting import mix
from lemari.store import build
from lemari.tasks.score import Subject, flat, flat_blocks

RAW_NUMBERS = 60_000_000  # of raw values kept for their own nearest-neighbour baseline
PROBED = 10_000  # training rows of the linear probe and of k-means
COUNTS = (10, 100, 1000)  # labels


def raw_fits(s: Subject) -> bool:
    return (len(s.train) + len(s.held)) * s.train.bytes_per_row // 4 <= RAW_NUMBERS


def neighbour_scores(s: Subject) -> None:
    """kNN-5 accuracy of the code, of PCA's code and of the raw values."""
    s.say("asking the nearest neighbours")
    y, truth = s.labels
    mine = knn_accuracy(s.e.codes, y, s.e.held_codes, truth)
    codes = [np.concatenate([s.pca.codes(b) for b in flat_blocks(f)]) for f in (s.train, s.held)]
    beside = {s.pca_name: knn_accuracy(codes[0], y, codes[1], truth)}
    if raw_fits(s):
        beside["raw values"] = knn_accuracy(flat(s.train), y, flat(s.held), truth)
    s.add("kNN-5 accuracy", mine, "higher", beside, rows=s.known)


def probed(s: Subject) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Up to 10,000 training rows at random, and code, PCA's code and raw values of both parts."""
    picked = np.sort(np.random.default_rng(s.seed).permutation(len(s.train))[:PROBED])
    raw = np.concatenate(list(flat_blocks(s.train, picked))), flat(s.held)
    pca = s.pca.codes(raw[0]), s.pca.codes(raw[1])
    return picked, {"": (s.e.codes[picked], s.e.held_codes), s.pca_name: pca, "raw values": raw}


def probe_scores(s: Subject) -> None:
    """Accuracy of a linear classifier of the code, of PCA's code and of the raw values."""
    s.say("training linear classifiers")
    picked, both = probed(s)
    y, truth = s.labels
    found = {n: linear_probe(a, y[picked], b, truth) for n, (a, b) in both.items()}
    s.add("linear probe accuracy", found.pop(""), "higher", found, rows=s.known)


def cluster_scores(s: Subject) -> None:
    """k-means of training codes against the classes of held-out rows; beside PCA and raw values."""
    s.say("clustering")
    _, both = probed(s)
    truth, sure = s.labels[1], s.labels[1] >= 0
    count = len(np.unique(s.labels[0][s.labels[0] >= 0]))
    found = {n: agreement(truth[sure], kmeans(a, b[sure], count, s.seed))
             for n, (a, b) in both.items()}  # fmt: skip
    mine = found.pop("")
    for name, value in mine.items():
        beside = {other: row[name] for other, row in found.items()}
        s.add(f"k-means {name}", value, "higher", beside, rows=s.known)


def few_label_scores(s: Subject) -> None:
    """Accuracy with 10, 100 and 1000 labels: pre-trained encoder, the same untrained, pixels."""
    assert s.recipe is not None
    labels, truth = s.labels
    other = s.recipe.model_copy(update={"seed": mix(s.recipe.seed, s.seed, 20260103)})
    fresh, held = build(s.model.data, other), (flat(s.held), truth)
    for count in COUNTS:
        chosen = drawn_labels(labels, count, mix(s.seed, count))
        if chosen is None:
            continue
        s.say(f"fine-tuning with {count} labels")
        given = (chosen, labels[chosen], int(labels.max()) + 1)
        runs = ((tuned_on_spread, s.model), (tuned_on_labels, s.model), (tuned_on_labels, fresh))
        mine, alone, scratch = (tune(model, s.train, *given, s.seed).accuracy(s.held, truth)
                                for tune, model in runs)  # fmt: skip
        near, raw = on_raw_values(s.train, *given, held, s.seed)
        beside = {"from scratch": scratch, "nearest raw values": near,
                  "pre-trained, labels alone": alone, "spread over raw values": raw}  # fmt: skip
        s.add(f"accuracy with {count} labels", mine, "higher", beside, rows=s.known)


def map_scores(s: Subject) -> None:
    """Trustworthiness and continuity, 15 neighbours among up to 2,000 rows; beside PCA."""
    s.say("comparing neighbourhoods")
    x = flat(s.held, ROWS)
    pca = kept_neighbours(x, s.pca.codes(x))
    for name, value in kept_neighbours(x, s.e.held_codes).items():
        s.add(name, value, "higher", {s.pca_name: pca[name]}, rows=len(x))


def disentanglement_scores(s: Subject) -> None:
    """MIG, DCI, SAP, FactorVAE and BetaVAE scores; beside PCA's code and a shuffled one."""
    assert s.factors is not None
    s.say("asking which number follows which factor")
    x = s.pca.codes(flat(s.held))
    shuffled = np.random.default_rng(s.seed).permutation(s.e.held_codes)
    idle = 0.0 if effective_beta(s.model) is None else 0.01  # as for active units
    both = ((s.e.held_codes, idle), (x, 0.0), (shuffled, idle))
    mine, pca, chance = (disentanglement(z, s.factors, s.seed % 2**32, least) for z, least in both)
    for name, value in mine.items():
        s.add(name, value, "higher", {s.pca_name: pca[name], "shuffled rows": chance[name]})
