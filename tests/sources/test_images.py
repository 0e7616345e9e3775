"""Folders and zip archives of pictures: what is read, and how."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from lemari.errors import DataError, UsageError
from lemari.sources import open_data


def noise(h, w, c=3, seed=0):
    x = np.random.default_rng(seed).integers(0, 256, (h, w, c), np.uint8)
    return Image.fromarray(x[..., 0] if c == 1 else x)


def smooth(h, w):
    """A picture without fine detail, so that decoders agree."""
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([255 * y / h, 255 * x / w, 0 * x], 2).astype(np.uint8))


def fill(folder, count=4, size=(20, 20), c=3, ending="png", start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        noise(*size, c, seed=start + i).save(folder / f"{i}.{ending}")
    return folder


def loaded(data, **options):
    source = open_data(data, **options)
    fmt = source.learn()
    return source, fmt, source.load(fmt)


def test_a_folder_of_one_small_size(tmp_path):
    source, fmt, rows = loaded(fill(tmp_path / "d", 12))
    assert rows.x.shape == (12, 3, 20, 20) and rows.x.dtype == np.uint8
    assert fmt.native == (20, 20) and fmt.layout == "files" and rows.y is None
    assert rows.ids == tuple(f"{i}.png" for i in range(12))
    np.testing.assert_array_equal(rows.x[10], np.moveaxis(np.asarray(noise(20, 20, 3, 10)), 2, 0))
    assert any("20x20" in n for n in source.notes)
    assert fmt.to_user(rows.x / 255.0).shape == (12, 20, 20, 3)


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        ([(20, 20)] * 2 + [(30, 40)] * 2, (20, 20)),
        ([(20, 20), (30, 30), (40, 50)], (64, 64)),
        ([(300, 300)] * 3, (64, 64)),
        ([(257, 20)] * 3, (64, 64)),
        ([(256, 128)] * 3, (256, 128)),
        ([(5, 5)] * 3, (8, 8)),
        ([(1, 1)], (8, 8)),
        ([(5, 100)] * 2, (64, 64)),
    ],
)
def test_the_size_rule_and_its_note(tmp_path, sizes, wanted):
    for i, size in enumerate(sizes):
        noise(*size, seed=i).save(tmp_path / f"{i}.png")
    source, fmt, rows = loaded(tmp_path)
    assert fmt.shape[1:] == wanted and len(rows) == len(sizes)
    assert any(f"{wanted[0]}x{wanted[1]}" in n for n in source.notes)


def test_size_is_respected(tmp_path):
    fill(tmp_path)
    assert loaded(tmp_path, size=(16, 24))[2].x.shape[2:] == (16, 24)
    assert loaded(tmp_path, size=3)[2].x.shape[2:] == (8, 8)


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(16, 16), (40, 12)])
def test_files_and_arrays_are_brought_to_size_alike(tmp_path, fit, size):
    picture = smooth(37, 61)
    picture.save(tmp_path / "a.png")
    _, fmt, rows = loaded(tmp_path, fit=fit, size=size)
    from_array = fmt.from_array(np.asarray(picture)[None])
    np.testing.assert_allclose(rows.x.astype(int), from_array, atol=1)


@pytest.mark.parametrize(
    ("modes", "channels"),
    [
        ("L", 1),
        ("1 L LA", 1),
        ("L RGB", 3),
        ("RGB", 3),
        ("P", 3),
        ("RGBA", 4),
        ("RGBA LA", 4),
        ("RGBA RGB", 3),
        ("LA L", 1),
        ("I;16 L", 1),
    ],
)
def test_channels(tmp_path, modes, channels):
    for i, mode in enumerate(modes.split()):
        picture = Image.fromarray(np.full((9, 9), 9999, np.uint16)) if mode == "I;16" else None
        (picture or noise(9, 9).convert(mode)).save(tmp_path / f"{i}.png")
    _, fmt, rows = loaded(tmp_path)
    assert fmt.shape == (channels, 9, 9) == rows.x.shape[1:] and fmt.dtype == "uint8"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_can_be_chosen(tmp_path, channels):
    fill(tmp_path / "d", 2)
    noise(20, 20, 1).save(tmp_path / "d/gray.png")
    assert loaded(tmp_path / "d", channels=channels)[2].x.shape == (3, channels, 20, 20)


def test_alpha_is_kept_or_laid_over_white(tmp_path):
    clear = Image.new("RGBA", (9, 9), (10, 20, 30, 0))
    clear.save(tmp_path / "a.png")
    _, _, rows = loaded(tmp_path)
    assert rows.x[0, :, 0, 0].tolist() == [10, 20, 30, 0]
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "b.png")
    source, _, rows = loaded(tmp_path)
    assert rows.x[0].min() == 255 and rows.x[1, :, 0, 0].tolist() == [1, 2, 3]
    assert "transparent pictures are laid over white" in source.notes


def test_palette_with_transparency(tmp_path):
    picture = Image.new("P", (9, 9), 0)
    picture.putpalette([200, 10, 10, 0, 0, 0])
    picture.save(tmp_path / "a.png", transparency=1)
    _, _, rows = loaded(tmp_path)
    assert rows.x[0, :, 4, 4].tolist() == [200, 10, 10, 255]


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_kept_when_all_have_them(tmp_path, ending):
    deep = np.random.default_rng(0).integers(0, 65536, (12, 12)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a.{ending}")
    _, fmt, rows = loaded(tmp_path)
    assert (fmt.dtype, fmt.levels, fmt.high) == ("uint16", 65535, 65535)
    np.testing.assert_array_equal(rows.x[0, 0], deep)
    noise(12, 12, 1).save(tmp_path / "b.png")
    source, mixed, rows = loaded(tmp_path)
    assert mixed.dtype == "uint8"
    np.testing.assert_array_equal(rows.x[0, 0], np.rint(deep / 257.0))
    assert any("16-bit" in n for n in source.notes)
    both = source.load(fmt)
    assert both.x.dtype == np.uint16
    np.testing.assert_array_equal(both.x[1, 0], np.asarray(noise(12, 12, 1)) * 257.0)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_honoured(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth(30, 20).save(tmp_path / f"a.{ending}", exif=exif, quality=95)
    _, fmt, rows = loaded(tmp_path)
    assert fmt.native == (20, 30)
    turned = np.moveaxis(np.asarray(smooth(30, 20).rotate(-90, expand=True)), 2, 0)
    assert np.abs(rows.x[0].astype(int) - turned).mean() < 6


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_the_first_frame_of_animations(tmp_path, ending):
    frames = [Image.new("RGB", (9, 9), c) for c in ((250, 0, 0), (0, 250, 0))]
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], lossless=True)
    source, _, rows = loaded(tmp_path)
    assert "1 animated pictures are read by their first frame" in source.notes
    assert np.abs(rows.x[0, :, 4, 4].astype(int)[:3] - [250, 0, 0]).max() < 9


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk(tmp_path, ending):
    smooth(20, 20).convert("CMYK").save(tmp_path / f"a.{ending}", quality=95)
    _, fmt, rows = loaded(tmp_path)
    assert fmt.shape[0] == 3
    assert np.abs(rows.x[0] - np.moveaxis(np.asarray(smooth(20, 20)), 2, 0).astype(int)).mean() < 9


def test_a_big_jpeg_is_drafted_and_still_right(tmp_path):
    smooth(1500, 2000).save(tmp_path / "a.jpg", quality=90)
    _, fmt, rows = loaded(tmp_path, size=32, fit="stretch")
    wanted = fmt.from_array(np.asarray(smooth(1500, 2000))[None])
    assert np.abs(rows.x.astype(int) - wanted).max() <= 4


def test_sub_folders_are_classes_in_natural_order(tmp_path):
    for name in ("c10", "c9", "ü b"):
        fill(tmp_path / name, 2)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "c9" / "deeper", 1)
    source, fmt, rows = loaded(tmp_path)
    assert rows.classes == ("c9", "c10", "ü b") == source.classes
    names = [rows.classes[i] for i in rows.y]
    assert names == [i.split("/")[0] for i in rows.ids] and len(rows) == 7
    other = tmp_path / "new"
    fill(other / "ü b", 1), fill(other / "zebra", 1)
    again = open_data(other).load(fmt)
    assert again.y.tolist() == [-1, 2] and again.classes == rows.classes


def test_one_sub_folder_is_no_class(tmp_path):
    fill(tmp_path / "d" / "only", 2)
    assert loaded(tmp_path / "d")[2].y is None


def test_train_and_test_folders(tmp_path):
    for split, n in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            fill(tmp_path / split / name, n)
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        source, _, rows = loaded(tmp_path, split=split)
        assert source.official_split and len(rows) == n and rows.classes == ("a", "b")
    with pytest.raises(UsageError, match="no 'val' part"):
        open_data(tmp_path, split="val")
    with pytest.raises(UsageError, match="no 'test' part"):
        open_data(tmp_path / "train", split="test")


def test_formats_are_known_by_content(tmp_path):
    for i, kind in enumerate(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]):
        noise(9, 9).save(tmp_path / f"{i}.jpg", kind)
        noise(9, 9).save(tmp_path / f"bare{i}", kind)
    assert len(loaded(tmp_path)[2]) == 12


def test_other_files_are_ignored_silently(tmp_path):
    fill(tmp_path, 2)
    for name in ("a.txt", "labels.csv", "x.json", ".hidden.png", "README", ".DS_Store"):
        (tmp_path / name).write_text("hello")
    fill(tmp_path / ".cache", 2)
    source = open_data(tmp_path)
    assert len(source) == 2 and not source.skipped


@pytest.mark.parametrize(
    "name", ["a b.png", "ünï-文字.png", "new\nline.png", "'q\"%s{}.png", "-rf.png"]
)
def test_strange_names(tmp_path, name):
    noise(9, 9).save(tmp_path / name)
    assert loaded(tmp_path)[2].ids == (name,)


def test_a_name_that_is_no_text(tmp_path):
    noise(9, 9).save(os.fsencode(tmp_path) + b"/a\xff.png", "PNG")
    _, _, rows = loaded(tmp_path)
    assert rows.ids[0].encode() and len(rows) == 1


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def png(**options):
    out = io.BytesIO()
    noise(12, 12, **options).save(out, "PNG")
    return out.getvalue()


def test_zip_gives_what_the_folder_gives(tmp_path):
    fill(tmp_path / "d" / "a", 3), fill(tmp_path / "d" / "b", 2, start=9)
    files = sorted(p for p in (tmp_path / "d").rglob("*.png"))
    members = {str(p.relative_to(tmp_path / "d")): p.read_bytes() for p in files}
    members |= {"__MACOSX/a/._1.png": b"x", "notes.txt": b"x", ".hid/1.png": b"x", "c/": b""}
    path = pack(tmp_path / "d.zip", members)
    (_, one, folder), (source, two, archive) = loaded(tmp_path / "d"), loaded(path)
    assert one == two and folder.ids == archive.ids and folder.classes == archive.classes
    np.testing.assert_array_equal(folder.x, archive.x)
    np.testing.assert_array_equal(folder.y, archive.y)
    assert not source.skipped and len(list(tmp_path.iterdir())) == 2


def test_paths_in_a_zip_are_only_names(tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    members = dict.fromkeys(
        ["../../evil.png", "/abs.png", "a\\..\\b.png", "ok", "ok2.png", "3.png"]
    )
    path = pack(inside / "d.zip", dict.fromkeys(members, png()))
    source, _, rows = loaded(path)
    assert rows.ids == ("3.png", "ok", "ok2.png") and len(source.skipped) == 3
    assert "points out of the archive" in source.skipped[0].reason
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["d.zip", "in"]


def test_one_file_is_a_source(tmp_path):
    noise(12, 12).save(tmp_path / "a.png")
    _, fmt, rows = loaded(tmp_path / "a.png")
    assert rows.x.shape == (1, 3, 12, 12) and rows.ids == ("a.png",)
    (tmp_path / "b.xyz").write_text("hello")
    with pytest.raises(DataError, match="b.xyz"):
        open_data(tmp_path / "b.xyz")


def test_equal_pictures_are_allowed(tmp_path):
    for i in range(3):
        Image.new("L", (9, 9), 128).save(tmp_path / f"{i}.png")
    assert (loaded(tmp_path)[2].x == 128).all()


def test_a_folder_larger_than_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("LEMARI_CACHE", str(tmp_path / "spool"))
    source = open_data(fill(tmp_path / "d", 9))
    fmt = source.learn()
    small, big = source.load(fmt), source.load(fmt, memory_limit=10)
    assert isinstance(big.x, np.memmap)
    np.testing.assert_array_equal(small.x, big.x)
    assert not list((tmp_path / "spool").iterdir())


def test_progress_and_order_do_not_depend_on_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("lemari.sources.images.GROUP", 4)
    fill(tmp_path, 10)
    seen = []
    first = loaded(tmp_path, progress=lambda done, total: seen.append((done, total)))[2]
    assert seen == [(4, 10), (8, 10), (10, 10)]
    monkeypatch.setattr("lemari.sources.images.THREADS", 1)
    np.testing.assert_array_equal(first.x, loaded(tmp_path)[2].x)


def test_a_saved_format_loads_other_pictures(tmp_path):
    fmt = open_data("digits").learn()
    noise(40, 30).save(tmp_path / "a.png")
    rows = open_data(tmp_path).load(fmt)
    assert rows.x.shape == (1, 1, 8, 8) and rows.x.max() <= 16
    table = open_data(np.random.default_rng(0).random((5, 3))).learn()
    with pytest.raises(DataError, match="trained on a table"):
        open_data(tmp_path).load(table)


def test_inspect_reads_everything(tmp_path):
    fill(tmp_path, 3)
    facts = open_data(tmp_path).inspect()
    assert (facts["kind"], facts["examples"], facts["shape"]) == ("image", 3, [3, 20, 20])
    assert facts["dtype"] == "uint8" and not facts["labels"] and facts["range"][1] <= 255
