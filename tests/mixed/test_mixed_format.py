"""Laws of the format: what encoding depends on, what it keeps, and the rules at its edges."""

import json
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemari.errors import DataError, ModelFileError, UsageError
from lemari.mixed.column import BOUND, MOST_INDICATED, UNUSUAL
from lemari.mixed.format import MixedFormat, mixed_format_from_json
from lemari.mixed.frame import read_frame
from lemari.mixed.learning import rarity

N = 200
START = np.datetime64("2024-01-01T00:00:00")


def mixed(seed=0, n=N):
    """Columns of every kind, some with missing values."""
    r = np.random.default_rng(seed)
    gappy = r.normal(50, 20, n)
    gappy[r.random(n) < 0.1] = np.nan
    return {
        "amount": gappy,
        "count": r.integers(0, 90, n),
        "paid": r.random(n) < 0.3,
        "colour": r.choice(["red", "green", "blue", None], n).tolist(),
        "shop": [f"shop {i}" for i in (r.pareto(1.0, n) * 10).astype(int)],
        "when": START + r.integers(0, 90 * 86400, n).astype("timedelta64[s]"),
        "unit": [7.5] * n,
        "currency": ["EUR"] * n,
        "empty": [None] * n,
        "id": [f"user {i}" for i in range(n)],
    }


@pytest.fixture(scope="module")
def learned():
    frame = read_frame(mixed())
    return frame, MixedFormat.learn(frame)


def features(fmt, frame, name):
    return fmt.encode(frame).x[:, fmt.span(fmt.names.index(name))]


def changed(name, values):
    """The first rows of the table with other values in one column."""
    rows = {key: list(column[: len(values)]) for key, column in mixed().items()}
    return read_frame({**rows, name: values})


def test_kinds_are_inferred(learned):
    kinds = {c.name: c.kind for c in learned[1].columns}
    assert kinds == {
        "amount": "numeric",
        "count": "numeric",
        "paid": "boolean",
        "colour": "category",
        "shop": "category",
        "when": "date",
        "unit": "constant",
        "currency": "constant",
        "empty": "ignored",
        "id": "ignored",
    }
    assert any("'id'" in note and "identifier" in note for note in learned[1].notes)


def test_numbers_have_mean_zero_and_deviation_one(learned):
    frame, fmt = learned
    x = features(fmt, frame, "count")[:, 0]
    assert x.mean() == pytest.approx(0, abs=1e-6) and x.std() == pytest.approx(1, abs=1e-6)
    x = features(fmt, frame, "amount")
    known = x[:, 1] == 0
    assert x[known, 0].std() == pytest.approx(1, abs=1e-6)
    assert known.sum() == np.isfinite(frame.column("amount")).sum() and (x[~known, 0] == 0).all()


def test_the_order_of_columns_and_the_other_rows_do_not_matter(learned):
    frame, fmt = learned
    x = fmt.encode(frame).x
    turned = read_frame(dict(reversed(mixed().items())))
    assert np.array_equal(fmt.encode(turned).x, x)
    rows = np.random.default_rng(1).permutation(N)[:50]
    assert np.array_equal(fmt.encode(frame.take(rows)).x, x[rows])
    assert np.array_equal(fmt.encode(frame.take([17])).x, x[[17]])


def test_json_gives_the_format_back(learned):
    frame, fmt = learned
    again = mixed_format_from_json(json.loads(json.dumps(fmt.to_json(), allow_nan=False)))
    assert again == fmt and again.features == fmt.features
    assert np.array_equal(again.encode(frame).x, fmt.encode(frame).x)


def test_decoding_gives_the_values_back(learned):
    frame, fmt = learned
    x = fmt.encode(frame).x
    for row in range(0, N, 7):
        for i, column in enumerate(fmt.columns):
            value, back = frame.value(i, row), fmt.decode_value(i, x[row])
            if column.kind == "ignored":
                assert back is None
            elif column.kind == "boolean":
                assert back == str(value)
            elif column.kind == "date":
                assert abs(back - value) < np.timedelta64(5, "s")
            elif column.name == "shop":
                assert back in (value, "other")
            elif isinstance(value, float):
                assert back == pytest.approx(value, rel=1e-5)
            else:
                assert back == value
    own = fmt.span(0)
    assert fmt.decode_value(0, x[3][own]) == fmt.decode_value(0, x[3])


