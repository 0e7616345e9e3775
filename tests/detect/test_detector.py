"""Detectors on tables: laws that hold whatever the data."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

import lemari
from lemari import Detector
from lemari.detect.nearest import DistantRows, NearestRows
from lemari.detect.tails import TailLaw
from lemari.detect.views import Ranks
from lemari.errors import DataError, ModelFileError, UsageError
from lemari.mixed.frame import read_frame
from lemari.tasks.detector import FittedDetector, Settings

SETTINGS = [(False, True), (False, False), (True, True), (True, False)]
NAMES = ["mixed rows", "mixed rows, none stored", "normal rows", "normal rows, none stored"]


def ring(count: int, seed: int = 0, width: int = 6) -> np.ndarray:
    """Rows near a curved surface: columns depend on each other, none is unusual alone."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (count, 1)) + np.arange(width) / 2
    return np.sin(angle) + 0.05 * rng.standard_normal((count, width))


@pytest.fixture(scope="module", params=SETTINGS, ids=NAMES)
def fitted(request):
    normal_only, memory = request.param
    return Detector(normal_only=normal_only, memory=memory).fit(ring(1200))


def test_rows_off_the_surface_score_higher(fitted):
    rng = np.random.default_rng(1)
    odd = rng.permuted(ring(300, 2), axis=0)  # each column as before, but none fits the others
    scores = fitted.anomaly_score(np.concatenate([ring(300, 3), odd]))
    least = 0.95 if fitted.normal_only else 0.8
    assert roc_auc_score(np.repeat([0, 1], 300), scores) > least


def test_signs_agree_with_scikit_learn(fitted):
    x = np.concatenate([ring(50, 4), ring(5, 5) + 3])
    score, p = fitted.anomaly_score(x), fitted.p_value(x)
    np.testing.assert_array_equal(fitted.score_samples(x), -score)
    np.testing.assert_allclose(fitted.decision_function(x), fitted.threshold_ - score)
    np.testing.assert_allclose(
        fitted.decision_function(x), fitted.score_samples(x) - fitted.offset_
    )
    np.testing.assert_array_equal(fitted.predict(x) == -1, score > fitted.threshold_)
    assert (fitted.predict(x)[50:] == -1).all()
    order = np.argsort(score)
    assert (np.diff(p[order]) <= 0).all() and (p > 0).all() and (p <= 1).all()


def test_a_score_does_not_depend_on_its_batch_mates(fitted):
    x = ring(40, 6)
    alone = np.concatenate([fitted.anomaly_score(row[None]) for row in x])
    np.testing.assert_allclose(fitted.anomaly_score(x), alone, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_detectors_agree_bit_for_bit(fitted, tmp_path):
    x = ring(60, 7)
    again = lemari.load(fitted.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.anomaly_score(x), fitted.anomaly_score(x))
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))
    assert again.get_params() == fitted.get_params()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_detector(fitted):
    x, told = ring(60, 7), fitted.get_params()
    again = Detector(**told).fit(ring(1200))
    np.testing.assert_array_equal(again.anomaly_score(x), fitted.anomaly_score(x))


def test_the_planted_column_is_the_reason(fitted):
    x, rng = ring(40, 8), np.random.default_rng(9)
    planted = rng.integers(0, 6, 40)
    x[np.arange(40), planted] += rng.choice([-5, 5], 40)
    first = [{int(r.column.split()[1]) for r in found[:2]} for found in fitted.explain(x)]
    assert np.mean([p in f for p, f in zip(planted, first, strict=True)]) >= 0.9
    reason = fitted.explain(x[:1])[0][0]
    assert reason.low <= reason.high < abs(reason.value) and "expected" in str(reason)


def test_false_alarms_come_as_asked(fitted):
    new = ring(4000, 10)
    for rate, low, high in ((0.05, 0.025, 0.08), (0.2, 0.14, 0.27)):
        fitted.set_threshold(alarm_rate=rate)
        assert low < (fitted.predict(new) == -1).mean() < high
    fitted.set_threshold(alarm_rate=0.01)


@pytest.mark.slow
def test_update_learns_the_new_and_keeps_the_old(fitted):
    new, odd = ring(600, 11) + 4, np.random.default_rng(12).permuted(ring(300, 13), axis=0)
    both = Detector(**fitted.get_params()).fit(ring(1200))
    if not both.memory:
        with pytest.raises(UsageError, match="memory"):
            both.update(new)
        return
    both.update(new)
    assert (both.predict(ring(200, 14) + 4) == 1).mean() > 0.9 > 0.1 > (
        fitted.predict(ring(200, 14) + 4) == 1
    ).mean()  # fmt: skip
    truth, rows = np.repeat([0, 1], 300), np.concatenate([ring(300, 15), odd])
    before, after = (roc_auc_score(truth, d.anomaly_score(rows)) for d in (fitted, both))
    assert after > before - 0.05


