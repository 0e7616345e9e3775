"""The named sets: digits, and the IDX files with everything that can be wrong with them."""

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lemari.errors import DataError, LemariError, UsageError
from lemari.sources import idx, open_data

DATA = os.environ.get("LEMARI_DATA", "")
REAL = pytest.mark.skipif(
    not Path(DATA, "mnist").is_dir() or not DATA, reason="$LEMARI_DATA holds no MNIST"
)


def idx_bytes(array):
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_set(folder, train=20, test=10, packed=True):
    """A small set with the names of MNIST's files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for part, n in (("train", train), ("t10k", test)):
        x, y = random.integers(0, 256, (n, 28, 28)), np.arange(n) % 10
        for name, array in (("images-idx3", x), ("labels-idx1", y)):
            file = folder / f"{part}-{name}-ubyte"
            if packed:
                file.with_name(file.name + ".gz").write_bytes(gzip.compress(idx_bytes(array)))
            else:
                file.write_bytes(idx_bytes(array))


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch, tmp_path):
    monkeypatch.setenv("LEMARI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LEMARI_DATA", raising=False)


def test_digits():
    source = open_data("digits")
    fmt = source.learn()
    rows = source.load(fmt)
    assert rows.x.shape == (1797, 1, 8, 8) and rows.x.dtype == np.uint8
    assert (fmt.levels, fmt.low, fmt.high, rows.x.max()) == (16, 0, 16, 16)
    assert rows.classes == tuple("0123456789") and rows.y.dtype == np.int64
    assert not source.official_split and len(rows.ids) == 1797 == len(source)


def test_digits_have_no_test_part():
    with pytest.raises(UsageError, match="no 'test' part"):
        open_data("digits", split="test")


def test_a_chosen_size_is_the_networks():
    source = open_data("digits", size=16)
    fmt = source.learn()
    assert fmt.shape == (1, 16, 16) and fmt.native == (8, 8)
    assert source.load(fmt).x.shape == (1797, 1, 16, 16)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["name", "folder", "LEMARI_DATA", "LEMARI_CACHE"])
def test_places_are_searched(tmp_path, monkeypatch, packed, place):
    folder = tmp_path / "there"
    write_set(folder if place == "folder" else folder / "mnist", packed=packed)
    given = folder if place in ("name", "folder") else None
    if given is None:
        monkeypatch.setenv(place, str(folder))
    source = open_data("mnist", data_dir=given, download=False)
    assert len(source) == 20 and source.official_split and source.load(source.learn()).y[3] == 3


@pytest.mark.parametrize(
    ("split", "count", "first"),
    [("train", 20, "train/00000"), ("test", 10, "test/00000"), ("all", 30, "train/00000")],
)
def test_splits_and_ids(tmp_path, split, count, first):
    write_set(tmp_path / "fashion-mnist")
    source = open_data("fashion-mnist", data_dir=tmp_path, split=split)
    rows = source.load(source.learn())
    assert len(rows) == count == len(rows.ids) == len(rows.y) and rows.ids[0] == first
    assert rows.classes[9] == "Ankle boot" and rows.x.shape[1:] == (1, 28, 28)
    assert rows.x.flags.writeable


def test_static_draw_is_fixed_and_differs_by_split(tmp_path):
    write_set(tmp_path / "mnist", 20, 20)
    first, again, test, both = (
        open_data("mnist-static", data_dir=tmp_path, split=s).load(
            open_data("mnist-static", data_dir=tmp_path).learn()
        )
        for s in ("train", "train", "test", "all")
    )
    np.testing.assert_array_equal(first.x, again.x)
    assert set(np.unique(first.x)) == {0, 255} and not (first.x == test.x).all()
    np.testing.assert_array_equal(both.x, np.concatenate([first.x, test.x]))
    fmt = open_data("mnist-static", data_dir=tmp_path).learn()
    assert (fmt.levels, fmt.high) == (1, 255)


IMAGES = np.zeros((4, 28, 28))


def test_static_draws_of_equal_pictures_differ_by_split(tmp_path):
    write_set(tmp_path / "mnist", 10, 10)
    gray = gzip.compress(idx_bytes(np.full((10, 28, 28), 128)))
    for part in ("train", "t10k"):
        (tmp_path / f"mnist/{part}-images-idx3-ubyte.gz").write_bytes(gray)
    train, test = (
        open_data("mnist-static", data_dir=tmp_path, split=s).array for s in ("train", "test")
    )
    assert 0.4 < (train == test).mean() < 0.6 and abs(train.mean() - 128) < 10


BROKEN = {
    "empty": b"",
    "no gzip": b"hello world",
    "cut gzip": gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (4, 28, 28))))[
        :-900
    ],
    "bad checksum": gzip.compress(idx_bytes(IMAGES))[:-8] + b"\1" * 8,
    "short": gzip.compress(idx_bytes(IMAGES)[:-1]),
    "long": gzip.compress(idx_bytes(IMAGES) + b"x"),
    "magic": gzip.compress(b"\0\0\x0d\3" + idx_bytes(IMAGES)[4:]),
    "dims cut": gzip.compress(idx_bytes(IMAGES)[:9]),
    "absurd": gzip.compress(b"\0\0\x08\3" + b"\xff" * 12),
    "claims 2 GB": gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 1 << 31) + b"x"),
    "none": gzip.compress(b"\0\0\x08\3" + b"\0" * 12),
    "labels": gzip.compress(idx_bytes(np.zeros(4))),
    "other count": gzip.compress(idx_bytes(np.zeros((5, 28, 28)))),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_idx_files_are_refused_by_name(tmp_path, fault):
    write_set(tmp_path / "mnist", 4)
    (tmp_path / "mnist/train-images-idx3-ubyte.gz").write_bytes(BROKEN[fault])
    with pytest.raises(DataError, match="replace it|belong together"):
        open_data("mnist", data_dir=tmp_path)


def test_labels_above_nine_are_refused(tmp_path):
    write_set(tmp_path / "mnist", 4)
    labels = tmp_path / "mnist/train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx_bytes(np.array([1, 2, 3, 10]))))
    with pytest.raises(DataError, match="exceed 9"):
        open_data("mnist", data_dir=tmp_path)


def test_without_download_the_places_are_named(tmp_path):
    with pytest.raises(DataError, match=f"not found in {tmp_path}/mnist.*put it there or allow"):
        open_data("mnist", data_dir=tmp_path, download=False)


class Answer(io.BytesIO):
    headers = {"Content-Length": "999"}


def serve(monkeypatch, files):
    def urlopen(url, timeout):
        return Answer(files[url.rsplit("/", 1)[1]])

    monkeypatch.setattr("lemari.sources.download.urlopen", urlopen)


def test_download_is_checked_kept_and_reported(tmp_path, monkeypatch):
    write_set(tmp_path / "server")
    files = {p.name: p.read_bytes() for p in (tmp_path / "server").iterdir()}
    sums = {n.rsplit("-", 2)[0]: hashlib.sha256(b).hexdigest() for n, b in files.items()}
    monkeypatch.setitem(idx.SUMS, "mnist", sums)
    serve(monkeypatch, files)
    seen = []
    assert len(open_data("mnist", progress=lambda done, total: seen.append((done, total)))) == 20
    assert seen and all(0 < done <= total for done, total in seen)
    kept = sorted(p.name for p in (tmp_path / "cache/mnist").iterdir())
    assert kept == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert len(open_data("mnist", download=False)) == 20


def test_a_wrong_sum_leaves_nothing_behind(tmp_path, monkeypatch):
    serve(monkeypatch, {"train-images-idx3-ubyte.gz": b"other bytes"})
    with pytest.raises(DataError, match="not the published file"):
        open_data("mnist")
    assert not list((tmp_path / "cache/mnist").iterdir())


def test_offline_says_where_it_looked(tmp_path, monkeypatch):
    def offline(url, timeout):
        raise OSError("no route to host")

    monkeypatch.setattr("lemari.sources.download.urlopen", offline)
    with pytest.raises(DataError, match=r"not found in .*cache/mnist.*no route to host") as caught:
        open_data("mnist")
    assert caught.value.exit_code == 1
    assert not list((tmp_path / "cache/mnist").iterdir())


def test_an_unwritable_cache_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        open_data("mnist")


@pytest.mark.parametrize(
    ("name", "near"), [("minst", "mnist"), ("digit", "digits"), ("Fashion_MNIST", "fashion-mnist")]
)
def test_an_unknown_name_gets_the_nearest(name, near):
    with pytest.raises(UsageError, match=f"did you mean '{near}'") as caught:
        open_data(name)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", ["no/such/folder", "gone.csv", Path("gone"), "", "a\0b", "x\n"])
def test_a_missing_path_is_named(path):
    with pytest.raises(LemariError, match="not|neither"):
        open_data(path)


@pytest.mark.parametrize(
    "option",
    [
        {"split": "dev"},
        {"size": 0},
        {"size": (8, 8, 8)},
        {"size": (8.5, 8)},
        {"channels": 2},
        {"fit": "squash"},
        {"shape": (8,)},
        {"shape": (1, -8, 8)},
    ],
)
def test_impossible_options(option):
    with pytest.raises(UsageError, match="|".join(option)):
        open_data("digits", **option)


def test_nothing_heavy_is_imported_early():
    code = "import sys, lemari.sources; print({'torch','sklearn','pyarrow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "set()", answer.stderr


@REAL
@pytest.mark.parametrize(
    ("name", "mean"), [("mnist", 0.1307), ("fashion-mnist", 0.2860), ("mnist-static", 0.1307)]
)
def test_the_real_files(name, mean):
    source = open_data(name, data_dir=DATA, download=False)
    rows = source.load(source.learn())
    assert rows.x.shape == (60000, 1, 28, 28)
    assert abs(rows.x.mean() / 255 - mean) < 2e-4
