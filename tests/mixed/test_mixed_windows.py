"""Windows against a plain loop, and that none crosses entities."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lemari.errors import DataError, UsageError
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import read_frame
from lemari.mixed.windows import windows


def series(n=300, missing=0.0):
    r = np.random.default_rng(5)
    x = r.normal(100, 3, (n, 2)).cumsum(0)
    x[r.random(x.shape) < missing] = np.nan
    return {
        "machine": r.choice(["a", "b", "c", "d"], n, p=[0.5, 0.3, 0.19, 0.01]).tolist(),
        "speed": x[:, 0],
        "heat": x[:, 1],
    }


def naive(table, width, step):
    """The same windows, one by one."""
    found = []
    for who in sorted(set(table["machine"])):
        rows = [i for i, m in enumerate(table["machine"]) if m == who]
        for start in range(0, len(rows) - width + 1, step):
            inside = rows[start : start + width]
            features = []
            for name in ("speed", "heat"):
                w = np.asarray(table[name])[inside]
                t, known = np.arange(width)[~np.isnan(w)], w[~np.isnan(w)]
                slope = np.polyfit(t, known, 1)[0]
                features += [w[-1], known.mean(), known.std(), slope, known.min(), known.max()]
            found.append((inside[-1], features))
    return sorted(found)


@pytest.mark.parametrize(("step", "missing"), [(1, 0.0), (3, 0.0), (2, 0.2)])
def test_windows_equal_a_plain_loop(step, missing):
    table = series(missing=missing)
    found, last = windows(read_frame(table), 8, by="machine", step=step)
    expected = naive(table, 8, step)
    assert last.tolist() == [row for row, _ in expected]
    assert np.allclose(found.array, [f for _, f in expected], equal_nan=True, rtol=1e-7, atol=1e-7)
    assert found.names[:3] == ("speed (last of 8)", "speed (mean of 8)", "speed (std of 8)")
    assert sum("fewer than 8" in note for note in found.notes) == 1


def test_no_window_crosses_entities():
    n = 40
    who = np.repeat(["a", "b"], n // 2)
    frame = read_frame({"who": who.tolist(), "level": np.where(who == "a", 0.0, 1000.0)})
    found, last = windows(frame, 5, by="who")
    assert len(found) == 2 * (n // 2 - 4)
    assert (found.column("level (std of 5)") == 0).all()
    crossing, _ = windows(frame, 5)
    assert (crossing.column("level (std of 5)") > 0).sum() == 4


def test_a_stuck_sensor_has_no_spread_and_no_slope():
    found, _ = windows(read_frame({"volt": np.full(100, 209.639)}), 7)
    assert {c.kind for c in MixedFormat.learn(found).columns} == {"constant"}
    assert (found.array[:, [2, 3]] == 0).all()


def test_labels_and_matching_follow_the_last_row():
    table = {**series(), "label": list(range(300))}
    found, last = windows(read_frame(table, label="label"), 10)
    assert found.label == last.tolist() == list(range(9, 300))
    fmt = MixedFormat.learn(found)
    assert fmt.encode(found).x.shape == (291, 12)


def test_infinite_values_stay_in_their_windows():
    x = np.arange(50.0)
    x[20] = np.inf
    found, last = windows(read_frame({"x": x}), 5)
    touched = (last >= 20) & (last < 25)
    assert np.isfinite(found.array[~touched]).all()
    assert np.isinf(found.array[touched][:, 1:4]).all() and not np.isnan(found.array).any()


def test_what_fits_no_window_is_refused():
    frame = read_frame(series())
    with pytest.raises(DataError, match="the table has 300"):
        windows(frame, 301)
    with pytest.raises(DataError, match="longest entity"):
        windows(frame, 250, by="machine")
    with pytest.raises(UsageError, match="width of 2"):
        windows(frame, 1)
    with pytest.raises(UsageError, match="nearest are 'machine'"):
        windows(frame, 5, by="machin")
    with pytest.raises(DataError, match="no column of numbers"):
        windows(read_frame({"c": ["a", "b"] * 9}), 5)


def test_card_payments_are_read_as_they_are():
    folder = Path(os.environ.get("LEMARI_DATA", "/nowhere")) / "creditcard"
    if not folder.is_dir():
        pytest.skip("LEMARI_DATA has no creditcard folder")
    frame = read_frame(folder / "creditcard_subset.csv.gz", label="Class", drop=["sampling"])
    fmt = MixedFormat.learn(frame)
    assert {c.kind for c in fmt.columns} == {"numeric"} and len(fmt.columns) == 30
    x = fmt.encode(frame).x
    assert len(frame) == 10_374 and set(frame.label) == {0.0, 1.0}
    assert np.allclose(x.mean(0), 0, atol=1e-4) and np.allclose(x.std(0), 1, atol=1e-3)


def test_skab_series_are_read_and_cut_into_windows(tmp_path):
    archive = Path(os.environ.get("LEMARI_DATA", "/nowhere")) / "timeseries" / "skab.tar.xz"
    if not archive.is_file():
        pytest.skip("LEMARI_DATA has no timeseries folder")
    with tarfile.open(archive) as held:
        held.extract("skab/other/1.csv", tmp_path, filter="data")
    frame = read_frame(tmp_path / "skab" / "other" / "1.csv", label="anomaly")
    assert MixedFormat.learn(frame).columns[0].kind == "date"
    found, last = windows(frame.without(["changepoint"]), 20)
    assert len(found) == len(frame) - 19 and len(found.names) == 8 * 6
    assert found.label == [frame.label[i] for i in last]
