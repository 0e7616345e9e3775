"""CSV and Parquet files: as people write them, and as they break."""

import contextlib
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from lemari.errors import DataError, LemariError, UsageError
from lemari.sources import open_data

DATA = Path(os.environ.get("LEMARI_DATA") or "/nowhere")


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


def loaded(data, **options):
    source = open_data(data, **options)
    fmt = source.learn()
    return source, fmt, source.load(fmt)


WRITINGS = {
    "plain": "a,b\n1,2.5\n3,4\n",
    "no final newline": "a,b\n1,2.5\n3,4",
    "mark": "\ufeffa,b\n1,2.5\n3,4\n",
    "semicolons": "a;b\n1;2.5\n3;4\n",
    "decimal commas": "a;b\n1;2,5\n3;4,0\n",
    "tabs": "a\tb\n1\t2.5\n3\t4\n",
    "windows": "a,b\r\n1,2.5\r\n3,4\r\n",
    "spaces": "a, b\n 1, 2.5\n3 ,4\n",
    "quotes": '"a","b"\n"1","2.5"\n3,4\n',
    "blank lines": "\n\na,b\n1,2.5\n\n3,4\n\n",
    "exponents": "a,b\n1e0,25e-1\n+3,4.\n",
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("packed", [False, True])
def test_writings(tmp_path, writing, packed):
    data = WRITINGS[writing].encode()
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    source, fmt, rows = loaded(path)
    assert fmt.columns == ("a", "b") and source.kind == "table"
    np.testing.assert_allclose(fmt.to_user(rows.x), [[1, 2.5], [3, 4]], atol=1e-6)
    assert rows.ids == ("row 00000", "row 00001") and not rows.skipped


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_encodings(tmp_path, encoding):
    path = write(tmp_path / "t.csv", "größe,b\n1,2\n3,4\n", encoding)
    assert open_data(path).columns == ("größe", "b")


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_without_a_header(tmp_path, start):
    source, fmt, rows = loaded(write(tmp_path / "t.csv", f"{start}1,2\n3,4\n"))
    assert fmt.columns == ("column 0", "column 1") and len(rows) == 2
    text = "5.1,3.5,setosa\n4.9,3.0,setosa\n6.0,2.9,virginica\n"
    source, _, rows = loaded(write(tmp_path / "iris.csv", text), label="column 2")
    assert rows.classes == ("setosa", "virginica") and rows.y.tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", ["label", "Class", "TARGET", "y"])
def test_label_columns(tmp_path, name):
    path = write(tmp_path / "t.csv", f"a,{name},b\n1,10,2\n3,9,4\n5,10,6\n")
    source, fmt, rows = loaded(path)
    assert rows.classes == ("9", "10") and rows.y.tolist() == [1, 0, 1]
    assert fmt.columns == ("a", "b") and fmt.classes == rows.classes


def test_text_labels_missing_labels_and_a_chosen_column(tmp_path):
    path = write(tmp_path / "t.csv", "a,sort,label\n1,x,0\n2, y ,1\n3,,0\n")
    _, _, rows = loaded(path, label="sort", drop=["label"])
    assert rows.classes == ("x", "y") and rows.y.tolist() == [0, 1, -1]
    with pytest.raises(UsageError, match="no column 'sorts'; the nearest are sort"):
        open_data(path, label="sorts")
    with pytest.raises(UsageError, match="drop names 'labl'"):
        open_data(path, label="sort", drop="labl")


def test_a_continuous_target_is_no_class(tmp_path):
    source, fmt, rows = loaded(write(tmp_path / "t.csv", "a,target\n1,0.25\n2,0.5\n"))
    assert rows.y is None and fmt.columns == ("a",)
    assert "column 'target' has no fixed set of classes and is left out" in source.notes


def test_missing_values_are_imputed_and_counted(tmp_path):
    path = write(tmp_path / "t.csv", "a,b\n1,2\n,4\nNA,6\n5,nan\n3,8\n")
    source, fmt, rows = loaded(path)
    assert np.isfinite(rows.x).all() and fmt.impute == (3.0, 5.0)
    assert "3 missing values are replaced by the median of their column" in source.notes
    np.testing.assert_allclose(fmt.to_user(rows.x)[1], [3, 4], atol=1e-5)
    other = open_data(write(tmp_path / "u.csv", "b,a\n2,\n4,1\n"))
    np.testing.assert_allclose(fmt.to_user(other.load(fmt).x), [[3, 2], [1, 4]], atol=1e-5)


def test_constant_columns_are_fine(tmp_path):
    _, fmt, rows = loaded(write(tmp_path / "t.csv", "a,b\n7.1,1\n7.1,2\n7.1,4\n"))
    assert fmt.scale[0] == 1 and np.abs(rows.x[:, 0]).max() < 1e-6


def test_columns_are_matched_by_name(tmp_path):
    fmt = open_data(write(tmp_path / "t.csv", "a,b\n1,2\n3,5\n")).learn()
    other = open_data(write(tmp_path / "u.csv", "b,extra,a\n2,9,1\n5,9,3\n")).load(fmt)
    np.testing.assert_allclose(fmt.to_user(other.x), [[1, 2], [3, 5]], atol=1e-6)
    with pytest.raises(DataError, match="no column 'b', which this model was trained on"):
        open_data(write(tmp_path / "v.csv", "a,c\n1,2\n3,4\n")).load(fmt)


def pixel_text(rows=6, side=28, header=True, seed=0):
    x = np.random.default_rng(seed).integers(0, 256, (rows, side * side))
    lines = ["label," + ",".join(f"pixel{i + 1}" for i in range(side * side))] if header else []
    lines += [f"{i % 3}," + ",".join(map(str, row)) for i, row in enumerate(x)]
    return x, "\n".join(lines) + "\n"


@pytest.mark.parametrize("header", [True, False])
def test_pixel_columns_are_pictures(tmp_path, header):
    x, text = pixel_text(header=header)
    source, fmt, rows = loaded(write(tmp_path / "t.csv", text))
    assert rows.x.shape == (6, 1, 28, 28) and rows.x.dtype == np.uint8 and fmt.layout == "flat"
    np.testing.assert_array_equal(rows.x.reshape(6, -1), x)
    assert rows.y.tolist() == [0, 1, 2, 0, 1, 2] and rows.classes == ("0", "1", "2")
    assert any("28x28 gray pictures" in n for n in source.notes)
    assert any("read as the label" in n for n in source.notes) is not header


def test_shape_says_that_columns_are_pixels(tmp_path):
    x = np.random.default_rng(0).random((4, 75)).round(4)
    path = write(tmp_path / "t.csv", "\n".join(",".join(map(str, r)) for r in x))
    _, fmt, rows = loaded(path, shape=(3, 5, 5))
    assert fmt.native == (5, 5) and rows.x.shape == (4, 3, 8, 8)
    with pytest.raises(UsageError, match="does not fit the 75 columns"):
        open_data(path, shape=(3, 5, 6))


def test_ragged_rows_are_listed_by_line(tmp_path):
    path = write(tmp_path / "t.csv", "a,b\n1,2\n3\n5,6\n7,8,9\n1,1\n")
    source, _, rows = loaded(path)
    found = [(s.item, s.reason) for s in rows.skipped]
    assert found == [("line 3", "1 columns instead of 2"), ("line 5", "3 columns instead of 2")]
    assert len(rows) == 3 and source.inspect()["skipped"][0]["file"] == "line 3"
    with pytest.raises(DataError, match="2 of 5 items cannot be used"):
        open_data(path, max_skipped=0.1)


def damaged_pixels(tmp, *cells):
    """A file of 300 pictures with these cells in the column pixel7 of lines 251, 252 ..."""
    _, text = pixel_text(300, 8)
    lines = text.splitlines()
    for at, cell in enumerate(cells, 250):
        row = lines[at].split(",")
        row[7] = cell
        lines[at] = ",".join(row)
    return write(tmp / "p.csv", "\n".join(lines))


@pytest.mark.parametrize("cells", [("abc",), ("",), ("nan",), ("inf",), ("abc", "", "inf", "1_0")])
def test_rows_of_pixels_that_cannot_be_used_are_left_out_and_listed(tmp_path, cells):
    source, fmt, rows = loaded(damaged_pixels(tmp_path, *cells))
    whole, _, all_rows = loaded(damaged_pixels(tmp_path))
    assert fmt.kind == "image" and rows.x.dtype == np.uint8
    kept = [i for i in range(300) if not 249 <= i < 249 + len(cells)]
    np.testing.assert_array_equal(rows.x, all_rows.x[kept])
    np.testing.assert_array_equal(rows.y, all_rows.y[kept])
    assert len(rows.skipped) == len(cells) and "pixel7" in rows.skipped[0].reason
    if cells[0] == "abc":
        assert rows.skipped[0].item == "line 251" and "'abc'" in rows.skipped[0].reason


def test_rows_with_text_in_a_table_are_left_out_and_listed(tmp_path):
    source, _, rows = loaded(write(tmp_path / "a.csv", "a;b\n1;2,5\n3;x\n5;6\n7;\n1;1_000\n"))
    assert source.kind == "table" and source.values[:, 0].tolist() == [1, 5, 7]
    assert source.values[0, 1] == 2.5 and np.isnan(source.values[2, 1])
    assert [s.item for s in rows.skipped] == ["line 3", "line 6"]


def faults(tmp):
    yield write(tmp / "b.csv", "a,name\n1,tom\n2,eva\n"), "Column 'name' .*--drop name"
    yield write(tmp / "c.csv", ""), "is empty"
    yield write(tmp / "d.csv", "\n\n \n"), "is empty"
    yield write(tmp / "e.csv", "a,b\n"), "no row of numbers"
    yield write(tmp / "f.csv", "a,a\n1,2\n"), "two columns called 'a'"
    yield write(tmp / "g.csv", "label\n1\n2\n"), "no column of numbers"
    yield write(tmp / "h.csv", bytes(range(256)) * 9), "CSV|table|text|row|column"
    yield write(tmp / "i.csv", "a,b\n1,inf\n2,3\n"), "Column 'b' holds an infinite value"
    yield write(tmp / "j.csv", "a,b\n1,\n2,\n"), "Column 'b' holds no number at all"
    yield write(tmp / "k.csv.gz", b"no gzip"), "cannot be read as a table"
    packed = gzip.compress(("a,b\n" + "1,2\n" * 9999).encode())
    yield write(tmp / "l.csv.gz", packed[: len(packed) // 2]), "cannot be read as a table"
    yield write(tmp / "m.csv", "a,b\n1,x\n2,y\n4,4\n5,5\n6,z\n"), "Column 'b' holds text"
    yield write(tmp / "n.parquet", b"PAR1 no parquet"), "cannot be read as Parquet"
    yield write(tmp / "o.parquet", b""), "cannot be read as Parquet"


def test_faults_are_sentences(tmp_path):
    for path, sentence in faults(tmp_path):
        with pytest.raises(DataError, match=sentence):
            loaded(path)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("lemari.sources.csvfile.HEAD", 1000)
    with pytest.raises(DataError, match="first line of over"):
        open_data(write(tmp_path / "t.csv", "1," * 5000))


def test_too_many_rows_for_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("lemari.sources.columns.available_memory", lambda: 1000)
    path = write(tmp_path / "t.csv", "a,b\n" + "1.5,2\n" * 500)
    with pytest.raises(DataError, match="too many for the memory"):
        open_data(path)


def test_blocks_of_a_large_file_join(tmp_path, monkeypatch):
    monkeypatch.setattr("lemari.sources.csvfile.BLOCK", 5000)
    text = "a,b,label\n" + "".join(f"{i},{i / 2},{i % 4}\n" for i in range(5000))
    source, fmt, rows = loaded(write(tmp_path / "t.csv", text))
    assert source.values[:, 0].tolist() == list(range(5000)) and len(rows.y) == 5000
    assert rows.y.tolist() == [i % 4 for i in range(5000)]


def parquet(path, **columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


def test_parquet(tmp_path):
    path = parquet(
        tmp_path / "t.parquet", a=[1.0, None, 3.0], b=[True, False, True], label=["u", "v", None]
    )
    source, fmt, rows = loaded(path)
    assert fmt.columns == ("a", "b") and rows.y.tolist() == [0, 1, -1]
    assert source.values[:, 1].tolist() == [1, 0, 1] and np.isnan(source.values[1, 0])
    with pytest.raises(DataError, match="Column 'name' holds text"):
        open_data(parquet(tmp_path / "u.parquet", a=[1], name=["x"]))
    with pytest.raises(DataError, match="Column 'list' holds"):
        open_data(parquet(tmp_path / "v.parquet", a=[1], list=[[1, 2]]))


def test_parquet_pixels(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (5, 64))
    path = parquet(tmp_path / "t.parquet", **{f"p{i}": x[:, i] for i in range(64)})
    _, _, rows = loaded(path)
    np.testing.assert_array_equal(rows.x.reshape(5, 64), x)


def test_changed_files_never_escape_as_another_error(tmp_path):
    import pyarrow  # noqa: F401

    good = parquet(tmp_path / "t.parquet", a=list(range(50)), b=[0.5] * 50).read_bytes()
    text = pixel_text(4, 8)[1].encode()
    random = np.random.default_rng(0)
    for name, whole in (("t.parquet", good), ("t.csv", text), ("t.csv.gz", gzip.compress(text))):
        for _ in range(40):
            data = bytearray(whole)
            for i in random.integers(0, len(data), 4):
                data[i] = random.integers(256)
            with contextlib.suppress(LemariError):
                loaded(write(tmp_path / name, bytes(data)))


@pytest.mark.skipif(not DATA.is_dir(), reason="$LEMARI_DATA is not set")
def test_the_real_table():
    path = DATA / "creditcard/creditcard_subset.csv.gz"
    if not path.exists():
        pytest.skip("$LEMARI_DATA holds no creditcard table")
    with pytest.raises(DataError, match="Column 'sampling' holds text"):
        open_data(path)
    _, fmt, rows = loaded(path, drop="sampling")
    assert rows.x.shape == (10374, 30) and rows.classes == ("0", "1")


def test_a_row_number_that_was_saved_along_is_left_out(tmp_path):
    rows = "".join(f"{i},{i % 3},{i * 0.5}\n" for i in range(20))
    source, _, rows = loaded(write(tmp_path / "a.csv", ",label,x\n" + rows))
    assert source.columns == ("x",) and any("counts the rows" in note for note in source.notes)
    named, _, _ = loaded(write(tmp_path / "b.csv", "n,label,x\n1,0,2\n2,1,3\n3,1,9\n"))
    assert named.columns == ("n", "x")


def test_a_quote_that_is_never_closed_is_told(tmp_path):
    lines = [f"{i},{i * 2},{i * 3}" for i in range(40)]
    lines[6] = '"' + lines[6]
    with pytest.raises(DataError, match="never closed near line"):
        loaded(write(tmp_path / "q.csv", "a,b,c\n" + "\n".join(lines) + "\n"))


def test_numbers_from_0_to_1_in_a_square_are_asked_about(tmp_path):
    x = np.random.default_rng(0).random((9, 64))
    source = open_data(x)
    source.learn()
    assert any("--shape 1,8,8" in note for note in source.notes)
    assert open_data(x, shape=(1, 8, 8)).kind == "image"
