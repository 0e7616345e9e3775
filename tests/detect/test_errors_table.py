"""Both errors against the threshold: counted by hand, and the exact interval."""

import numpy as np
import pytest
from scipy.stats import binomtest

from lemari.detect.calibration import Calibration
from lemari.detect.errors_table import clopper_pearson, curve_points, error_table
from lemari.errors import DataError

CAL = Calibration(np.arange(1.0, 1001))


@pytest.mark.parametrize(("hits", "rows"), [(0, 50), (1, 50), (7, 50), (50, 50)])
def test_the_interval_is_that_of_clopper_and_pearson(hits, rows):
    exact = binomtest(hits, rows).proportion_ci(0.95, "exact")
    assert np.allclose(clopper_pearson(hits, rows), (exact.low, exact.high), atol=1e-12)


def test_false_alarms_fall_and_intervals_hold_them():
    rows = error_table(CAL)
    rates = [row.false_alarm_rate for row in rows]
    assert rates == sorted(rates, reverse=True)
    assert rates == pytest.approx([0.199, 0.099, 0.049, 0.019, 0.009, 0.004, 0.001, 0.0], abs=0.002)
    for row in rows:
        assert row.low <= row.false_alarm_rate <= row.high
        assert row.alarms_per_10000 == pytest.approx(1e4 * row.false_alarm_rate)
        assert row.recall is None and row.f1 is None
        assert type(row.as_dict()["threshold"]) is float


def test_labelled_rows_add_recall_precision_and_f1():
    scores, y = np.array([1.0, 2, 3, 4, 5]), np.array([0, 0, 1, 0, 1])
    low, middle, high = error_table(CAL, scores, y, [0, 2.5, 9])
    assert (low.recall, low.precision) == (1, 0.4) and low.f1 == pytest.approx(4 / 7)
    assert (middle.recall, middle.precision, middle.f1) == (1, pytest.approx(2 / 3), 0.8)
    assert (high.recall, high.precision, high.f1) == (0, None, 0)


def test_a_real_share_weighs_the_precision_as_bayes_says():
    scores, y = np.array([1.0, 2, 3, 4, 5]), np.array([0, 0, 1, 0, 1])
    (row,) = error_table(CAL, scores, y, [3.5], share=0.01)
    assert row.recall == 0.5
    assert row.precision == pytest.approx(0.5 * 0.01 / (0.5 * 0.01 + 0.99 / 3))


def test_anomalies_alone_borrow_the_false_alarms_of_the_calibration():
    (row,) = error_table(CAL, [980.0, 2000], [1, 1], [990], share=0.1)
    assert row.precision == pytest.approx(0.05 / (0.05 + 0.9 * 0.01))
    assert error_table(CAL, [1.0], [0], [0.5])[0].recall is None


def test_weights_widen_the_interval():
    uneven = Calibration(CAL.scores, np.where(np.arange(1000) % 10, 0.1, 5.0))
    wide, narrow = error_table(uneven, points=[900])[0], error_table(CAL, points=[900])[0]
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_curve_points_reach_beyond_all_scores():
    points = curve_points(CAL, [5000.0])
    assert points[0] < 1 and points[-1] > 5000 and (np.diff(points) > 0).all()
    assert len(curve_points(Calibration([1.0]))) > 2


def test_bad_labels_and_points_are_refused():
    for y in ([0, 1], [0, 2, 1]):
        with pytest.raises(DataError, match="one label"):
            error_table(CAL, [1.0, 2, 3], y)
    with pytest.raises(DataError, match="thresholds"):
        error_table(CAL, points=[np.nan])
