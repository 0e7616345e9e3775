"""Measures of generation against closed forms, and against what they must and must not flag."""

import math

import numpy as np
import pytest
import torch

from lemari.errors import DataError
from lemari.feed import Feed
from lemari.metrics.features import learn_features
from lemari.metrics.generation import (
    copied_share,
    frechet_distance,
    kernel_distance,
    precision_recall,
)


def exactly(mean, covariance, count=4000, seed=0):
    """Rows whose mean and covariance are these to the last digit."""
    rows = np.random.default_rng(seed).normal(size=(count, len(mean)))
    rows -= rows.mean(0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return rows @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_normal_laws_with_parallel_axes_is_the_closed_form():
    a, b = np.array([1.0, 4.0, 0.25]), np.array([2.25, 1.0, 0.25])
    means = np.array([0.0, 1.0, -2.0]), np.array([0.5, 1.0, 1.0])
    found = frechet_distance(exactly(means[0], np.diag(a)), exactly(means[1], np.diag(b), seed=1))
    wanted = 0.25 + 9.0 + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert math.isclose(found, wanted, rel_tol=1e-9)


def test_frechet_distance_of_turned_normal_laws():
    """tr (C1 C2)^(1/2) of 2x2 matrices is sqrt(tr(C1 C2) + 2 sqrt(det(C1 C2)))."""
    first, second = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.4], [-0.4, 3.0]])
    product = first @ second
    root = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    found = frechet_distance(exactly(np.zeros(2), first), exactly(np.zeros(2), second, seed=1))
    assert math.isclose(found, np.trace(first) + np.trace(second) - 2 * root, rel_tol=1e-9)
    same = exactly(np.zeros(2), first)
    assert frechet_distance(same, same) < 1e-9


def test_kernel_distance_is_unbiased_and_sees_another_law():
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(100, 4)), rng.normal(size=(100, 4)))
              for _ in range(200)]  # fmt: skip
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(200)
    assert min(values) < 0 < max(values)
    shifted = kernel_distance(rng.normal(size=(500, 4)), rng.normal(1.0, size=(500, 4)))
    assert shifted > 10 * np.std(values)


def test_kernel_distance_of_two_points_is_the_closed_form():
    """All rows equal on each side: k(a, a) + k(b, b) - 2 k(a, b)."""
    a, b = np.tile([1.0, 0.0], (5, 1)), np.tile([0.0, 2.0], (5, 1))
    assert math.isclose(kernel_distance(a, b), 1.5**3 + 3.0**3 - 2)


def test_precision_and_recall_of_equal_disjoint_and_narrow_sets():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(1500, 2))
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real + 100, real) == (0.0, 0.0)
    precision, recall = precision_recall(0.1 * rng.normal(size=(1500, 2)), real)
    assert precision > 0.9 and recall < 0.2
    precision, recall = precision_recall(rng.normal(size=(1500, 2)), real)
    assert precision > 0.9 and recall > 0.9


@pytest.mark.parametrize(("k", "share"), [(1, 0.5), (3, 0.7)])
def test_precision_and_recall_of_two_rulers(k, share):
    """Marks at 0, 1, ..., 9 reach to the k-th next mark; the other ruler is moved by 5.2."""
    ruler = np.arange(10.0)[:, None]
    assert precision_recall(ruler + 5.2, ruler, k=k) == (share, share)


def test_copies_are_flagged_and_honest_draws_are_not():
    rng = np.random.default_rng(0)
    train, held, honest = (rng.normal(size=(n, 5)) for n in (3000, 1500, 1500))
    assert abs(copied_share(honest, held, train) - 0.05) < 0.02
    assert copied_share(train[:1500], held, train) == 1.0
    assert copied_share(train[:1500] + 1e-3, held, train) == 1.0
    half = np.concatenate((train[:750], honest[:750]))
    assert abs(copied_share(half, held, train) - 0.525) < 0.02


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, precision_recall])
def test_unequal_numbers_of_rows_are_refused(measure):
    with pytest.raises(DataError, match="equal number"):
        measure(np.zeros((10, 2)), np.zeros((11, 2)))


class Unit:
    def unit(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("shape", [(6,), (1, 8, 8), (3, 40, 36)])
@pytest.mark.parametrize("labelled", [True, False])
def test_features_are_scaled_named_and_a_function_of_the_seed(shape, labelled, monkeypatch):
    monkeypatch.setattr("lemari.metrics.features.STEPS", 5)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, *shape)).astype(np.float32)
    feed = Feed(x, rng.integers(-1, 3, 200) if labelled else None, Unit())
    features = learn_features(feed, seed=3)
    found = features(x)
    assert found.shape == (200, 10 if not labelled else found.shape[1])
    assert "3-layer" in features.name and ("classes" in features.name) == labelled
    assert 0.5 < found.var(0).mean() < 2.0
    np.testing.assert_array_equal(found, learn_features(feed, seed=3)(x))
    assert not np.array_equal(found, learn_features(feed, seed=4)(x))
    assert learn_features(feed, compared=50)(x).shape == (200, 6)


def test_features_of_a_learned_net_tell_classes_apart():
    """Classes that differ in one number of many: the features see little but that one."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    x = rng.normal(size=(2000, 20)).astype(np.float32)
    x[:, 7] += 4 * y
    found = learn_features(Feed(x, y, Unit()))(x)
    gap = np.linalg.norm(found[y == 1].mean(0) - found[y == 0].mean(0))
    within = math.sqrt(found[y == 1].var(0).sum())
    raw = np.linalg.norm(x[y == 1].mean(0) - x[y == 0].mean(0)) / math.sqrt(x[y == 1].var(0).sum())
    assert gap / within > 3 * raw