def test_arrays_take_the_fast_way_to_the_same_features():
    r = np.random.default_rng(2)
    x = r.normal(3, 5, (3000, 30))
    x[r.random(x.shape) < 0.02] = np.nan
    x[:, 4], x[:, 5] = 2.5, np.nan
    x[:, 6] = np.where(np.arange(3000) % 2, 4.0, np.nan)
    fmt = MixedFormat.learn(read_frame(x))
    named = read_frame({f"column {i}": x[:, i] for i in range(30)})
    slow = MixedFormat.learn(named)
    assert slow.to_json()["columns"][6] == fmt.to_json()["columns"][6]
    new = x.copy()
    new[5, 7], new[6, 8], new[7, 4], new[8, 4], new[9, 5] = np.inf, -np.inf, 2.6, np.nan, 1.0
    frame = read_frame({f"column {i}": new[:, i] for i in range(30)})
    fast = fmt.encode_array(new)
    assert np.array_equal(fast.x, fmt.encode(frame).x)
    assert sorted(fast.notes) == sorted(fmt.encode(frame).notes)
    assert np.isfinite(fast.x).all() and len(fast.notes) == 3


def test_a_constant_that_changes_is_seen(learned):
    _, fmt = learned
    x = features(fmt, changed("unit", [7.5, 7.5001, 7.4, 99.0, np.nan]), "unit")[:, 0]
    assert x[0] == 0 and x[1] == UNUSUAL and x[2] == -UNUSUAL and x[3] == 91.5 and x[4] == UNUSUAL
    x = features(fmt, changed("currency", ["EUR", "USD", None]), "currency")[:, 0]
    assert x.tolist() == [0, UNUSUAL, UNUSUAL]


def test_missing_where_none_was_missing_is_seen_and_noted(learned):
    _, fmt = learned
    for name in ("count", "paid", "when"):
        frame = changed(name, [None, None, mixed()[name][2]])
        assert (features(fmt, frame, name)[:2, 0] == UNUSUAL).all()
        notes = [n for n in fmt.encode(frame).notes if f"'{name}'" in n]
        assert len(notes) == 1 and notes[0].endswith(": 2")
    x = features(fmt, changed("shop", [None]), "shop")[0]
    assert x[0] == UNUSUAL and x[-1] == 1
    x = features(fmt, changed("colour", [None]), "colour")[0]
    assert x.tolist() == [0, 0, 0, 0, 1]


def test_a_new_category_is_other_rarest_and_noted(learned):
    _, fmt = learned
    frame = changed("colour", ["red", "mauve", "=1+1"])
    assert features(fmt, frame, "colour")[1].tolist() == [0, 0, 0, 1, 0]
    note = next(n for n in fmt.encode(frame).notes if "'colour'" in n)
    assert "'mauve'" in note and ": 2 " in note
    frame = changed("shop", ["nowhere", "shop 0"])
    new, old = features(fmt, frame, "shop")
    column = fmt.columns[fmt.names.index("shop")]
    assert new[0] == pytest.approx((np.log(N + 2) - column.center) / column.scale, rel=1e-5)
    assert new[0] > features(fmt, read_frame(mixed()), "shop")[:, 0].max() - 1e-6 > old[0]


