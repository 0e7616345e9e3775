"""Arrays in Python and NumPy files: layouts, value ranges, labels, and what is refused."""

import contextlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lemari.errors import DataError, LemariError, UsageError
from lemari.sources import open_data

DATA = Path(os.environ.get("LEMARI_DATA") or "/nowhere")


def loaded(data, **options):
    source = open_data(data, **options)
    fmt = source.learn()
    return source, fmt, source.load(fmt)


def bytes_of(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("shape", "layout", "stored"),
    [
        ((20, 28, 28), "hw", (1, 28, 28)),
        ((20, 28, 20, 3), "hwc", (3, 28, 20)),
        ((20, 28, 28, 1), "hwc", (1, 28, 28)),
        ((20, 3, 28, 20), "chw", (3, 28, 20)),
        ((20, 784), "flat", (1, 28, 28)),
        ((20, 3, 28, 3), "hwc", (3, 8, 28)),
        ((20, 5, 5), "hw", (1, 8, 8)),
    ],
)
def test_layouts(shape, layout, stored):
    x = bytes_of(*shape)
    source, fmt, rows = loaded(x)
    assert (source.kind, fmt.layout, rows.x.shape[1:]) == ("image", layout, stored)
    assert rows.ids[:2] == ("00000", "00001") and rows.y is None
    back = fmt.to_user(rows.x / 255.0)
    assert back.shape == x.shape
    if rows.x[0].size == x[0].size:
        np.testing.assert_allclose(back, x, atol=1e-9)


def test_ambiguous_axes_are_noted_and_shape_decides():
    x = bytes_of(6, 3, 10, 4)
    assert any("read as (N, H, W, C)" in n for n in open_data(x).notes)
    _, fmt, rows = loaded(x, shape=(3, 10, 4))
    assert fmt.layout == "chw" and rows.x.shape[1] == 3


def test_rows_become_pictures_by_shape_or_by_their_look():
    x = bytes_of(10, 192)
    assert open_data(x).kind == "table"
    source, fmt, _ = loaded(x, shape=(3, 8, 8))
    assert source.kind == "image" and fmt.shape == (3, 8, 8) and fmt.layout == "flat"
    assert open_data(bytes_of(10, 64), shape=(8, 8)).shape == (1, 8, 8)
    (note,) = open_data(bytes_of(10, 784)).notes
    assert note == "rows of 784 whole numbers from 0 to 255 are read as 28x28 gray pictures"
    with pytest.raises(UsageError, match="has 12 numbers, but the rows have 192"):
        open_data(x, shape=(3, 2, 2))


