"""Rules that choose a threshold, against closed forms and against trying all thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lemari.detect.calibration import Calibration
from lemari.detect.thresholds import (
    ASSUMED_AUROC,
    automatic,
    by_alarm_rate,
    by_costs,
    by_labels,
    fixed,
)
from lemari.errors import DataError, UsageError

LABELLED = st.lists(st.tuples(st.integers(-3, 6), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def quantiles(law, count):
    return law.ppf((np.arange(count) + 0.5) / count)


def test_by_alarm_rate_flags_the_rate():
    cal = Calibration(np.arange(1, 1000.0))
    chosen = by_alarm_rate(cal, 0.05)
    assert chosen.value == 950 and chosen.rule == "alarm-rate" and not chosen.note
    assert chosen.expected["false_alarm_rate"] == pytest.approx(49 / 999)
    assert chosen.flags([950, 951, 1e9]).tolist() == [False, True, True]
    assert by_alarm_rate(cal, 0.05, confidence=0.95).value > 950


@pytest.mark.parametrize("rows", [20, 30, 50])
def test_with_few_rows_the_rate_is_estimated_and_said_to_be(rows):
    """On exponential scores, where the largest of 20 would give 4.8 % instead of 1 %."""
    rng, rates = np.random.default_rng(0), []
    for _ in range(400):
        chosen = by_alarm_rate(Calibration(rng.exponential(size=rows)), 0.01)
        rates.append(np.exp(-chosen.value))
    assert "estimate" in chosen.note and f"{rows} calibration rows" in chosen.note
    assert 0.006 <= np.mean(rates) <= 0.014


def test_few_and_equal_rows_give_their_largest_score():
    for scores in ([2.0], [2.0, 1.0], np.full(30, 2.0)):
        assert by_alarm_rate(Calibration(scores), 0.01).value == 2.0
    with pytest.raises(UsageError, match="confidence"):
        by_alarm_rate(Calibration([1.0, 2.0]), 0.01, confidence=0.9)


@pytest.mark.parametrize(("miss", "alarm", "share"), [(1, 1, 0.5), (20, 1, 0.1), (1, 3, 0.3)])
def test_costs_with_two_gaussians_have_a_closed_form(miss, alarm, share):
    """Flag where miss * share * f1 > alarm * (1 - share) * f0: for N(2, 1) against N(0, 1)."""
    exact = 1 + np.log(alarm * (1 - share) / (miss * share)) / 2
    normal, odd = quantiles(norm(), 20000), quantiles(norm(2), 4000)
    scores = np.append(normal[::2], odd)
    labels = np.append(np.zeros(10000), np.ones(4000))
    chosen = by_costs(Calibration(normal), miss, alarm, share, scores, labels)
    assert chosen.value == pytest.approx(exact, abs=0.02)
    least = alarm * (1 - share) * norm.sf(exact) + miss * share * norm.cdf(exact - 2)
    assert chosen.expected["cost_a_row"] == pytest.approx(least, rel=0.01)
    assert chosen.settings["misses_from"] == "labels"


def test_costs_from_an_unlabelled_mixture_agree_with_those_from_labels():
    normal, share = quantiles(norm(), 20000), 0.2
    scores = np.append(quantiles(norm(), 8000), quantiles(norm(3), 2000))
    labels = np.append(np.zeros(8000), np.ones(2000))
    told = by_costs(Calibration(normal), 2, 1, share, scores, labels)
    untold = by_costs(Calibration(normal), 2, 1, share, scores)
    assert untold.settings["misses_from"] == "mixture"
    assert untold.value == pytest.approx(told.value, abs=0.05)
    assert untold.expected["recall"] == pytest.approx(told.expected["recall"], abs=0.02)


def test_costs_without_anomalies_follow_the_assumed_curve():
    cal, b = Calibration(np.arange(1, 10000.0)), 1 / ASSUMED_AUROC - 1
    chosen = by_costs(cal, 10, 1, 0.01)
    rate = (b * 10 * 0.01 / 0.99) ** (1 / (1 - b))
    assert chosen.value == cal.threshold_for(rate)
    assert chosen.settings["misses_from"] == "assumed" and "No anomalies" in chosen.note
    rates = np.linspace(1e-4, 0.5, 5000)
    costs = rates * 0.99 + 10 * (1 - rates**b) * 0.01
    assert chosen.expected["cost_a_row"] == pytest.approx(costs.min(), rel=1e-4)
    assert by_costs(cal, 10, 1, 0.01, []) == chosen
    dear = [by_costs(cal, miss, 1, 0.01).value for miss in (1, 10, 100, 1e9)]
    assert dear == sorted(dear, reverse=True) and dear[-1] == cal.threshold_for(0.5)


def all_cuts(scores, y):
    """(recall, precision, f1) of every cut that flags something, counted one by one."""
    for cut in [-np.inf, *sorted(set(scores))[:-1]]:
        flagged = scores > cut
        hits = (flagged & (y == 1)).sum()
        yield hits / y.sum(), hits / flagged.sum(), 2 * hits / (flagged.sum() + y.sum())


@given(rows=LABELLED)
@settings(max_examples=150, deadline=None)
def test_labels_give_the_best_of_all_cuts(rows):
    scores = np.array([float(s) for s, _ in rows])
    y = np.array([int(label) for _, label in rows])
    cuts = list(all_cuts(scores, y))
    chosen = by_labels(scores, y)
    assert chosen.expected["f1"] == pytest.approx(max(f for _, _, f in cuts))
    flagged = chosen.flags(scores)
    assert chosen.expected["recall"] == pytest.approx((flagged & (y == 1)).sum() / y.sum())
    sharp = by_labels(scores, y, "recall=0.9")
    assert sharp.expected["recall"] >= 0.9
    assert sharp.expected["precision"] == pytest.approx(max(p for r, p, _ in cuts if r >= 0.9))
    reached = [r for r, p, _ in cuts if p >= 0.6 and r > 0]
    if reached:
        sure = by_labels(scores, y, "precision=0.6")
        assert sure.expected["precision"] >= 0.6 - 1e-12
        assert sure.expected["recall"] == pytest.approx(max(reached))
    else:
        with pytest.raises(UsageError, match="the best is"):
            by_labels(scores, y, "precision=0.6")


def test_three_anomalies_are_enough():
    scores = np.append(np.linspace(0, 1, 100), [3.0, 4.0, 5.0])
    y = np.append(np.zeros(100), np.ones(3))
    assert by_labels(scores, y).value == 2.0
    assert by_labels(scores, y).expected["f1"] == 1.0
    assert by_labels(scores, y, share=0.001).settings["share"] == 0.001


def test_one_class_and_odd_labels_are_refused():
    for y, missing in (([0, 0, 0], "no anomaly"), ([1, 1, 1], "no normal row")):
        with pytest.raises(UsageError, match=missing):
            by_labels([1.0, 2.0, 3.0], y)
    for y in ([0, 1], [0, 1, 2], ["a", "b", "a"], [0, 1, np.nan]):
        with pytest.raises(DataError):
            by_labels([1.0, 2.0, 3.0], y)
    for goal in ("best", "precision=2", "recall=", "recall=0", "precision=1.1.1"):
        with pytest.raises(UsageError, match="Unknown goal"):
            by_labels([1.0, 2.0], [0, 1], goal)
    with pytest.raises(UsageError, match="no anomaly"):
        by_costs(Calibration([1.0, 2.0]), 1, 1, 0.1, [1.0, 2.0], [0, 0])
    for costs in ((0, 1, 0.1), (1, -1, 0.1), (1, 1, 0), (np.inf, 1, 0.1), (np.nan, 1, 0.1)):
        with pytest.raises(UsageError):
            by_costs(Calibration([1.0, 2.0]), *costs)


def test_automatic_leaves_normal_rows_alone():
    rng = np.random.default_rng(1)
    shares = [
        automatic(Calibration(rng.normal(size=500)), new).flags(new).mean()
        for new in rng.normal(size=(200, 400))
    ]
    assert np.mean(shares) < 0.015 and np.max(shares) < 0.1


@pytest.mark.parametrize("count", [10, 100, 400])
def test_automatic_finds_what_is_far_away(count):
    rng = np.random.default_rng(2)
    cal = Calibration(rng.normal(size=1000))
    scores = np.append(rng.normal(size=1000 - count), rng.normal(size=count) + 8)
    chosen = automatic(cal, scores)
    flagged = chosen.flags(scores)
    assert flagged[-count:].all()
    assert flagged[:-count].sum() <= 0.25 * flagged.sum() + 15
    assert chosen.rule == "automatic" and chosen.settings["rows"] == 1000


def test_automatic_with_a_row_and_with_no_rows_falls_back():
    cal = Calibration(np.arange(1.0, 1000))
    for scores in ([], [3.0]):
        chosen = automatic(cal, scores)
        assert chosen.value == cal.threshold_for(0.01) and "No anomalies" in chosen.note
    alike = Calibration(np.ones(200))
    assert not automatic(alike, np.ones(50)).flags(np.ones(50)).any()


def test_a_fixed_threshold_beyond_the_scores_is_noted():
    cal = Calibration(np.arange(10.0))
    assert fixed(4.5, cal).note == "" and fixed(4.5).expected == {}
    assert "no normal row" in fixed(50, cal).note
    assert "every normal row" in fixed(-1, cal).note
    assert fixed(4.5, cal).expected["false_alarm_rate"] == 0.5
    for value in (np.nan, np.inf, "3", True, None):
        with pytest.raises(UsageError, match="give a"):
            fixed(value)