def test_rarity_is_standardised_and_levels_are_limited():
    r = np.random.default_rng(3)
    names = [f"{i}" for i in r.zipf(1.5, 5000) % 3000]
    frame = read_frame({"k": [f"k{n}" for n in names]})
    fmt = MixedFormat.learn(frame)
    x = fmt.encode(frame).x
    assert x[:, 0].mean() == pytest.approx(0, abs=1e-4)
    assert x[:, 0].std() == pytest.approx(1, abs=1e-4)
    column = fmt.columns[0]
    most = rarity(np.array([float(column.counts[0])]), 5000)[0]
    assert x[:, 0].min() == pytest.approx((most - column.center) / column.scale, rel=1e-4)
    assert 2 <= x.shape[1] <= MOST_INDICATED + 2
    assert (x[:, 1:].sum(1) == 1).all()


def test_infinities_are_refused_in_training_and_extreme_at_scoring(learned):
    for data in (np.array([[1.0, np.inf], [2.0, 3.0]]), {"column 1": ["1", "-inf", "2"]}):
        with pytest.raises(DataError, match="'column 1' holds an infinite"):
            MixedFormat.learn(read_frame(data))
    _, fmt = learned
    frame = changed("count", [np.inf, -np.inf, 1e300])
    assert features(fmt, frame, "count")[:, 0].tolist() == [BOUND, -BOUND, BOUND]
    assert any("infinite" in n and n.endswith(": 2") for n in fmt.encode(frame).notes)


def test_text_in_a_column_of_numbers_is_noted_and_missing(learned):
    _, fmt = learned
    frame = changed("count", ["3", "three", "4"])
    assert features(fmt, frame, "count")[1, 0] == UNUSUAL
    notes = [n for n in fmt.encode(frame).notes if "'count'" in n]
    assert notes == ["column 'count': cells that are not a number, taken as missing: 1"]
    frame = changed("when", [1.0, 2.0])
    assert any("not a date" in n for n in fmt.encode(frame).notes)


def test_columns_are_matched_by_name(learned):
    _, fmt = learned
    table = mixed()
    found = fmt.encode(read_frame({"more": [0] * N, **table}))
    assert found.notes == ["column 'more' was not there in training and is ignored"]
    del table["id"]
    assert np.array_equal(fmt.encode(read_frame(table)).x, found.x)
    del table["shop"]
    with pytest.raises(DataError, match="no column 'shop'"):
        fmt.encode(read_frame(table))


def test_nameless_arrays_are_matched_by_position():
    x = np.random.default_rng(4).normal(size=(20, 3))
    fmt = MixedFormat.learn(read_frame(x))
    named = read_frame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    assert np.array_equal(fmt.encode(named).x, fmt.encode(read_frame(x)).x)
    assert np.array_equal(
        MixedFormat.learn(named).encode(read_frame(x)).x, fmt.encode(read_frame(x)).x
    )
    assert any("position" in note for note in fmt.encode(named).notes)
    assert not fmt.encode(read_frame(x)).notes
    for wrong in (x[:, :2], np.zeros((4, 4))):
        with pytest.raises(DataError, match=r"\(N, 3\) is needed"):
            fmt.encode(read_frame(wrong))


def test_kinds_can_be_asked_for():
    table = {"zip": [1, 2, 3, 1], "day": ["2024-01-01"] * 3 + ["2024-01-02"], "n": [0, 1, 1, 0]}
    frame = read_frame(table)
    asked = {"zip": "category", "day": "category", "n": "boolean"}
    fmt = MixedFormat.learn(frame, asked)
    assert [c.kind for c in fmt.columns] == ["category", "category", "boolean"]
    assert fmt.columns[0].levels == ("1", "2", "3")
    again = read_frame({**table, "zip": [1.0, 2.0, np.nan, 9.0]})
    assert fmt.encode(again).x[:, fmt.span(0)].tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 1],
    ]
    assert MixedFormat.learn(frame, {"zip": "ignored"}).columns[0].kind == "ignored"
    with pytest.raises(UsageError, match="nearest columns are 'zip'"):
        MixedFormat.learn(frame, {"zipp": "category"})
    with pytest.raises(UsageError, match="nearest is 'category'"):
        MixedFormat.learn(frame, {"zip": "categorical"})
    with pytest.raises(DataError, match="no true or false"):
        MixedFormat.learn(frame, {"zip": "boolean"})
    with pytest.raises(DataError, match="no dates"):
        MixedFormat.learn(frame, {"n": "date"})