@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(0).random((9, 64)),
        np.random.default_rng(0).integers(-3, 200, (9, 64)),
        np.random.default_rng(0).integers(0, 2, (9, 64)),
        np.random.default_rng(0).integers(0, 256, (9, 49)),
        np.random.default_rng(0).integers(0, 256, (9, 65)),
        np.random.default_rng(0).integers(0, 300, (9, 64)),
    ],
    ids=["fractions", "negative", "binary", "7x7", "no square", "above 255"],
)
def test_other_rows_are_tables(x):
    source, fmt, rows = loaded(x)
    assert (source.kind, fmt.kind, rows.x.dtype) == ("table", "table", np.float32)
    np.testing.assert_allclose(rows.x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(fmt.to_user(rows.x), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("x", "dtype", "levels", "low", "high", "note"),
    [
        (bytes_of(4, 9, 9), "uint8", 255, 0, 255, False),
        (bytes_of(4, 9, 9) > 99, "uint8", 1, 0, 1, False),
        (bytes_of(4, 9, 9).astype(np.int64), "uint8", 255, 0, 255, False),
        (bytes_of(4, 9, 9).astype(np.float64), "uint8", 255, 0, 255, False),
        (bytes_of(4, 9, 9).astype(np.uint16) * 257, "uint16", 65535, 0, 65535, False),
        (bytes_of(4, 9, 9).astype(">u2") * 257, "uint16", 65535, 0, 65535, False),
        (bytes_of(4, 9, 9) % 17 * 1.0, "uint8", 16, 0, 16, True),
        (bytes_of(4, 9, 9) / 255, "float32", 0, 0, 1, False),
        (bytes_of(4, 9, 9) / 255 - 0.5, "float32", 0, -0.5, 0.5, True),
        (bytes_of(4, 9, 9) / 1.0 - 9, "float32", 0, -9, 246, True),
        (np.zeros((4, 9, 9)), "float32", 0, 0, 1, False),
        (np.full((4, 9, 9), 7.5), "float32", 0, 7.5, 8.5, True),
        (bytes_of(4, 9, 9).astype(np.int64) * 10**6, "float32", 0, 0, 255e6, True),
        (bytes_of(4, 9, 9).astype(np.float16) / 255, "float32", 0, 0, 1, False),
    ],
)
def test_value_ranges(x, dtype, levels, low, high, note):
    source, fmt, rows = loaded(x)
    assert (fmt.dtype, fmt.levels, rows.x.dtype) == (dtype, levels, dtype)
    assert (fmt.low, fmt.high) == pytest.approx((low, high), abs=0.01)
    assert any("pixel range" in n for n in source.notes) == note
    unit = (rows.x[:, 0] - fmt.low) / (fmt.high - fmt.low)
    np.testing.assert_allclose(fmt.to_user(unit[:, None].astype(np.float64)), x, rtol=1e-3)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.zeros(9), "cannot be read as examples"),
        (np.zeros((2, 3, 4, 5, 6)), "cannot be read as examples"),
        (np.zeros((2, 5, 9, 9)), "with 1, 3 or 4 channels"),
        (np.zeros((28, 28, 3)), "one colour picture"),
        (np.zeros((0, 28, 28)), "empty"),
        (np.array(5), "cannot be read|one example"),
        (np.array([["a", "b"]]), "Numbers are needed"),
        ([[1, 2], [3]], "do not form one array"),
        ([{"a": 1}], "Numbers are needed"),
        (None, "Numbers are needed|cannot be read"),
        (np.full((3, 9, 9), np.inf), "Row 0 holds a value that is not finite"),
        (np.array([[0, 1.0], [np.nan, 1]]), "Column 'column 0' holds nan in row 1"),
    ],
)
def test_unusable_arrays(x, sentence):
    with pytest.raises(DataError, match=sentence):
        open_data(x)


def test_size_and_channels():
    colour = bytes_of(5, 20, 10, 3)
    _, fmt, rows = loaded(colour, size=(10, 12), channels=1)
    assert rows.x.shape == (5, 1, 10, 12) and fmt.layout == "hw"
    gray = open_data(colour, channels=1)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray.load(gray.learn()).x[:, 0], luma, atol=0.51)
    _, _, rows = loaded(bytes_of(5, 64), channels=3)
    assert rows.x.shape == (5, 3, 8, 8) and (rows.x[:, 0] == rows.x[:, 2]).all()
    with pytest.raises(UsageError, match="channels=4 cannot be made from 3"):
        open_data(colour, channels=4)


def test_labels_for_an_array_and_classes_by_name():
    x = bytes_of(4, 9, 9)
    _, fmt, rows = loaded(x, label=["b", "a10", "a9", "b"])
    assert rows.classes == ("a9", "a10", "b") and rows.y.tolist() == [2, 1, 0, 2]
    other = open_data(x, label=["new", "b", None, float("nan")]).load(fmt)
    assert other.classes == rows.classes and other.y.tolist() == [-1, 2, -1, -1]
    with pytest.raises(UsageError, match="2 labels were given for 4 examples"):
        open_data(x, label=[1, 2])


def test_a_format_without_classes_leaves_labels():
    x = bytes_of(2, 9, 9)
    fmt = open_data(x).learn()
    assert open_data(x, label=[5, 3]).load(fmt).classes == ("3", "5")


def test_data_frames():
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0], "kind": ["x", "y"], "b": [3, 4]})
    source, fmt, rows = loaded(frame, label="kind")
    assert fmt.columns == ("a", "b") and rows.classes == ("x", "y")
    assert open_data(frame, drop="kind").columns == ("a", "b")
    with pytest.raises(UsageError, match="no column 'c'"):
        open_data(frame, label="c")
    with pytest.raises(DataError, match="Numbers are needed"):
        open_data(frame)


def test_a_map_on_disk_holds_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("LEMARI_CACHE", str(tmp_path / "spool"))
    x = bytes_of(30, 28, 28, 3)
    source = open_data(x, size=12)
    fmt = source.learn()
    small, big = source.load(fmt), source.load(fmt, memory_limit=100)
    assert isinstance(big.x, np.memmap) and not isinstance(small.x, np.memmap)
    np.testing.assert_array_equal(small.x, big.x)
    assert not list((tmp_path / "spool").iterdir())


