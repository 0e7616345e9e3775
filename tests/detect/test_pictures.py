"""Pictures: planted faults are found and pointed at; scores are a function of the picture alone."""

import numpy as np
import pytest
import torch

from lemari.detect.gradients import Cells, blurring
from lemari.detect.pictures import Gaussian, Nearest, PictureDetector, _fitted
from lemari.errors import DataError, ModelFileError


def waves(count, seed, colours=1, side=20, stripes=3.0):
    """Smooth stripes with a random phase and some noise, (N, C, H, W) in [0, 1]."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (count, colours, 1, 1))
    across = np.linspace(0, 2 * np.pi * stripes, side)
    clean = 0.5 + 0.2 * np.sin(across + phase) * np.ones((side, 1))
    return np.clip(clean + rng.normal(0, 0.02, clean.shape), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    return PictureDetector.learn(waves(400, 0))


@pytest.fixture(scope="module")
def detector(fitted):
    return fitted[0]


@pytest.mark.parametrize("change", [0.35, -0.35])
@pytest.mark.parametrize(("top", "left"), [(3, 4), (10, 13), (14, 8)])
def test_a_spot_is_found_and_the_heat_map_is_highest_on_it(detector, change, top, left):
    normal = waves(100, 1)
    spotted = normal[:20].copy()
    spotted[:, :, top : top + 4, left : left + 4] += change
    spotted = spotted.clip(0, 1)
    assert np.median(detector.score(spotted)) > np.quantile(detector.score(normal), 0.95)
    heat = detector.heat(spotted)
    assert heat.shape == (20, 20, 20) and (heat >= 0).all()
    rows, columns = np.unravel_index(heat.reshape(20, -1).argmax(1), (20, 20))
    on_it = (abs(rows - top - 1.5) <= 3) & (abs(columns - left - 1.5) <= 3)
    assert on_it.mean() >= 0.9


def test_wrong_texture_and_wrong_brightness_are_found(detector):
    usual = np.quantile(detector.score(waves(100, 2)), 0.99)
    rough = waves(20, 3)
    rough[:, :, 6:18, 6:18] += np.random.default_rng(0).normal(0, 0.12, (20, 1, 12, 12))
    assert (detector.score(rough.clip(0, 1)) > usual).all()
    assert (detector.score(waves(20, 4) * 0.5) > usual).all()
    assert (detector.score(waves(20, 5).transpose(0, 1, 3, 2)) > usual).all()


def test_the_fit_is_a_function_of_pictures_and_seed(fitted):
    again, scores = PictureDetector.learn(waves(400, 0))
    assert np.array_equal(scores, fitted[1])
    for name, value in fitted[0].tensors().items():
        assert np.array_equal(again.tensors()[name], value), name


def test_a_score_does_not_depend_on_the_batch(detector):
    x = waves(60, 6)
    alone = np.concatenate([detector.score(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(detector.score(x), alone, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(detector.score(x[::-1])[::-1], alone, rtol=1e-3, atol=1e-3)


def test_bytes_and_fractions_and_missing_colour_axis_agree(detector):
    x = (waves(10, 7) * 255).astype(np.uint8)
    np.testing.assert_allclose(detector.score(x), detector.score(x / 255.0), rtol=1e-3)
    assert np.array_equal(detector.score(x), detector.score(x[:, 0]))


def test_saving_and_loading_changes_nothing(detector):
    x = waves(30, 8)
    stored = {name: np.array(value) for name, value in detector.tensors().items()}
    assert all(value.dtype.kind == "f" for value in stored.values())
    loaded = PictureDetector.from_tensors(detector.config, stored)
    assert np.array_equal(loaded.score(x), detector.score(x))
    assert np.array_equal(loaded.heat(x), detector.heat(x))


@pytest.mark.parametrize("name", ["rows", "root", "units", "slopes", "mean", "own", "usual"])
def test_damaged_storage_is_refused(detector, name):
    for value in (None, np.zeros((1, 1), np.float32)):
        stored = dict(detector.tensors())
        stored.pop(name)
        if value is not None:
            stored[name] = value
        with pytest.raises(ModelFileError, match="train it again"):
            PictureDetector.from_tensors(detector.config, stored)


def test_calibration_scores_are_like_those_of_new_pictures(fitted):
    model, scores = fitted
    assert len(scores) == 400
    edge = np.quantile(scores, 0.9)
    assert 0.05 <= (model.score(waves(400, 9)) > edge).mean() <= 0.17


@pytest.mark.parametrize("shape", [(3, 80, 40), (1, 7, 5), (2, 1, 30), (1, 64, 64)])
def test_every_size_and_colour(shape):
    x = np.random.default_rng(0).random((30, *shape))
    model, scores = PictureDetector.learn(x)
    assert scores.shape == (30,) and np.isfinite(scores).all()
    assert model.heat(x).shape == (30, *shape[1:])
    assert np.isfinite(model.score(np.zeros((2, *shape)))).all()
    assert model.score(x[:0]).shape == (0,) and model.heat(x[:0]).shape == (0, *shape[1:])


def test_heat_finds_the_spot_in_a_large_picture():
    x = waves(60, 0, colours=3, side=96, stripes=2.0)
    model, _ = PictureDetector.learn(x)
    spotted = waves(10, 1, colours=3, side=96, stripes=2.0)
    spotted[:, 0, 60:70, 20:30] += 0.3
    heat = model.heat(spotted.clip(0, 1))
    rows, columns = np.unravel_index(heat.reshape(10, -1).argmax(1), (96, 96))
    assert (abs(rows - 64.5) <= 8).all() and (abs(columns - 24.5) <= 8).all()


def test_anomalies_among_the_training_pictures_are_scored_as_such():
    odd = waves(20, 1, stripes=5.0)
    x = np.concatenate([waves(380, 0), odd])
    model, scores = PictureDetector.learn(x, normal_only=False)
    assert len(scores) == 400
    assert model.score(odd).min() > np.quantile(model.score(waves(100, 2)), 0.95)


@pytest.mark.parametrize("count", [2, 3])
def test_very_few_pictures(count):
    model, scores = PictureDetector.learn(waves(count, 0))
    assert np.isfinite(scores).all() and np.isfinite(model.score(waves(5, 1))).all()


@pytest.mark.parametrize("normal_only", [True, False])
def test_pictures_that_are_nearly_all_equal(normal_only):
    x = np.zeros((50, 1, 16, 16), np.float32)
    x[:3] = np.random.default_rng(0).random((3, 1, 16, 16))
    model, scores = PictureDetector.learn(x, normal_only=normal_only)
    assert np.isfinite(scores).all() and np.isfinite(model.heat(x)).all()
    found = model.score(x)
    assert found[:3].min() > found[3:].max()


def test_unusable_pictures_are_refused(detector):
    one = waves(1, 0)
    broken = waves(3, 0)
    broken[0, 0, 0, 0] = np.nan
    for x in (one, np.repeat(one, 5, 0), one[:0], broken, one[0, 0], np.zeros((4, 1, 0, 3))):
        with pytest.raises(DataError):
            PictureDetector.learn(x)
    with pytest.raises(DataError, match="resize"):
        detector.score(waves(2, 0, side=24))


def test_progress_is_told():
    told = []
    PictureDetector.learn(waves(20, 0), progress=lambda what, done: told.append(done))
    assert told == sorted(told) and 0 <= told[0] < told[-1] < 1


def test_gaussian_is_the_mahalanobis_distance_and_the_conditional_deviation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 1
    t = torch.from_numpy(x)
    made = Gaussian.learn(len(x), t.sum(0), t.T @ t)
    covariance = np.cov(x.T, bias=True)
    covariance += 0.01 * np.diag(covariance).mean() * np.eye(4)
    off = x - x.mean(0)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off))
    np.testing.assert_allclose(made(t.float()), wanted, rtol=1e-3)
    weights = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
    left = covariance[0, 0] - covariance[0, 1:] @ weights
    alone = (off[:, 0] - off[:, 1:] @ weights) ** 2 / left
    np.testing.assert_allclose(made.parts(t.float())[:, 0], alone, rtol=1e-2, atol=1e-4)


def test_distances_of_fitted_rows_are_those_of_a_gaussian_without_them():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    kept = torch.arange(29)
    made, found = _fitted(x, kept)
    part = x[1:29].double()
    without = Gaussian.learn(28, part.sum(0), part.T @ part)
    assert found[0].item() == pytest.approx(without(x[:1]).item(), rel=1e-2)
    assert found[29].item() == pytest.approx(made(x[29:]).item(), rel=1e-5)
    assert (found[:29] > made(x[:29])).all()


def test_nearest_passes_over_one_copy_of_itself():
    rows = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0], [31.0], [63.0]])
    far, index = Nearest(rows).find(torch.tensor([[0.0], [0.5]]))
    assert far[0].tolist() == [1.0, 3.0, 7.0, 15.0, 31.0] and 0 not in index[0]
    assert far[1].tolist() == [0.5, 0.5, 2.5, 6.5, 14.5]


def test_blurring_keeps_constants_and_spreads_as_a_gaussian():
    matrix = blurring(40, 2.0, torch.arange(40))
    torch.testing.assert_close(matrix.sum(1), torch.ones(40))
    places = torch.arange(40.0)
    variance = (matrix[20] * (places - 20) ** 2).sum()
    assert variance.item() == pytest.approx(4.0, rel=0.05)


def test_contributions_of_one_cell_show_at_that_cell():
    cells = Cells((1, 24, 24))
    parts = np.zeros((1, cells.kinds, *cells.grid), np.float32)
    parts[0, :, 4, 7] = 1
    heat = cells.spread(parts.reshape(1, -1))
    top, left = np.unravel_index(heat[0].argmax(), (24, 24))
    assert abs(top - 4 * cells.step) <= cells.step and abs(left - 7 * cells.step) <= cells.step
    assert heat.max() == pytest.approx(cells.kinds)
