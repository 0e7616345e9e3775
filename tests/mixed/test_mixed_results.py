"""Inspecting a table, and writing rows that no spreadsheet runs."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from lemari.errors import RunError, UsageError
from lemari.mixed.cells import text_from
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import read_frame
from lemari.mixed.inspecting import described_frame
from lemari.mixed.writing import write_rows

NASTY = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "fine", None, "it's = fine"]
SAFE = ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "fine", "", "it's = fine"]


def test_a_described_table_is_json():
    table = {
        "n": [1, 5, 3],
        "x": [0.5, None, 2.5],
        "c": ["a", "b", "a"],
        "b": [True, False, True],
        "t": np.array(["2024-01-01", "2024-01-02T10:00", "2024-01-03"], "datetime64[s]"),
        "none": [None] * 3,
        "y": ["bad", "good", "good"],
    }
    frame = read_frame(table, label="y")
    found = described_frame(frame, MixedFormat.learn(frame))
    json.dumps(found, allow_nan=False)
    columns = {c["name"]: c for c in found["columns"]}
    assert found["rows"] == 3 and found["labels"] == {"good": 2, "bad": 1}
    assert columns["n"]["range"] == [1, 5] and columns["x"]["missing"] == 1
    assert columns["c"]["levels"] == 2 and columns["c"]["most_frequent"] == {"a": 2, "b": 1}
    assert columns["b"]["words"] == ["False", "True"]
    assert columns["t"]["range"] == ["2024-01-01", "2024-01-03"]
    assert columns["none"]["kind"] == "ignored" and "missing" in columns["none"]["note"]


@pytest.mark.parametrize("make", [list, text_from, lambda cells: np.array(cells, dtype=object)])
def test_formulas_get_an_apostrophe_in_csv(make, tmp_path):
    numbers = np.array([-1.5, 2, 3, 4, 5, 6, 7, np.nan, -9])
    path = write_rows(tmp_path / "out.csv", {"=name": make(NASTY), "score": numbers})
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["'=name", "score"]
    trimmed = ["x" if cell in ("'\tx", "'\rx") else cell for cell in SAFE]
    cells = [row[0] for row in rows[1:]]
    assert cells == (trimmed if make is text_from else SAFE)
    assert not any(c.startswith(tuple("=+-@\t\r")) for c in cells)
    assert float(rows[1][1]) == -1.5 and rows[8][1] == ""


def test_parquet_keeps_text_and_numbers(tmp_path):
    path = write_rows(
        tmp_path / "out.parquet", {"c": NASTY, "n": np.arange(9), "m": [1, "a"] + [None] * 7}
    )
    table = pq.read_table(path).to_pydict()
    assert (
        table["c"] == NASTY and table["n"] == list(range(9)) and table["m"][:3] == ["1", "a", None]
    )


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("before")
    with pytest.raises(ValueError, match="."):
        write_rows(path, {"a": [1, 2], "b": [1]})
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        write_rows(tmp_path / "out.xlsx", {"a": [1]})
    with pytest.raises(RunError):
        write_rows(path / "under.csv", {"a": [1]})