def test_no_room_on_disk_is_a_sentence(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    source = open_data(bytes_of(3, 28, 28), size=12)
    with pytest.raises(DataError, match="No space left on device.*LEMARI_CACHE"):
        source.load(source.learn(), memory_limit=0)


def test_npy_stays_on_disk(tmp_path):
    x = bytes_of(40, 16, 16)
    np.save(tmp_path / "x.npy", x)
    source, _, rows = loaded(tmp_path / "x.npy")
    assert isinstance(source.array, np.memmap) and np.shares_memory(rows.x, source.array)
    np.testing.assert_array_equal(rows.x[:, 0], x)
    assert source.name == "x.npy"


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("key", ["x", "images", "data", "X", "whatever"])
@pytest.mark.parametrize("label", ["y", "labels", "label", "group"])
def test_npz_keys(tmp_path, key, label):
    path = npz(tmp_path / "a.npz", **{key: bytes_of(6, 9, 9), label: np.arange(6) % 3})
    _, _, rows = loaded(path)
    assert rows.x.shape == (6, 1, 9, 9) and rows.y.tolist() == [0, 1, 2, 0, 1, 2]


def test_npz_names_attributes_and_chosen_label(tmp_path):
    arrays = {
        "images": bytes_of(6, 9, 9),
        "label": np.array([1, 0, 1, 0, 1, 0]),
        "other": np.arange(6),
        "class_names": np.array(["no", "yes"]),
        "attributes": np.zeros((6, 20)),
    }
    path = npz(tmp_path / "a.npz", **arrays)
    source, _, rows = loaded(path)
    assert rows.classes == ("no", "yes") and rows.y[0] == 1
    assert "'attributes' of shape (6, 20) is not used" in source.notes
    assert len(loaded(path, label="other")[2].classes) == 6
    with pytest.raises(UsageError, match="label='gone' is not an array of 6 labels"):
        open_data(path, label="gone")


def test_npz_with_parts(tmp_path):
    parts = {}
    for part, n in (("train", 8), ("val", 3), ("test", 5)):
        parts |= {f"{part}_images": bytes_of(n, 9, 9, 3), f"{part}_labels": np.ones((n, 1), int)}
    path = npz(tmp_path / "a.npz", **parts)
    for split, n in (("train", 8), ("val", 3), ("test", 5), ("all", 16)):
        source, _, rows = loaded(path, split=split)
        assert len(rows) == n == len(rows.y) and source.official_split
    assert rows.ids[8] == "val/00000"
    del parts["test_images"]
    with pytest.raises(UsageError, match="no 'test' part"):
        open_data(npz(tmp_path / "b.npz", **parts), split="test")


class Trap:
    """A pickle of it would leave a file behind."""

    def __reduce__(self):
        return (open, ("trapped", "w"))


def objects(*items):
    out = np.empty(len(items), object)
    out[:] = items
    return out


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def claim(path, text):
    """A .npy file whose header says `text` about its shape."""
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {text}, }}"
    head = head.ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head.encode() + b"abc")
    return path


