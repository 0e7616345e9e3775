"""New rows of rare classes are legal, as many as asked for, and the same for the same seed."""

import numpy as np
import pytest

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import Text
from lemari.mixed.decoding import decimals, decoded_frame
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import read_frame
from lemari.surfaces.estimator.oversampling import Oversampler
from lemari.tasks import mixed_likelihood, rare_rows
from lemari.tasks.oversample import goal_of, nearest, oversample

pytestmark = pytest.mark.slow  # commands and trainings; the laws are quick

ROWS, RARE = 400, 40


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr(rare_rows, "STEPS", 60)


def mixed(rows=ROWS, seed=0):
    """A dict of columns of every kind; the first rows are the rare class."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2020-01-01T00:00:00", "us")
    return {
        "amount": np.round(rng.lognormal(3, 1, rows), 2),
        "age": rng.integers(18, 80, rows),
        "ok": rng.random(rows) < 0.3,
        "color": list(rng.choice(["red", "=green", "blue"], rows)),
        "shop": [f"s{i}" for i in rng.integers(0, 60, rows)],
        "when": start + rng.integers(0, 86_400 * 30, rows) * np.timedelta64(1_000_000, "us"),
        "day": list(np.datetime_as_string(start + rng.integers(0, 99, rows).astype("m8[D]"), "D")),
        "minute": [f"2020-01-{d:02d} 08:{d:02d}" for d in rng.integers(1, 29, rows)],
        "same": np.full(rows, 7.0),
        "name": [f"person {i}" for i in range(rows)],
        "gap": np.where(rng.random(rows) < 0.25, np.nan, rng.normal(size=rows)),
        "holes": [None if g < 0.2 else "ab"[int(g > 0.5)] for g in rng.random(rows)],
        "paid": list(rng.choice(["yes", "no"], rows)),
    }


def labels(rows=ROWS, rare=RARE):
    return ["rare"] * rare + ["common"] * (rows - rare)


def cells(frame, name):
    column = frame.column(name)
    return column.cells() if isinstance(column, Text) else column


@pytest.fixture(scope="module")
def made():
    frame = read_frame(mixed())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rare_rows, "STEPS", 60)
        return frame, oversample(frame, labels(), seed=3)


def test_counts_reach_the_target(made):
    frame, found = made
    (record,) = found.classes
    assert (record.label, record.given, record.made) == ("rare", RARE, ROWS - 2 * RARE)
    assert len(found.rows) == ROWS - 2 * RARE
    assert found.rows.label == ["rare"] * (ROWS - 2 * RARE)
    assert found.rows.names == frame.names


def test_every_column_keeps_its_type(made):
    frame, found = made
    for old, new in zip(frame.columns, found.rows.columns):
        assert type(old) is type(new) and len(new) == len(found.rows)
        assert isinstance(old, Text) or old.dtype == new.dtype


def test_numbers_are_legal(made):
    frame, found = made
    for name in ("amount", "age", "gap"):
        old, new = frame.column(name), found.rows.column(name)
        own = old[:RARE][~np.isnan(old[:RARE])]
        margin = 0.1 * (own.max() - own.min())
        known = new[~np.isnan(new)]
        assert known.min() >= max(np.nanmin(old), own.min() - margin) - 1e-9
        assert known.max() <= min(np.nanmax(old), own.max() + margin) + 1e-9
    assert decimals(found.rows.column("amount")) == 2
    assert set(found.rows.column("same")) == {7.0}


@pytest.mark.parametrize("name", ["color", "shop", "holes", "paid", "ok"])
def test_levels_and_truths_are_known_ones(made, name):
    frame, found = made
    assert set(cells(found.rows, name)) <= set(cells(frame, name))


def test_dates_lie_in_the_span_and_are_as_whole(made):
    frame, found = made
    old, new = frame.column("when"), found.rows.column("when")
    assert old.min() <= new.min() and new.max() <= old.max()
    assert (new.astype("M8[s]") == new).all()
    assert all(len(cell) in (10, 16) for cell in cells(found.rows, "minute"))
    days = np.array(cells(found.rows, "day"), "M8[us]")
    assert all(len(day) == 10 for day in cells(found.rows, "day"))
    assert days.min() >= np.datetime64("2020-01-01") and days.max() < np.datetime64("2020-04-10")


def test_cells_are_missing_at_the_rate_of_the_class(made):
    frame, found = made
    for name in ("gap", "holes"):
        old = np.array([c is None or c != c for c in cells(frame, name)[:RARE]])
        new = np.array([c is None or c != c for c in cells(found.rows, name)])
        assert abs(new.mean() - old.mean()) < 0.07
    assert set(cells(found.rows, "name")) == {None}, "identifiers are not made up"


def test_no_row_is_copied(made):
    frame, found = made
    (record,) = found.classes
    assert record.copies == 0 and record.nearest > 0 and record.usual > 0
    fmt = MixedFormat.learn(frame)
    far = nearest(fmt.encode(found.rows).x, fmt.encode(frame).x)
    assert far.min() > 0


def test_the_same_seed_makes_the_same_rows_and_another_others(made):
    frame, found = made
    again = oversample(frame, labels(), seed=3).rows
    other = oversample(frame, labels(), seed=4).rows
    for name in frame.names:
        assert list(map(str, cells(again, name))) == list(map(str, cells(found.rows, name)))
    assert (other.column("amount") != again.column("amount")).any()


def test_the_callers_random_state_is_untouched():
    import torch

    frame = read_frame(np.random.default_rng(0).normal(size=(60, 3)))
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    oversample(frame, [0] * 45 + [1] * 15, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_rows_of_a_class_lie_where_the_class_does():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[:30] += 8
    new = oversample(read_frame(X), labels(300, 30)).rows.array
    assert new is not None and new.shape == (240, 4)
    assert (new.mean(1) > 4).all(), "a row of the rare class was made among the others"
    assert abs(new.mean() - X[:30].mean()) < 0.5
    assert 0.5 < new.std(0).mean() / X[:30].std(0).mean() < 1.5


def test_a_column_that_tells_the_classes_apart_keeps_its_value():
    """What the other classes have does not leak into the new rows."""
    data = mixed()
    data["mark"] = ["r"] * RARE + ["c"] * (ROWS - RARE)
    new = oversample(read_frame(data), labels()).rows
    share = np.mean([c == "r" for c in cells(new, "mark")])
    assert share > 0.9


def test_a_class_of_few_rows_is_interpolated():
    frame = read_frame(mixed())
    (record,) = oversample(frame, labels(rare=4), target=20).classes
    assert (record.method, record.given, record.made, record.copies) == ("interpolation", 4, 16, 0)


@pytest.mark.parametrize(("target", "made"), [(50, {"b": 30, "c": 38}), (0.5, {"b": 10, "c": 18})])
def test_targets_and_several_classes(target, made):
    X = np.random.default_rng(0).normal(size=(92, 2))
    y = ["a"] * 60 + ["b"] * 20 + ["c"] * 12
    found = oversample(read_frame(X), y, target=target)
    assert {c.label: c.made for c in found.classes if c.label != "a"} == made
    y = [{"a": 0.0, "b": 1.0, "c": 2.5}[v] for v in y]
    only = oversample(read_frame(X), y, target=target, only=["2.5"])
    made["c"], made[2.5] = 0, made["c"]
    assert {c.label: c.made for c in only.classes} == {2.5: made[2.5]}
    assert oversample(read_frame(X), y, target=target, only=[1]).classes[0].label == 1.0


@pytest.mark.parametrize("target", ["even", 0, -5, 1.5, 0.0, True, float("nan"), None])
def test_a_wrong_target_is_refused(target):
    with pytest.raises(UsageError, match="give 'equal', a number of rows"):
        goal_of(target, 10)


def test_faults_are_one_sentence_each():
    frame = read_frame(np.random.default_rng(0).normal(size=(30, 2)))
    with pytest.raises(DataError, match="All rows have the same label"):
        oversample(frame, [1] * 30)
    with pytest.raises(DataError, match="Class '1' has a single row"):
        oversample(frame, [0] * 29 + [1])
    with pytest.raises(DataError, match=r"2 rows have no label \(the first is row 1\)"):
        oversample(frame, [None, float("nan")] + [0] * 14 + [1] * 14)
    with pytest.raises(UsageError, match="3 labels were given for 30 rows"):
        oversample(frame, [0, 1, 1])
    with pytest.raises(UsageError, match="no class 'x'; the classes are '0', '1'"):
        oversample(frame, [0] * 15 + [1] * 15, only=["x"])


def test_decoding_the_features_of_rows_gives_the_rows():
    data = {k: v for k, v in mixed().items() if k not in ("shop", "name")}
    frame = read_frame(data)
    fmt, rows = MixedFormat.learn(frame), np.arange(ROWS)
    back = decoded_frame(fmt, fmt.encode(frame).x, frame, rows, rows, np.random.default_rng(0))
    for name in frame.names:
        old, new = cells(frame, name), cells(back, name)
        if name == "when":
            assert np.abs((old - new).astype("m8[s]").astype(int)).max() <= 1
        elif name in ("gap", "amount"):
            np.testing.assert_allclose(np.asarray(new), np.asarray(old), atol=0.011)
        else:
            assert list(new) == list(old)


def test_the_likelihood_is_that_of_its_parts():
    import torch

    frame = read_frame({k: mixed()[k] for k in ("amount", "ok", "color", "gap")})
    fmt = MixedFormat.learn(frame)
    at = mixed_likelihood.Places.of(fmt)
    x = torch.from_numpy(rare_rows.seen(fmt.encode(frame).x, at)).double()
    h = torch.randn(1, *x.shape, dtype=torch.float64)
    likelihood = mixed_likelihood.MixedLikelihood(at).double()
    law = likelihood(h)
    span = {c.name: fmt.span(i) for i, c in enumerate(fmt.columns)}
    normal = torch.distributions.Normal(0.0, 1.0)
    amount = normal.log_prob(x[:, span["amount"].start] - h[0, :, span["amount"].start])
    there = 1 - x[:, span["gap"].start + 1]
    gap = normal.log_prob(x[:, span["gap"].start] - h[0, :, span["gap"].start]) * there
    truth = torch.zeros(len(x), dtype=torch.float64)
    for place in (span["ok"].start, span["gap"].start + 1):
        truth += torch.distributions.Bernoulli(logits=h[0, :, place]).log_prob(x[:, place])
    colour = torch.distributions.Categorical(logits=h[0, :, span["color"]])
    expected = amount + gap + truth + colour.log_prob(x[:, span["color"]].argmax(1))
    torch.testing.assert_close(law.log_prob(x)[0], expected)


def test_resampled_arrays_begin_with_the_given_rows():
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = np.array([1] * 20 + [0] * 60)
    sampler = Oversampler()
    more, labels_ = sampler.fit_resample(X, y)
    assert (more[:80] == X).all() and (labels_[:80] == y).all()
    assert more.shape == (120, 3) and (labels_[80:] == 1).all() and labels_.dtype == y.dtype
    assert np.isfinite(more).all() and sampler.report_[0].made == 40
    again, _ = Oversampler(random_state=0).fit_resample(X, y)
    assert (again == more).all()


def test_resampled_data_frames_keep_their_types():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({k: v for k, v in mixed().items() if k not in ("ok", "day")})
    X["size"] = pd.Categorical(np.resize([1, 5, 9], ROWS))
    X["zone"] = pd.Series(X["when"]).dt.tz_localize("Europe/Paris", ambiguous=True)
    X["whole"] = pd.array([None if i % 9 == 0 else i % 50 for i in range(ROWS)], dtype="Int64")
    X["flag"] = pd.array([None if i % 9 == 0 else i % 2 == 0 for i in range(ROWS)], dtype="boolean")
    X["wait"] = pd.to_timedelta(np.arange(ROWS), unit="s")
    X.index = range(5, 5 + ROWS)
    y = pd.Series(labels(), name="kind", index=X.index)
    more, new_y = Oversampler(target=60).fit_resample(X, y)
    assert list(more.dtypes) == list(X.dtypes) and len(more) == len(new_y) == ROWS + 20
    assert (new_y[:ROWS].to_numpy() == y.to_numpy()).all() and new_y.name == "kind"
    pd.testing.assert_frame_equal(more[:ROWS], X.reset_index(drop=True))
    assert not more["size"].isna().any()


def test_copies_that_cannot_be_avoided_are_counted():
    """A table of one truth has two rows in all: every new row equals a given one."""
    frame = read_frame({"ok": np.arange(60) % 2 == 0})
    (record,) = oversample(frame, labels(60, 20), target=30).classes
    assert record.made == record.copies == 10 and record.nearest == 0


def test_a_table_without_anything_to_vary_still_gives_rows():
    new = oversample(read_frame(np.ones((60, 2))), labels(60, 20), target=30).rows
    assert (new.array == np.ones((10, 2))).all()
