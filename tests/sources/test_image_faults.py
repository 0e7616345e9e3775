"""Picture files that are broken, hostile or no files at all: skipped with a reason, never more."""

import io
import os
import socket
import stat
import struct
import threading
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from lemari.errors import DataError, LemariError
from lemari.sources import open_data


def encoded(kind="PNG", size=(20, 20), seed=0):
    out = io.BytesIO()
    x = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(x).save(out, kind)
    return out.getvalue()


def png_claiming(width, height):
    """A small file whose header claims a size."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def floating():
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).random((9, 9)).astype(np.float32)).save(out, "TIFF")
    return out.getvalue()


HEADER_FAULTS = {
    "zero.png": (b"", "empty file"),
    "text.png": (b"hello, I am text", "not a PNG, JPEG"),
    "half_head.png": (encoded()[:20], "header|runcated|not a PNG|unpack|chunk"),
    "bomb.png": (png_claiming(60_000, 60_000), "exceed the limit of 200,000,000"),
    "wide.png": (png_claiming(50_000, 20), "over 100 times"),
    "float.tif": (floating(), "floating-point"),
    "camera.nef": (b"raw" * 99, "not a PNG, JPEG"),
    "drawing.svg": (b"<svg/>", "not a PNG, JPEG"),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", None),
}
DECODE_FAULTS = {
    "cut.png": encoded()[:700],
    "cut.jpg": encoded("JPEG")[:-300],
    "cut.bmp": encoded("BMP")[:-300],
    "cut.tif": encoded("TIFF")[:700],
    "small_claim.png": png_claiming(3000, 3000),
}


def good(folder, count=8):
    for i in range(count):
        (folder / f"good{i}.png").write_bytes(encoded(seed=i))


@pytest.mark.parametrize("name", HEADER_FAULTS)
def test_faults_in_the_header(tmp_path, name):
    data, reason = HEADER_FAULTS[name]
    good(tmp_path, 2)
    (tmp_path / name).write_bytes(data)
    source = open_data(tmp_path)
    assert len(source) == 2
    if reason:
        (one,) = source.skipped
        assert one.item == name and any(r in one.reason for r in reason.split("|")), one
    else:
        assert not source.skipped


@pytest.mark.parametrize("name", DECODE_FAULTS)
def test_faults_in_the_pixels_keep_ids_and_labels_aligned(tmp_path, name):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        good(tmp_path / folder, 3)
    (tmp_path / "a" / f"good1{name}").write_bytes(DECODE_FAULTS[name])
    source = open_data(tmp_path, size=20)
    rows = source.load(source.learn())
    assert [s.item for s in rows.skipped] == [f"a/good1{name}"] and rows.skipped[0].reason
    assert len(rows) == 6 == len(rows.y) == len(rows.ids)
    for x, y, name in zip(rows.x, rows.y, rows.ids, strict=True):
        assert rows.classes[y] == name[0]
        seed = int(name[-5])
        wanted = np.asarray(Image.open(io.BytesIO(encoded(seed=seed))))
        np.testing.assert_array_equal(np.moveaxis(x, 0, 2), wanted)
    assert [s["file"] for s in source.inspect()["skipped"]] == [s.item for s in rows.skipped]


@pytest.mark.parametrize("late", [False, True])
def test_too_many_faults_stop_with_the_first_reasons(tmp_path, late):
    good(tmp_path, 2)
    for i in range(3):
        (tmp_path / f"bad{i}.png").write_bytes(encoded()[:700] if late else b"text")
    with pytest.raises(DataError, match=r"3 of 5 items cannot be used \('bad0.png': .*max-skipped"):
        source = open_data(tmp_path)
        source.load(source.learn())
    source = open_data(tmp_path, max_skipped=0.7)
    assert len(source.load(source.learn())) == 2


@pytest.mark.parametrize("what", ["empty", "texts", "only broken", "only late"])
def test_a_folder_without_pictures(tmp_path, what):
    if what == "texts":
        (tmp_path / "a.txt").write_text("hello")
    if what.startswith("only"):
        (tmp_path / "a.png").write_bytes(b"" if what == "only broken" else encoded()[:700])
    with pytest.raises(DataError, match="no picture that can be used|cannot be used"):
        source = open_data(tmp_path, max_skipped=1.0)
        source.load(source.learn())


def test_the_pixel_budget_can_be_set(tmp_path):
    good(tmp_path, 2)
    (tmp_path / "big.png").write_bytes(encoded(size=(40, 40)))
    source = open_data(tmp_path, max_pixels=1000)
    assert source.skipped[0].reason == "40x40 pixels exceed the limit of 1,000"


def test_a_wide_picture_within_the_budget(tmp_path):
    Image.new("L", (50_000, 500), 77).save(tmp_path / "a.bmp")
    source = open_data(tmp_path)
    rows = source.load(source.learn())
    assert rows.x.shape == (1, 1, 64, 64) and (rows.x == 77).all()


def test_pillows_own_limit_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    good(tmp_path, 2)
    source = open_data(tmp_path)
    assert len(source.load(source.learn())) == 2 and Image.MAX_IMAGE_PIXELS == 100


def test_loops_pipes_sockets_and_devices_do_not_hang(tmp_path):
    good(tmp_path, 8)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "bare")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket.png"))
    found = []
    watch = threading.Thread(target=lambda: found.append(open_data(tmp_path)), daemon=True)
    watch.start()
    watch.join(20)
    assert found, "opening the folder hangs"
    reasons = {s.item: s.reason for s in found[0].skipped}
    assert set(reasons) == {
        "sub/up",
        "self.png",
        "dangling.png",
        "null.png",
        "pipe.png",
        "bare",
        "socket.png",
    }
    assert "pipe" in reasons["pipe.png"] and "socket" in reasons["socket.png"]
    assert "device" in reasons["null.png"] and "link" in reasons["sub/up"]


def test_a_pipe_given_as_path_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(DataError, match="neither a folder nor a regular file"):
        open_data(tmp_path / "pipe.npy")


def test_links_to_files_are_followed(tmp_path):
    (tmp_path / "d").mkdir()
    good(tmp_path, 2)
    for i in range(2):
        (tmp_path / "d" / f"{i}.png").symlink_to(tmp_path / f"good{i}.png")
    assert len(open_data(tmp_path / "d")) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_skipped(tmp_path):
    good(tmp_path, 3)
    (tmp_path / "good0.png").chmod(0)
    assert "Permission" in open_data(tmp_path).skipped[0].reason
    (tmp_path / "good0.png").chmod(stat.S_IRUSR)


def test_an_open_that_fails_is_a_reason(tmp_path, monkeypatch):
    good(tmp_path, 3)
    real = open

    def refuse(path, *rest, **more):
        if str(path).endswith("good0.png"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr("builtins.open", refuse)
    source = open_data(tmp_path)
    assert source.skipped[0].reason == "cannot be read (Permission denied)" and len(source) == 2


def test_a_file_that_vanishes_between_scan_and_load(tmp_path):
    good(tmp_path, 3)
    source = open_data(tmp_path)
    (tmp_path / "good1.png").unlink()
    rows = source.load(source.learn())
    assert rows.ids == ("good0.png", "good2.png") and rows.skipped[0].item == "good1.png"


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def test_packed_bombs_are_skipped(tmp_path):
    bomb = encoded("BMP")[:54] + b"\0" * (40 << 20)
    path = archive(tmp_path / "a.zip", {"bomb.bmp": bomb, "a.png": encoded(), "b.png": encoded()})
    source = open_data(path)
    assert source.skipped[0].reason == "unpacks to more than 200 times its size"
    assert len(source) == 2


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [("LARGEST_MEMBER", 100, "items cannot be used"), ("LARGEST_ARCHIVE", 100, "would unpack to")],
)
def test_unpacked_sizes_are_bounded(tmp_path, monkeypatch, limit, value, reason):
    monkeypatch.setattr(f"lemari.sources.places.{limit}", value)
    path = archive(tmp_path / "a.zip", {"a.png": encoded(), "b.png": encoded()})
    with pytest.raises(DataError, match=reason):
        open_data(path)


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4 no zip", b"text" * 99], ids=["empty", "head", "text"]
)
def test_broken_archives(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        open_data(tmp_path / "a.zip")


def test_a_changed_archive_never_escapes_as_another_error(tmp_path):
    path = archive(tmp_path / "a.zip", {f"{i}.png": encoded(seed=i) for i in range(3)})
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        for i in random.integers(0, len(data), 4):
            data[i] = random.integers(256)
        path.write_bytes(data)
        try:
            source = open_data(path, max_skipped=1.0)
            source.load(source.learn())
        except LemariError:
            pass


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_changed_pictures_never_escape_as_another_error(tmp_path, kind):
    whole, random = encoded(kind), np.random.default_rng(0)
    for i in range(60):
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), 300 + 40 * i), 5):
            data[at] = random.integers(256)
        (tmp_path / f"{i}.png").write_bytes(data)
    try:
        source = open_data(tmp_path, max_skipped=1.0)
        rows = source.load(source.learn())
        assert len(rows) + len(rows.skipped) == 60
    except DataError as error:
        assert "cannot be used" in str(error) or "no picture" in str(error)