def test_dates_show_the_cycles_they_resolve():
    hours = START + np.arange(0, 24 * 20).astype("timedelta64[h]")
    days = START + np.arange(0, 40).astype("timedelta64[D]")
    short = START + np.arange(0, 600).astype("timedelta64[s]")
    cycles = [
        MixedFormat.learn(read_frame({"t": t})).columns[0].cycles for t in (hours, days, short)
    ]
    assert cycles == [("hour", "weekday"), ("weekday",), ()]
    fmt = MixedFormat.learn(read_frame({"t": hours}))
    x = fmt.encode(read_frame({"t": hours})).x
    assert np.allclose(x[::24, 1:3], [0, 1], atol=1e-6)
    assert np.allclose(x[6::24, 1:3], [1, 0], atol=1e-6)
    assert np.allclose(x[: 24 * 7, 1:], x[24 * 7 : 24 * 14, 1:], atol=1e-6)
    later = fmt.encode(read_frame({"t": hours + np.timedelta64(365, "D")}))
    assert later.notes == [f"column 't': dates outside the span of the training rows: {len(hours)}"]


def test_dates_in_text_with_a_zone_are_the_same_moment():
    texts = ["2024-01-01 12:00", "2024-01-01T13:00:00+01:00", "2024-01-01T12:00:00Z", "2024/01/02"]
    fmt = MixedFormat.learn(read_frame({"t": texts}))
    x = fmt.encode(read_frame({"t": texts})).x
    assert fmt.columns[0].kind == "date" and len({*x[:3, 0]}) == 1 and x[3, 0] > x[0, 0]


def test_values_are_shown_as_people_write_them():
    table = {"a": [9400.0, 0.12345], "b": [True, False], "c": ["x", "y"], "w": [1, 20_000]}
    when = np.array(["2013-09-01T10:15", "2013-09-02"], "datetime64[s]")
    frame = read_frame({**table, "t": when})
    fmt = MixedFormat.learn(frame)
    shown = [[fmt.shown(i, frame.value(i, r)) for i in range(5)] for r in range(2)]
    assert shown[0] == ["9,400", "True", "x", "1", "2013-09-01 10:15"]
    assert shown[1] == ["0.1235", "False", "y", "20,000", "2013-09-02"]
    assert fmt.shown(0, None) == "missing" and fmt.shown(0, float("-inf")) == "-infinity"
    assert fmt.shown(2, "two\nlines") == "two lines" and fmt.shown(3, 19_999.6) == "20,000"


@pytest.mark.parametrize(
    "data", [np.full((4, 2), np.nan), {"id": [f"user {i}" for i in range(99)]}]
)
def test_nothing_to_learn_from_is_refused(data):
    with pytest.raises(DataError, match="No column"):
        MixedFormat.learn(read_frame(data))


def test_extreme_and_tiny_numbers_stay_finite():
    x = np.array([[1e298, 1e-310, 1e-200, 1e15], [-1e298, 2e-310, -1e-200, 1e15 + 1]] * 3)
    frame = read_frame(x)
    fmt = MixedFormat.learn(frame)
    assert np.isfinite(fmt.encode(frame).x).all()
    assert np.allclose(np.abs(fmt.encode(frame).x[:, [0, 2, 3]]), 1, atol=1e-3)
    assert mixed_format_from_json(json.loads(json.dumps(fmt.to_json(), allow_nan=False))) == fmt
    frame = read_frame(np.array([[1.7e308], [-1.7e308], [0.0]]))
    assert np.isfinite(MixedFormat.learn(frame).encode(frame).x).all()


def test_single_precision_is_no_change_but_another_whole_number_is():
    fmt = MixedFormat.learn(read_frame(np.full((9, 2), [0.1, 1234567890123.0])))
    assert (fmt.encode_array(np.array([[np.float32(0.1), 1234567890123]])).x == 0).all()
    assert fmt.encode_array(np.array([[0.1001, 1234567890124.0]])).x.tolist() == [[10, 10]]