def broken_files(tmp):
    np.save(tmp / "o.npy", objects(Trap(), Trap()), allow_pickle=True)
    yield tmp / "o.npy", "holds Python objects"
    yield npz(tmp / "o.npz", x=bytes_of(3, 9, 9), y=objects(Trap(), 1, 2)), "'y' in o.npz holds Py"
    np.save(tmp / "s.npy", np.zeros(3, [("a", int), ("b", float)]))
    yield tmp / "s.npy", "Numbers are needed"
    np.save(tmp / "c.npy", bytes_of(9, 9, 9))
    yield cut(tmp / "c.npy", 0.5), "cannot be read as a NumPy file"
    yield cut(npz(tmp / "c.npz", x=bytes_of(99, 9, 9)), 0.5), "cannot be read as a NumPy file"
    for name in ("e.npy", "e.npz"):
        (tmp / name).write_bytes(b"")
        yield tmp / name, "cannot be read as a NumPy file"
        (tmp / f"t{name}").write_text("hello" * 99)
        yield tmp / f"t{name}", "cannot be read as a NumPy file"
    yield claim(tmp / "huge.npy", "(1000000000000, 28, 28)"), "cannot be read"
    yield claim(tmp / "neg.npy", "(-5, 28)"), "cannot be read|cannot be used"
    yield claim(tmp / "code.npy", "__import__('os').getcwd()"), "cannot be read"
    with zipfile.ZipFile(tmp / "huge.npz", "w") as archive:
        archive.write(tmp / "huge.npy", "x.npy")
    yield tmp / "huge.npz", "more than the memory"
    with zipfile.ZipFile(tmp / "none.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    yield tmp / "none.npz", "holds no array"
    yield npz(tmp / "two.npz", a=bytes_of(3, 9, 9), b=bytes_of(4, 9, 9)), "call the array"
    np.save(tmp / "zero.npy", np.zeros((0, 9, 9)))
    yield tmp / "zero.npy", "empty"
    x = np.zeros((9, 9, 9))
    x[4, 1] = np.nan
    yield npz(tmp / "nan.npz", x=x), "Row 4 holds a value that is not finite"
    np.save(tmp / "nan.npy", x)
    yield tmp / "nan.npy", "Row 4 holds a value that is not finite"
    np.save(tmp / "table.npy", x[:, 0] + [0, 0, np.inf, 0, 0, 0, 0, 0, 0])
    yield tmp / "table.npy", "Column 'column 2' holds inf in row 0"


def test_broken_numpy_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, sentence in broken_files(tmp_path):
        with pytest.raises(DataError, match=sentence):
            open_data(path)
    assert not (tmp_path / "trapped").exists()


def test_a_changed_npz_never_escapes_as_another_error(tmp_path):
    good = io.BytesIO()
    np.savez_compressed(good, x=bytes_of(5, 9, 9), y=np.arange(5))
    random = np.random.default_rng(0)
    path = tmp_path / "fuzz.npz"
    for _ in range(150):
        data = bytearray(good.getvalue())
        for i in random.integers(0, len(data), 3):
            data[i] = random.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(LemariError):
            loaded(path)


def test_inspect(tmp_path):
    path = npz(tmp_path / "a.npz", x=bytes_of(6, 9, 7), y=np.arange(6))
    facts = open_data(path).inspect()
    assert set(facts) >= {"kind", "examples", "shape", "classes", "skipped", "dtype", "range"}
    assert (facts["examples"], facts["shape"], facts["labels"]) == (6, [1, 9, 7], True)
    assert facts["name"] == "a.npz" and facts["dtype"] == "uint8"


@pytest.mark.skipif(not DATA.is_dir(), reason="$LEMARI_DATA is not set")
@pytest.mark.parametrize(
    ("file", "shape", "classes"),
    [
        ("faces/sfhq_faces_64.npz", (1627, 3, 64, 64), 0),
        ("sprites/lpc_sprites_64.npz", (8000, 3, 64, 64), 0),
        ("image-anomaly/infrared_solar_modules.npz", (20000, 1, 40, 24), 12),
        ("image-anomaly/pneumoniamnist.npz", (4708, 1, 28, 28), 2),
        ("adbench/14_glass.npz", (214, 7), 2),
    ],
)
def test_the_real_arrays(file, shape, classes):
    if not (DATA / file).exists():
        pytest.skip(f"$LEMARI_DATA holds no {file}")
    _, _, rows = loaded(DATA / file)
    assert rows.x.shape == shape and len(rows.classes) == classes


def test_a_shape_that_is_not_that_of_the_pictures_is_refused(tmp_path):
    x = np.zeros((5, 12, 10), np.uint8)
    assert open_data(x, shape=(1, 12, 10)).learn().shape == (1, 12, 10)
    for wrong in ((3, 12, 10), (1, 10, 12), (1, 4, 30)):
        with pytest.raises(UsageError, match="leave shape"):
            open_data(x, shape=wrong)


def test_labels_that_cannot_be_used_are_told(tmp_path):
    x = np.zeros((40, 9, 9), np.uint8)
    for y, told in ((np.arange(39), "'y' of shape"), (np.linspace(0, 1, 40), "no fixed set")):
        np.savez(tmp_path / "a.npz", x=x, y=y)
        source = open_data(tmp_path / "a.npz")
        assert source.y is None and any(told in note for note in source.notes)