def test_contamination_is_withstood():
    rng = np.random.default_rng(0)
    normal, cluster = rng.standard_normal((900, 5)), 0.3 * rng.standard_normal((100, 5)) + 4
    d = Detector().fit(np.concatenate([normal, cluster]))
    x = np.concatenate([rng.standard_normal((300, 5)), 0.3 * rng.standard_normal((300, 5)) + 4])
    assert roc_auc_score(np.repeat([0, 1], 300), d.anomaly_score(x)) > 0.98


@pytest.mark.slow
def test_it_is_a_scikit_learn_estimator():
    for normal_only in (False, True):
        check_estimator(Detector(normal_only=normal_only), on_skip=None)


def test_a_mixed_table_is_explained_in_its_own_words():
    rng = np.random.default_rng(0)
    shop = rng.choice(["north", "south"], 500)
    table = {
        "amount": np.where(shop == "north", 50, 500) + rng.normal(0, 5, 500),
        "shop": shop,
        "member": rng.random(500) < 0.5,
    }
    d = Detector(normal_only=True).fit(table)
    odd = {"amount": [9400.0, 50.0], "shop": ["north", "south"], "member": [True, False]}
    first, second = d.explain(odd)
    assert first[0].column == "amount" and str(first[0]).startswith("amount 9,400, expected ")
    assert 30 < first[0].low < first[0].high < 70
    assert {second[0].column, second[1].column} == {"amount", "shop"}
    assert (d.predict(odd) == -1).all()
    turned = {k: odd[k] for k in ("shop", "member", "amount")} | {"more": [1, 2]}
    with pytest.warns(UserWarning, match="more"):
        np.testing.assert_array_equal(d.anomaly_score(turned), d.anomaly_score(odd))
    with pytest.raises(DataError, match="no column 'shop'"):
        d.predict({"amount": [1.0], "member": [True]})


def test_the_threshold_is_chosen_without_fitting_again():
    d = Detector().fit(ring(500))
    x, y = np.concatenate([ring(100, 1), ring(20, 2) + 2]), np.repeat([0, 1], [100, 20])
    before = d.anomaly_score(x)
    for rule in ({"alarm_rate": 0.1}, {"costs": (100, 1), "share": 0.02}, {"value": 1.5}):
        d.set_threshold(**rule)
        np.testing.assert_array_equal(d.anomaly_score(x), before)
    assert d.threshold_ == 1.5
    d.set_threshold(x, y, goal="recall=0.9")
    assert (d.predict(x[100:]) == -1).mean() >= 0.9
    d.set_threshold(ring(200, 3), automatic=True)
    assert (d.predict(ring(200, 3)) == -1).mean() < 0.05
    with pytest.raises(UsageError, match="one rule"):
        d.set_threshold()


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.ones((50, 3))], ids=["one", "equal"])
def test_nothing_to_learn_from_is_said(rows):
    with pytest.raises(DataError, match="at least two different rows"):
        Detector().fit(rows)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("normal_only", [True, False])
def test_the_fewest_rows_have_reasons(count, normal_only):
    x = np.arange(2.0 * count).reshape(count, 2) ** 2
    detector = Detector(normal_only=normal_only).fit(x)
    assert all(detector.explain(x + 50))


@pytest.mark.slow
def test_few_and_wide_and_constant_tables_are_taken():
    rng = np.random.default_rng(0)
    for shape in ((2, 1), (5, 3), (20, 400), (60, 2500)):
        x = rng.standard_normal(shape)
        x[:, 0] = np.arange(len(x)) % 2
        for normal_only in (False, True):
            scores = Detector(normal_only=normal_only).fit(x).anomaly_score(x)
            assert np.isfinite(scores).all() and scores.shape == (len(x),)


def test_a_tampered_file_is_refused(tmp_path):
    run = Detector().fit(ring(100)).save(tmp_path / "run")
    weights = run / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(ModelFileError, match="not the file that was saved"):
        lemari.load(run)
    (run / "index.json").unlink()
    with pytest.raises(ModelFileError, match="no finished detector"):
        lemari.load(run)