def test_one_row_and_equal_rows_are_constants():
    for x in (np.array([[1.0, 2.0]]), np.ones((9, 2))):
        fmt = MixedFormat.learn(read_frame(x))
        assert [c.kind for c in fmt.columns] == ["constant"] * 2
        assert (fmt.encode(read_frame(x)).x == 0).all()


def spoiled(fmt):
    """Format files that were changed in one place each."""
    plain = json.dumps(fmt.to_json())
    edits = {
        "key": lambda d: d.update(more=1),
        "version": lambda d: d.update(version=True),
        "kind": lambda d: d.update(kind="table"),
        "rows": lambda d: d.update(rows=0),
        "empty": lambda d: d.update(columns=[]),
        "column key": lambda d: d["columns"][0].update(more=1),
        "scale": lambda d: d["columns"][0].update(scale=0),
        "infinite": lambda d: d["columns"][0].update(center=float("inf")),
        "text": lambda d: d["columns"][0].update(center="1"),
        "kinds": lambda d: d["columns"][0].update(kind="date"),
        "share": lambda d: d["columns"][0].update(missing_share=2),
        "words": lambda d: d["columns"][2].update(levels=["a"]),
        "counts": lambda d: d["columns"][3].update(counts=[1]),
        "levels": lambda d: d["columns"][3].update(levels=["a", "a", "b"]),
        "limits": lambda d: d["columns"][0].update(low=1e9),
        "twice": lambda d: d["columns"][1].update(name="amount"),
        "cycles": lambda d: d["columns"][0].update(cycles=["hour"]),
        "unhashable": lambda d: d["columns"][0].update(kind=["numeric"]),
    }
    for name, edit in edits.items():
        data = json.loads(plain)
        edit(data)
        yield name, data


def test_changed_format_files_are_refused(learned):
    for name, data in spoiled(learned[1]):
        with pytest.raises(ModelFileError, match="cannot be used"):
            mixed_format_from_json(data)
            pytest.fail(name)
    for data in (None, [], 3, {"version": 1}):
        with pytest.raises(ModelFileError):
            mixed_format_from_json(data)


CELLS = st.one_of(
    st.none(),
    st.floats(width=32),
    st.integers(-(10**20), 10**20),
    st.booleans(),
    st.text(string.printable + "éß\u2028", max_size=12),
    st.datetimes(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=30), st.lists(CELLS, min_size=1, max_size=5))
def test_any_cells_give_finite_features_or_a_sentence(train, new):
    try:
        fmt = MixedFormat.learn(read_frame({"x": train}))
    except DataError as refusal:
        assert str(refusal).endswith(".")
        return
    again = mixed_format_from_json(json.loads(json.dumps(fmt.to_json(), allow_nan=False)))
    for cells in (train, new):
        frame = read_frame({"x": cells})
        x = fmt.encode(frame).x
        assert np.isfinite(x).all() and np.array_equal(again.encode(frame).x, x)
        for row in range(len(cells)):
            assert isinstance(fmt.shown(0, frame.value(0, row)), str)
            fmt.shown(0, fmt.decode_value(0, x[row]))


def test_numbers_with_too_many_texts_among_them_are_told():
    cells = [str(v) for v in range(20)] + ["abc"]
    fmt = MixedFormat.learn(read_frame({"amount": cells}))
    assert fmt.columns[0].kind == "category"
    assert any("20 of 21 cells are numbers" in note for note in fmt.notes)
    asked = MixedFormat.learn(read_frame({"amount": cells}), {"amount": "numeric"})
    assert asked.columns[0].kind == "numeric"
    plain = MixedFormat.learn(read_frame({"city": ["Rome", "Paris"] * 5 + ["7"]}))
    assert plain.columns[0].kind == "category" and not plain.notes
