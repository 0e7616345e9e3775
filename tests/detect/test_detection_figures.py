"""The picture of a threshold: drawn for ordinary and for awkward scores."""

import numpy as np
import pytest

from lemari.detect.calibration import Calibration
from lemari.detect.errors_table import curve_points, error_table
from lemari.errors import DataError
from lemari.figures.detection import threshold_picture

RNG = np.random.default_rng(0)
NORMAL = np.exp(RNG.normal(size=300))


def drawn(normal, threshold, odd=None):
    cal = Calibration(normal)
    labels = None if odd is None else np.ones(len(odd))
    rows = error_table(cal, odd, labels, curve_points(cal, odd))
    figure = threshold_picture(cal.scores, threshold, rows, anomalous=odd, rule="the costs")
    words = [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]
    return figure, " ".join(words)


def test_the_picture_says_what_is_flagged():
    figure, words = drawn(NORMAL, 1e3, np.array([1.0, 2e3, 3e3]))
    assert len(figure.axes) == 3
    assert (
        "Flags 0 % of 300 normal rows and 2 of 3 labelled anomalies. Chosen by the costs." in words
    )
    assert "threshold 1,000 →" in words and "2 scores beyond →" in words
    assert len(drawn(NORMAL, 2.0)[0].axes) == 2
    assert "1 of 1 labelled anomaly" in drawn(NORMAL, 2.0, np.array([9.0]))[1]


@pytest.mark.parametrize(
    ("normal", "threshold"),
    [(np.ones(50), 1.0), ([3.0], 1e15), ([-1e9, 1e9], -5.0), (NORMAL * 1e-12, 1e-12)],
)
def test_awkward_scores_are_drawn(normal, threshold):
    figure, words = drawn(np.asarray(normal, float), threshold, np.array([2.0, np.pi]))
    low, high = figure.axes[0].get_xlim()
    assert np.isfinite([low, high]).all() and low < high and "threshold" in words


def test_nothing_to_draw_is_refused():
    with pytest.raises(DataError, match="nothing to draw"):
        threshold_picture(np.zeros(0), 1.0, [])