@pytest.mark.slow
def test_updated_windows_are_calibrated_on_parts_of_the_new_series():
    def series(count, seed):
        draws = np.random.default_rng(seed).normal(size=(count, 2))
        for i in range(1, count):
            draws[i] += 0.98 * draws[i - 1]
        return read_frame(draws / 5)

    settings = Settings(normal_only=True, window=5)
    old = FittedDetector.fit(series(200, 0), settings)
    made = old.updated(series(120, 1))
    assert len(made.calibration) == 120, "old windows lie among their neighbours, in any order"
    assert len(old.updated(series(1, 2)).calibration) == 1


def test_distances_leave_a_row_itself_out():
    rows = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    near = NearestRows(rows)
    far = np.sqrt(np.square(rows[:, None].astype(float) - rows).sum(2))
    np.fill_diagonal(far, np.inf)
    np.testing.assert_allclose(near(rows)[:, 0], far.min(1), rtol=1e-4)
    distant = DistantRows(rows, np.zeros(4), np.ones(4))
    np.testing.assert_allclose(distant(rows), np.sort(far, 1)[:, distant.k - 1], rtol=1e-4)


def test_ranks_are_normal_quantiles_whatever_the_scale():
    x = np.random.default_rng(0).lognormal(0, 3, (5000, 1))
    found = Ranks(x)(x)[:, 0]
    assert abs(found.mean()) < 0.01 and abs(found.std() - 1) < 0.01
    assert spearmanr(found, x[:, 0]).statistic > 0.9999
    beyond = Ranks(x)(np.array([[x.max() + 1.0], [x.max() + 100.0]]))
    assert found.max() < beyond[0, 0] < beyond[1, 0]


def test_tail_laws_are_minus_the_logarithm_of_the_share_above():
    scores = np.random.default_rng(0).exponential(2, 20_000)
    law = TailLaw.learn(scores)
    at = np.array([0.1, 1, 3, 8, 30.0])
    np.testing.assert_allclose(law(at), at / 2, rtol=0.08, atol=0.02)
    assert (np.diff(law(np.linspace(-5, 50, 500))) >= 0).all()


@pytest.fixture(scope="module")
def pictures():
    """Smooth pictures (N, 16, 16) in bytes, the last ten with a bright spot at rows 4 to 7."""
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(16) / 3 + rng.uniform(0, 1, (90, 1)))
    x = 120 + 60 * wave[:, None] * wave[:, :, None] + rng.normal(0, 3, (90, 16, 16))
    x[80:, 4:7, 8:11] += 90
    return np.clip(x, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("layout", ["gray bytes", "colour last", "colour first", "floats", "wide"])
def test_pictures_of_any_layout_and_range_score_alike(pictures, layout, tmp_path):
    x = {
        "gray bytes": pictures,
        "colour last": np.repeat(pictures[..., None], 3, 3),
        "colour first": np.repeat(pictures[:, None], 3, 1),
        "floats": (pictures / 255).astype(np.float32),
        "wide": pictures.astype(np.uint16) * 257,
    }[layout]
    d = Detector(normal_only=True, alarm_rate=0.05).fit(x[:80])
    assert roc_auc_score(np.repeat([0, 1], [80, 10]), d.anomaly_score(x)) == 1
    heat = d.heat_map(x[80:])
    assert heat.shape == (10, 16, 16) and (heat >= 0).all()
    row, column = divmod(int(heat.mean(0).argmax()), 16)
    assert abs(row - 5) <= 3 and abs(column - 9) <= 3
    again = lemari.load(d.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.anomaly_score(x), d.anomaly_score(x))
    with pytest.raises(UsageError, match="heat_map"):
        d.explain(x)
    with pytest.raises(DataError, match="shape"):
        d.predict(np.zeros((2, 5, 5, 7)))


def test_pictures_on_another_scale_are_refused(pictures):
    detector = Detector(normal_only=True).fit(pictures)
    with pytest.raises(DataError, match="scale"):
        detector.predict(pictures / 255)
    with pytest.raises(DataError, match="no pictures"):
        Detector().fit(pictures[:0])


@pytest.mark.parametrize(
    "rule",
    [{"alarm_rate": 0.1, "value": 3}, {"alarm_rate": 0.1, "confidense": 0.9}, {"costs": 3},
     {"costs": ("a", 1)}, {"goal": 3}, {"value": 1, "share": 0.1}],
)  # fmt: skip
def test_a_rule_with_anything_else_is_refused(fitted, rule):
    before = fitted.threshold_
    with pytest.raises(UsageError):
        fitted.set_threshold(**rule)
    assert fitted.threshold_ == before
