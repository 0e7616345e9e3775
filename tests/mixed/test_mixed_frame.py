"""Tables from files, frames, dicts and arrays, with what cannot be read refused."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import Text
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import read_frame

PLAIN = {"n": [1.5, None, 3.0], "c": ["red", None, "blue"], "b": [True, False, None]}
TEXT = "n,c,b\n1.5,red,True\n,,False\n3.0,blue,\n"


def rows_of(frame):
    """Every cell as a plain value."""
    width = range(len(frame.names))
    return [tuple(frame.value(j, i) for j in width) for i in range(len(frame))]


def expected():
    return [(1.5, "red", "True"), (None, None, "False"), (3.0, "blue", None)]


def given(kind, folder):
    if kind == "dict":
        return PLAIN
    if kind == "pandas":
        return pd.DataFrame(PLAIN)
    if kind == "arrow":
        return pa.table(PLAIN)
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(PLAIN), path)
    else:
        text = TEXT.replace(",", "\t") if kind.startswith("tsv") else TEXT
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    return path


@pytest.mark.parametrize(
    "kind", ["dict", "pandas", "arrow", "csv", "csv.gz", "tsv", "tsv.gz", "parquet"]
)
def test_the_same_rows_come_from_every_place(kind, tmp_path):
    frame = read_frame(given(kind, tmp_path))
    assert frame.names == ("n", "c", "b")
    assert rows_of(frame) == expected()


def test_columns_of_pandas_types():
    when = pd.to_datetime(["2024-01-01 12:00+01:00"] * 2, format="%Y-%m-%d %H:%M%z")
    table = pd.DataFrame(
        {
            "zone": when,
            "span": pd.to_timedelta([1, 2], "s"),
            "text": pd.Series(["a", pd.NA], dtype="string"),
            "month": pd.period_range("2024-01", periods=2, freq="M"),
            "mixed": [pd.NA, "x"],
            "kind": pd.Categorical(["u", None]),
            "whole": pd.array([1, None], dtype="Int64"),
        }
    )
    first, second = rows_of(read_frame(table))
    assert first[0] == np.datetime64("2024-01-01T11:00")
    assert first[1:] == (1.0, "a", "2024-01", None, "u", 1.0)
    assert second[1:] == (2.0, None, "2024-02", "x", None, None)


def test_a_polars_like_frame_is_read_through_arrow():
    class Other:
        def to_arrow(self):
            return pa.table(PLAIN)

    assert rows_of(read_frame(Other())) == expected()


def test_european_csv_with_a_mark_quotes_and_uneven_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes('\ufeffa;b\n1,5;"x; ""y"""\n1;2;3\n2,5;"two\nlines"\n'.encode())
    frame = read_frame(path)
    assert rows_of(frame) == [(1.5, 'x; "y"'), (2.5, "two\nlines")]
    assert len(frame.notes) == 1 and "skipped" in frame.notes[0] and ": 1" in frame.notes[0]
    assert frame.skipped in ((3,), ())


def test_a_text_far_below_numbers_makes_a_column_of_text_that_counts_as_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "1.5,2\n2.5,3\n" * 1000 + "oops,4\n")
    frame = read_frame(path)
    assert isinstance(frame.column("a"), Text) and not isinstance(frame.column("b"), Text)
    column = MixedFormat.learn(frame).columns[0]
    assert (column.kind, column.missing_share) == ("numeric", pytest.approx(1 / 2001))
    assert "not a number" in column.note and column.note.endswith(": 1")


def test_codes_keep_their_zeros(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,b\n" + "01234,2\n22345,3\n" * 20)
    assert read_frame(path).value(0, 0) == "01234"
    path.write_text("zip,b\n" + "11234,2\n22345,3\n" * 100 + "01234,5\n")
    assert read_frame(path).value(0, 200) == 1234
    assert read_frame(path, texts=["zip"]).value(0, 200) == "01234"


def test_labels_stay_apart():
    frame = read_frame({"a": [1, 2], "Class": [0, 1]}, label="Class")
    assert (frame.names, frame.label, frame.notes) == (("a",), [0, 1], ())
    assert read_frame(np.eye(2), label=[1, 0]).label == [1, 0]
    with pytest.raises(UsageError, match="'Class'"):
        read_frame({"a": [1, 2], "Class": [0, 1]}, label="class")
    with pytest.raises(UsageError, match="3 labels"):
        read_frame(np.eye(2), label=[1, 0, 1])


@pytest.mark.parametrize("name", ["label", "Class", "TARGET", "y", "Anomaly", "is_anomaly"])
def test_a_label_among_the_features_is_noted(name):
    frame = read_frame({"a": [1, 2], name: [0, 1]})
    assert len(frame.notes) == 1 and f"--label {name}" in frame.notes[0]


def test_arrays_files_and_limits(tmp_path):
    x = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", X=x, y=np.array([0, 0, 1, 0]))
    frame = read_frame(tmp_path / "x.npz")
    assert frame.label == [0, 0, 1, 0] and frame.array is not None
    frame = read_frame(tmp_path / "x.npy", limit=2, drop=["column 1"])
    assert frame.names == ("column 0", "column 2") and rows_of(frame) == [(0, 2), (3, 5)]
    assert rows_of(frame.take(np.array([1, 0]))) == [(3, 5), (0, 2)]


def test_python_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", X=np.array([[{}]], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(DataError, match="objects"):
            read_frame(tmp_path / name)


REFUSED = {
    "no rows": {"a": []},
    "rows and": {"a": [1, 2], "b": [1]},
    "plain cells": {"a": [[1, 2], [3]]},
    "one table": [[1, 2], [3]],
    "(N, D)": np.zeros(3),
    "complex": np.array([[1j]]),
    "two columns|Two columns": pa.table([[1], [2]], names=["a", "a"]),
    "list<": pa.table({"a": [[1], [2]]}),
    "longer": {"a" * 2000: [1]},
    "columns, more than": np.zeros((1, 70_000)),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_no_table_is_refused_in_a_sentence(sentence):
    with pytest.raises(DataError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        read_frame(REFUSED[sentence])


def test_duplicated_names_of_pandas_are_refused():
    with pytest.raises(DataError, match="Two columns are called 'a'"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


FILES = {
    "e.csv": b"",
    "h.csv": b"a,b\n",
    "b.csv": b"a\0\0,b\n1,2\n",
    "r.csv": b"a,b\n1,2\n" + b"1,2,3\n" * 3,
    "x.npy": b"garbage",
    "x.npz": b"garbage",
    "x.parquet": b"garbage",
    "x.csv.gz": b"garbage",
    "x.docx": b"garbage",
}


@pytest.mark.parametrize("name", FILES)
def test_broken_files_are_refused_in_a_sentence(name, tmp_path):
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(DataError, match=r";.*[.?]$"):
        read_frame(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_frame(tmp_path / "absent.csv")


def test_twenty_thousand_columns_are_read():
    frame = read_frame(np.random.default_rng(0).normal(size=(5, 20_000)))
    assert MixedFormat.learn(frame).encode(frame).x.shape == (5, 20_000)


def test_text_is_numbers_or_dates_only_when_99_of_100_cells_read_so():
    for cell, kind in (("1.5", "numeric"), ("2024-01-02 10:00", "date")):
        cells = [cell, cell.replace("5", "6").replace("02 ", "03 ")] * 50
        few, many = ["odd", *cells[1:]], ["odd", "odd", *cells[2:]]
        found = [MixedFormat.learn(read_frame({"a": c})).columns[0] for c in (few, many)]
        assert [c.kind for c in found] == [kind, "category"]
        assert found[0].missing_share == pytest.approx(0.01)
