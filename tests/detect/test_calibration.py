"""Conformal p-values: what they promise, checked by counting; the laws that every set obeys."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, genpareto, norm

from lemari.detect.calibration import Calibration, discoveries
from lemari.errors import DataError, UsageError

SCORES = st.lists(st.integers(-5, 5) | st.floats(-1e6, 1e6), min_size=1, max_size=40)


def slow_p(cal, s):
    return (1 + sum(c >= s for c in cal)) / (len(cal) + 1)


@given(cal=SCORES, new=SCORES)
@settings(max_examples=100, deadline=None)
def test_p_values_are_the_definition_counted_out(cal, new):
    assert np.allclose(Calibration(cal).p_value(new), [slow_p(cal, s) for s in new], rtol=1e-14)


@given(cal=SCORES, new=SCORES)
@settings(max_examples=100, deadline=None)
def test_p_values_fall_as_scores_rise_and_are_never_zero(cal, new):
    cal = Calibration(cal)
    for p in (cal.p_value(np.sort(new)), cal.tail_p_value(np.sort(new))):
        assert (np.diff(p) <= 0).all() and (p > 0).all() and (p <= 1).all()


@given(cal=SCORES, new=SCORES, rate=st.floats(0.03, 0.9))
@settings(max_examples=200, deadline=None)
def test_above_the_threshold_means_a_p_value_of_at_most_the_rate(cal, new, rate):
    cal = Calibration(cal)
    if (len(cal) + 1) * rate < 1:
        with pytest.raises(UsageError, match=f"at least {math.ceil(1 / rate) - 1} normal"):
            cal.threshold_for(rate)
        return
    both = np.append(new, cal.scores)
    flagged = both > cal.threshold_for(rate)
    assert (flagged == (cal.p_value(both) <= rate * (1 + 1e-12))).all()


@pytest.mark.parametrize(
    ("rows", "rate", "rank"),
    [(99, 0.01, 99), (199, 0.05, 190), (19, 0.05, 19), (250, 0.1, 226), (1000, 0.01, 991)],
)
def test_the_threshold_is_the_published_order_statistic(rows, rate, rank):
    scores = np.random.default_rng(0).permutation(rows) + 1.0
    assert Calibration(scores).threshold_for(rate) == rank


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_new_normal_rows_are_flagged_at_most_at_the_rate(rate, rounded):
    """Exact: the mean over calibration sets is floor((n+1) a) / (n+1), less where scores tie."""
    rng, sets, rows = np.random.default_rng(1), 4000, 120
    draws = rng.normal(size=(sets, rows + 1))
    draws = np.round(draws * 2) if rounded else draws
    hits = sum(Calibration(d[1:]).p_value(d[:1])[0] <= rate for d in draws)
    exact = math.floor((rows + 1) * rate) / (rows + 1)
    low, high = binom.ppf([5e-5, 1 - 5e-5], sets, exact)
    assert hits <= high
    assert rounded or hits >= low


def test_the_confident_threshold_keeps_its_promise_for_all_but_few_sets():
    """Alarm rates of the sets follow a beta law: 5 % of them, hardly fewer, exceed the rate."""
    rng, rate, sets, rows = np.random.default_rng(2), 0.05, 3000, 200
    draws = rng.random((sets, rows))
    broken = sum(1 - Calibration(d).confident_threshold_for(rate) > rate for d in draws)
    rank = np.searchsorted(np.sort(draws[0]), Calibration(draws[0]).confident_threshold_for(rate))
    exact = 1 - binom.cdf(rank, rows, 1 - rate)
    assert exact <= 0.05 < 1 - binom.cdf(rank - 1, rows, 1 - rate)
    assert binom.ppf(1e-4, sets, exact) <= broken <= binom.ppf(1 - 1e-4, sets, exact)
    plain = sum(1 - Calibration(d).threshold_for(rate) > rate for d in draws)
    assert plain > 0.3 * sets
    with pytest.raises(UsageError, match="at least 59"):
        Calibration(np.arange(58)).confident_threshold_for(0.05)
    assert Calibration(np.arange(59.0)).confident_threshold_for(0.05) == 58


@given(cal=SCORES, new=SCORES, scale=st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_equal_weights_change_nothing_and_whole_ones_count_rows_twice(cal, new, scale):
    plain, weighted = Calibration(cal), Calibration(cal, np.full(len(cal), scale))
    assert np.allclose(plain.p_value(new), weighted.p_value(new), rtol=1e-12)
    assert weighted.effective_rows == pytest.approx(len(cal))
    counts = 1 + np.arange(len(cal)) % 3
    twice, repeated = Calibration(cal, counts), Calibration(np.repeat(cal, counts))
    ones = np.ones(len(new))
    assert np.allclose(twice.p_value(new, ones), repeated.p_value(new), rtol=1e-12)


def test_weights_mend_a_calibration_set_that_was_drawn_otherwise():
    """Calibrated on N(0, 1), used on N(1/2, 1): right with the ratio of densities only."""
    rng, hits, plain, sets = np.random.default_rng(3), 0, 0, 1000
    for _ in range(sets):
        cal, new = rng.normal(size=300), rng.normal(size=1) + 0.5
        ratio = [norm.pdf(x, 0.5) / norm.pdf(x) for x in (cal, new)]
        hits += Calibration(cal, ratio[0]).p_value(new, ratio[1])[0] <= 0.1
        plain += Calibration(cal).p_value(new)[0] <= 0.1
    assert hits <= binom.ppf(1 - 1e-4, sets, 0.1) < plain


def test_the_fitted_tail_finds_a_generalised_pareto():
    law = genpareto(0.3, scale=2.0)
    cal = Calibration(law.rvs(size=20000, random_state=4))
    far = law.isf([1e-5, 1e-6])
    assert np.allclose(np.log10(cal.tail_p_value(far)), [-5, -6], atol=0.6)
    assert (cal.p_value(far) == 1 / 20001).all()
    near = law.rvs(size=50, random_state=5)
    assert np.array_equal(cal.tail_p_value(near), cal.p_value(near))
    tail = cal.tail()
    rates = np.array([1e-3, 1e-5])
    assert np.allclose(tail.p_value(np.array([tail.threshold_for(r) for r in rates])), rates)


def test_sets_without_a_tail_keep_the_conformal_value():
    for scores in (np.ones(100), [1.0], [1.0, 2.0, 3.0]):
        cal = Calibration(scores)
        assert cal.tail() is None
        assert np.array_equal(cal.tail_p_value([9.0, 0.0]), cal.p_value([9.0, 0.0]))


@pytest.mark.parametrize(
    ("anomalies", "storey"), [(0, False), (20, False), (100, False), (100, True)]
)
def test_few_of_the_rows_discovered_are_normal(anomalies, storey):
    """The false discovery rate over batches that share no calibration set stays at most 10 %."""
    rng, shares, found = np.random.default_rng(6), [], []
    for _ in range(600):
        cal = Calibration(rng.normal(size=400))
        scores = np.append(rng.normal(size=200 - anomalies), rng.normal(size=anomalies) + 3.5)
        kept = discoveries(cal.p_value(scores), 0.1, storey=storey)
        false = kept[: 200 - anomalies].sum()
        shares.append(false / max(1, kept.sum()))
        found.append(kept.sum() - false)
    error = 3.3 * np.std(shares) / math.sqrt(len(shares))
    assert np.mean(shares) <= 0.1 + error
    if anomalies == 100:
        assert np.mean(found) > 70
        assert np.mean(shares) >= (0.07 if storey else 0.03)


def test_discoveries_by_hand():
    p = [0.01, 0.02, 0.03, 0.5, 0.9]
    assert discoveries(p, 0.05).tolist() == [True, True, True, False, False]
    assert discoveries(p, 0.04).tolist() == [False] * 5
    assert discoveries([0.04, 0.04], 0.04).all()
    assert discoveries([], 0.1).shape == (0,)
    with pytest.raises(DataError, match="between 0 and 1"):
        discoveries([1.2], 0.1)


@pytest.mark.parametrize(("scores", "words"), [
    ([], "no calibration scores"), ([1, np.nan], "not finite"), ([[1.0]], "shape"),
    (["a"], "not numbers"), ([np.inf], "not finite"),
])  # fmt: skip
def test_bad_calibration_scores_are_refused_in_a_sentence(scores, words):
    with pytest.raises(DataError, match=words):
        Calibration(scores)


def test_bad_rates_weights_and_scores_are_refused():
    cal = Calibration(np.arange(10.0))
    for rate in (0, 1, -0.1, 2, "1%", True, np.nan):
        with pytest.raises(UsageError, match="between 0 and 1"):
            cal.threshold_for(rate)
    for weights in ([1.0], np.zeros(10), np.full(10, np.inf)):
        with pytest.raises(DataError):
            Calibration(np.arange(10.0), weights)
    with pytest.raises(DataError, match="row 1"):
        cal.p_value([0.0, np.nan])
    assert cal.p_value([np.inf, -np.inf]).tolist() == [1 / 11, 1.0]
    assert cal.p_value([]).shape == (0,)
    with pytest.raises(UsageError, match="equal weights"):
        Calibration(np.arange(100.0), np.ones(100)).confident_threshold_for(0.1)
