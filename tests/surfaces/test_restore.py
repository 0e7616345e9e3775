"""`lemari restore`: picture files in, restored picture files out."""

from __future__ import annotations

import io
import json
import zlib
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from torch.nn import functional

from lemari import picture_files
from lemari.errors import DataError, RunError
from lemari.picture_files import Picture
from lemari.png_files import encode_png, png_chunks
from lemari.restore_html import Page
from lemari.surfaces.cli import restoring
from lemari.tasks import restore as task
from lemari.tasks.restore import Bicubic, How
from lemari.tasks.restore_files import restore_files


class Fake:
    """A network of known effect: a 3x3 blur, or a fill with one half."""

    scale, multiple, halo, smallest = 1, 4, 1, 8

    def __init__(self, task="denoise", channels=3, takes_level=False):
        self.task, self.channels, self.takes_level = task, channels, takes_level
        self.levels = []

    def __call__(self, x, level, seen):
        self.levels += [] if level is None else level.tolist()
        return functional.avg_pool2d(x, 3, 1, 1) if seen is None else x * 0 + 0.5


class Enlarger(Bicubic):
    task, channels, takes_level = "upscale", 3, False


@pytest.fixture
def net(monkeypatch):
    """Let the command use a fake network; returns a function that sets it."""

    def use(restorer):
        monkeypatch.setattr(restoring, "find_restorer", lambda words, model: restorer)
        return restorer

    return use


def noise_of(x):
    return 0.05


@pytest.fixture(autouse=True)
def known_noise(monkeypatch):
    from lemari import noise_level

    monkeypatch.setattr(noise_level, "estimate_noise", noise_of)


def values(channels, dtype=np.uint8, size=(20, 30), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max + 1, (*size, channels)).astype(dtype)


def put(path, channels=3, dtype=np.uint8, size=(20, 30), kind=None, **info):
    """Write random pixels with our own writer, and return them."""
    pixels, alpha = picture_files.split(values(channels, dtype, size))
    kind = kind or {"jpg": "JPEG", "tif": "TIFF"}.get(path.suffix[1:], path.suffix[1:].upper())
    picture_files.write(path, Picture(pixels, alpha, kind, info), pixels, alpha)
    return pixels, alpha


def blurred(pixels):
    """The 3x3 mean of pixels (H, W, C), with the border as the fake network sees it."""
    padded = np.pad(pixels.astype(float), ((1, 1), (1, 1), (0, 0)))
    h, w = pixels.shape[:2]
    return sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9


FORMATS = [
    ("a.png", 1, np.uint8), ("a.png", 2, np.uint8), ("a.png", 3, np.uint8), ("a.png", 4, np.uint8),
    ("a.png", 1, np.uint16), ("a.png", 2, np.uint16), ("a.png", 3, np.uint16),
    ("a.png", 4, np.uint16), ("a.tif", 1, np.uint8), ("a.tif", 3, np.uint8), ("a.tif", 4, np.uint8),
    ("a.tif", 1, np.uint16), ("a.tif", 3, np.uint16), ("a.tif", 4, np.uint16),
    ("a.bmp", 1, np.uint8), ("a.bmp", 3, np.uint8), ("a.webp", 3, np.uint8),
    ("a.webp", 4, np.uint8),
]  # fmt: skip
IDS = [f"{n[2:]}-{c}-{np.dtype(d).name}" for n, c, d in FORMATS]


@pytest.mark.parametrize(("name", "channels", "dtype"), FORMATS, ids=IDS)
def test_every_format_comes_back_blurred_in_its_own_depth(
    tmp_path, cli, net, name, channels, dtype
):
    net(Fake(channels=1))
    info = {"lossless": True} if name.endswith("webp") else {}
    pixels, alpha = put(tmp_path / name, channels, dtype, **info)
    cli.done("restore", "run", tmp_path / name, "-o", tmp_path / "out", "--no-page", "--tile", 16)
    before, after = (picture_files.read(f / name) for f in (tmp_path, tmp_path / "out"))
    assert (after.format, after.depth) == (before.format, before.depth)
    assert after.pixels.shape == pixels.shape and after.pixels.dtype == dtype
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(after.pixels[inner] - blurred(pixels)[inner]).max() <= 0.51
    assert alpha is None if after.alpha is None else np.array_equal(after.alpha, alpha)


@pytest.mark.parametrize(("name", "channels", "dtype"), FORMATS, ids=IDS)
def test_strength_zero_changes_no_bit(tmp_path, cli, net, name, channels, dtype):
    net(Fake())
    put(tmp_path / name, channels, dtype)
    cli.done("restore", "run", tmp_path / name, "-o", tmp_path / "out", "--strength", 0)
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("tool", ["pypng", "tifffile"])
def test_sixteen_bit_colour_is_read_by_others(tmp_path, tool):
    pixels, alpha = put(tmp_path / "a.png", 3, np.uint16)
    put(tmp_path / "a.tif", 3, np.uint16)
    if tool == "pypng":
        import png

        rows = np.array(
            [list(r) for r in png.Reader(bytes=(tmp_path / "a.png").read_bytes()).asDirect()[2]]
        )
        assert np.array_equal(rows.reshape(pixels.shape), pixels)
    else:
        import tifffile

        assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)


def exif(orientation=6):
    found = Image.Exif()
    found[274], found[271] = orientation, "Maker"
    return found


@lru_cache
def profile():
    """One colour profile for all (its time of making is inside)."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_metadata_stays_and_nothing_is_turned(tmp_path, cli, net, name):
    """Orientation 6: a viewer turns input and output alike."""
    net(Fake())
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (40, 1))
    picture = Image.fromarray(np.stack([smooth] * 3, 2))
    extra = {"comment": b"words"} if name.endswith("jpg") else {}
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "words")
    extra |= {"pnginfo": text} if name.endswith("png") else {}
    picture.save(tmp_path / name, exif=exif(), icc_profile=profile(), dpi=(300, 300), **extra)
    cli.done("restore", "run", tmp_path / name, "-o", tmp_path / "out", "--no-page")
    with Image.open(tmp_path / name) as a, Image.open(tmp_path / "out" / name) as b:
        for opened in (a, b):
            opened.load()
        assert a.size == b.size and a.format == b.format
        assert a.info.get("icc_profile") == b.info.get("icc_profile") == profile()
        assert a.getexif().get(274) == b.getexif().get(274)
        assert b.getexif().get(271) == "Maker"
        for key in ("Title", "comment"):
            assert a.info.get(key) == b.info.get(key)
        if not name.endswith("webp"):
            assert [round(v) for v in b.info["dpi"]] == [300, 300]
        difference = np.abs(np.asarray(a, int) - np.asarray(b, int))
        assert difference[2:-2, 2:-2].max() <= 6


def test_sixteen_bit_tiff_keeps_profile_resolution_and_orientation(tmp_path, cli, net):
    import tifffile

    net(Fake())
    tifffile.imwrite(
        tmp_path / "a.tif", values(3, np.uint16), photometric="rgb", iccprofile=profile(),
        resolution=(300, 200), resolutionunit=2, extratags=[(274, "H", 1, 6, True)])  # fmt: skip
    cli.done("restore", "run", tmp_path / "a.tif", "-o", tmp_path / "out", "--no-page")
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        tags = file.pages[0].tags
        assert tags[274].value == 6 and tags[34675].value == profile()
        assert tags[282].value[0] / tags[282].value[1] == 300
        assert file.pages[0].shape == (20, 30, 3)


def test_jpegs_are_written_well_and_cmyk_becomes_rgb(tmp_path, cli, net):
    net(Fake())
    Image.new("CMYK", (30, 20), (10, 200, 30, 0)).save(tmp_path / "c.jpg")
    Image.new("L", (30, 20), 77).save(tmp_path / "g.jpg")
    files = (tmp_path / "c.jpg", tmp_path / "g.jpg")
    made = cli.done("restore", "run", *files, "-o", tmp_path / "out", "--no-page")
    assert "CMYK was converted to RGB" in made.err
    with Image.open(tmp_path / "out" / "c.jpg") as picture:
        assert picture.mode == "RGB"
        assert [part[1:3] for part in picture.layer] == [(1, 1)] * 3
    with Image.open(tmp_path / "out" / "g.jpg") as picture:
        assert picture.mode == "L"


def test_palettes_and_bits_become_colour_and_gray(tmp_path):
    rng = np.random.default_rng(0)
    gray = Image.fromarray(rng.integers(0, 255, (9, 9)).astype(np.uint8))
    gray.convert("P").save(tmp_path / "p.png")
    gray.convert("P").save(tmp_path / "t.png", transparency=3)
    gray.convert("1").save(tmp_path / "1.png")
    found = {n: picture_files.read(tmp_path / f"{n}.png") for n in "pt1"}
    assert found["p"].pixels.shape == (9, 9, 3) and found["p"].alpha is None
    assert found["t"].pixels.shape == (9, 9, 3) and found["t"].alpha is not None
    assert found["1"].pixels.shape == (9, 9, 1)
    assert set(found["1"].pixels.ravel()) == {0, 255}


def bad_files(folder):
    """Names of files that cannot be used, with a word of the reason."""
    whole = encode_png(values(3))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("not a picture")
    (folder / "half.png").write_bytes(whole[:-400])
    (folder / "head.png").write_bytes(whole[:20])
    deep = encode_png(values(3, np.uint16))
    (folder / "deep.png").write_bytes(deep[:-500])
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + whole[24:29]
    bomb = whole[:12] + head + zlib.crc32(head).to_bytes(4, "big") + whole[33:]
    (folder / "bomb.png").write_bytes(bomb)
    frames = [Image.new("L", (9, 9), 30 * i) for i in range(3)]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "still.gif")
    Image.new("F", (9, 9)).save(folder / "float.tif")
    return {"empty.png": "empty", "text.png": "not a PNG", "half.png": "", "head.png": "",
            "deep.png": "", "bomb.png": "exceed the limit", "moving.webp": "several pictures",
            "still.gif": "save it as PNG", "float.tif": "floating-point"}  # fmt: skip


def test_bad_files_fail_with_one_sentence_and_the_others_are_done(tmp_path, cli, net):
    net(Fake())
    folder = tmp_path / "in"
    folder.mkdir()
    bad = bad_files(folder)
    put(folder / "good.png")
    out = tmp_path / "out"
    made = cli.run("restore", "run", folder, tmp_path / "none.png", "-o", out, "--json")
    assert made.code == 1
    failed = {item["file"].split("/")[-1]: item["reason"] for item in made.json["failed"]}
    assert set(failed) == {*bad, "none.png"}
    for name, word in bad.items():
        assert word in failed[name] and "\n" not in failed[name] and failed[name].endswith(".")
    assert "no such file" in failed["none.png"]
    assert [f["input"].split("/")[-1] for f in made.json["files"]] == ["good.png"]
    assert {p.name for p in out.iterdir()} == {"good.png", "restored.html", "before-after.png"}


def test_a_misnamed_file_is_taken_for_what_it_is(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg", "PNG")
    assert picture_files.read(tmp_path / "a.jpg").format == "PNG"


def test_folders_keep_their_structure_and_natural_order(tmp_path, cli, net):
    net(Fake())
    names = ["2.png", "10.png", "sub/1.png", "sub/deep/x.png"]
    for name in reversed(names):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        put(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    out = tmp_path / "in" / "out"
    made = cli.done("restore", "run", tmp_path / "in", "-o", out, "--json", "--no-page").json
    assert [f["output"] for f in made["files"]] == [str(out / n) for n in names]
    assert all((out / n).is_file() for n in names) and made["page"] is None
    again = cli.run("restore", "run", tmp_path / "in", "-o", out, "--json").json
    assert len(again["failed"]) == 4, "results under OUT are not taken for inputs"


def test_nothing_is_ever_overwritten(tmp_path, cli, net):
    net(Fake())
    out = tmp_path / "out"
    for folder in ("a", "b", "out"):
        (tmp_path / folder).mkdir()
    put(tmp_path / "a" / "x.png"), put(tmp_path / "b" / "x.png"), put(tmp_path / "a" / "y.png")
    (out / "y.png").write_text("mine")
    (out / "restored.html").write_text("mine")
    made = cli.run("restore", "run", tmp_path / "a", tmp_path / "b" / "x.png", "-o", out, "--json")
    assert made.code == 1 and [f["input"] for f in made.json["files"]] == [
        str(tmp_path / "a" / "x.png")
    ]
    reasons = [f["reason"] for f in made.json["failed"]]
    assert "there already" in reasons[0] and "another file of that name" in reasons[1]
    assert (out / "y.png").read_text() == (out / "restored.html").read_text() == "mine"
    assert made.json["page"].endswith("restored-2.html")


@pytest.mark.parametrize("link", [False, True])
def test_an_input_is_never_its_own_output(tmp_path, cli, net, link):
    net(Fake())
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder / "x.png")
    kept, out = (folder / "x.png").read_bytes(), folder
    if link:
        out = tmp_path / "link"
        out.symlink_to(folder)
    made = cli.run("restore", "run", folder / "x.png", "-o", out, "--json")
    assert made.code == 1 and "input itself" in made.json["failed"][0]["reason"]
    assert (folder / "x.png").read_bytes() == kept
    assert [p.name for p in folder.iterdir()] == ["x.png"]


def test_a_dangling_link_is_not_written_through(tmp_path, cli, net):
    net(Fake())
    put(tmp_path / "x.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.png").symlink_to(tmp_path / "elsewhere.png")
    assert cli.run("restore", "run", tmp_path / "x.png", "-o", tmp_path / "out").code == 1
    assert not (tmp_path / "elsewhere.png").exists()


def test_noise_is_estimated_or_given(tmp_path, cli, net):
    fake = net(Fake(takes_level=True))
    put(tmp_path / "x.png")
    words = ("restore", "run", tmp_path / "x.png", "--no-page", "--json", "-o")
    assert cli.done(*words, tmp_path / "a").json["files"][0]["noise"] == pytest.approx(0.05)
    assert cli.done(*words, tmp_path / "b", "--noise", 0.2).json["files"][0]["noise"] == 0.2
    assert fake.levels == pytest.approx([0.05, 0.2])


def test_noise_beyond_what_was_trained_is_taken_as_the_nearest(tmp_path, cli, net):
    fake = net(Fake(takes_level=True))
    fake.trained_levels = (0.1, 0.15)
    put(tmp_path / "x.png")
    for at, noise in enumerate((0.02, 0.12, 0.9)):
        cli.done("restore", "run", tmp_path / "x.png", "-o", tmp_path / str(at), "--noise", noise)
    assert fake.levels == pytest.approx([0.1, 0.12, 0.15])


def test_only_pictures_of_16_bits_are_restored_in_full_precision(tmp_path, cli, net):
    """Whatever came before: the result of a file does not depend on its neighbours."""
    fake, asked = net(Fake()), []
    fake.exact = asked.append
    for name, dtype in (("a", np.uint8), ("b", np.uint16), ("c", np.uint8)):
        put(tmp_path / f"{name}.png", 3, dtype)
    cli.done("restore", "run", *(tmp_path / f"{n}.png" for n in "abc"), "-o", tmp_path / "out")
    assert asked == [False, True, False]


def test_a_large_picture_gets_the_median_of_its_parts(monkeypatch):
    from lemari import noise_level

    seen = []

    def estimate(x):
        seen.append(x.shape)
        return float(x.max())

    monkeypatch.setattr(noise_level, "estimate_noise", estimate)
    x = np.full((3000, 2000, 1), 51, np.uint8)
    x[:10, :10] = 255
    assert task.estimated(x) == pytest.approx(0.2)
    assert seen == [(1024, 1024)] * 5


def test_enlarging_enlarges_colour_and_alpha(tmp_path, cli, net):
    net(Enlarger(2))
    pixels, alpha = put(tmp_path / "x.png", 4)
    made = cli.done("restore", "x2", tmp_path / "x.png", "-o", tmp_path / "out", "--json").json
    after = picture_files.read(tmp_path / "out" / "x.png")
    assert after.pixels.shape == (40, 60, 3) and after.alpha.shape == (40, 60)
    assert made["files"][0]["size"] == [30, 20] and made["files"][0]["result"] == [60, 40]


def mask_file(path, size=(20, 30)):
    mask = np.zeros(size, np.uint8)
    mask[5:9, 10:20], mask[0, 0] = 128, 127
    Image.fromarray(mask).save(path)
    return mask > 127


def test_only_what_the_mask_covers_is_filled(tmp_path, cli, net):
    net(Fake("inpaint", channels=1))
    covered = mask_file(tmp_path / "mask.png")
    given = {n: put(tmp_path / f"{n}.png", c, d)
             for n, c, d in (("a", 3, np.uint8), ("b", 4, np.uint16))}  # fmt: skip
    put(tmp_path / "c.png", size=(20, 31))
    made = cli.run("restore", "run", *[tmp_path / f"{n}.png" for n in "abc"], "-o",
                   tmp_path / "out", "--mask", tmp_path / "mask.png", "--json")  # fmt: skip
    assert made.code == 1 and len(made.json["failed"]) == 1
    assert "The mask has 30x20 pixels and the picture 31x20" in made.json["failed"][0]["reason"]
    for name, (pixels, alpha) in given.items():
        after = picture_files.read(tmp_path / "out" / f"{name}.png")
        assert np.array_equal(after.pixels[~covered], pixels[~covered])
        half = np.iinfo(pixels.dtype).max / 2
        assert np.abs(after.pixels[covered] - half).max() <= 0.5
        assert alpha is None or np.array_equal(after.alpha, alpha)


def test_uncertainty_is_a_map_and_the_mean_of_views(tmp_path, cli, net):
    class Lean(Fake):
        def __call__(self, x, level, seen):
            return x.roll(1, 3)

    net(Lean())
    pixels, _ = put(tmp_path / "x.png")
    words = ("restore", "run", tmp_path / "x.png", "--no-page", "--json", "-o")
    made = cli.done(*words, tmp_path / "u", "--uncertainty").json["files"][0]
    best = cli.done(*words, tmp_path / "b", "--best").json["files"][0]
    assert best["uncertainty"] is None and not list((tmp_path / "b").glob("*-uncertainty.png"))
    four = np.stack([np.roll(pixels.astype(float), s, a) for s in (1, -1) for a in (0, 1)])
    inner = np.s_[2:-2, 2:-2]
    for folder in "ub":
        after = picture_files.read(tmp_path / folder / "x.png").pixels
        assert np.abs(after[inner] - four.mean(0)[inner]).max() <= 0.51
    shown = np.asarray(Image.open(tmp_path / "u" / "x-uncertainty.png"))
    wanted = np.sqrt(four.var(0).mean(2)) / 255 / made["uncertainty_full"] * 255
    assert shown.dtype == np.uint8 and shown.shape == (20, 30)
    assert np.abs(shown - np.clip(wanted, 0, 255))[inner].max() <= 1


WRONG = [
    ("denoise", ["--noise", "25"], "0.098"),
    ("denoise", ["--noise", "nan"], "--noise"),
    ("denoise", ["--strength", "1.5"], "--strength is 0 to 1"),
    ("denoise", ["--mask", "MASK"], "--mask is for models that fill"),
    ("upscale", ["--strength", "0.5"], "not for enlarging"),
    ("inpaint", [], "--mask"),
    ("denoise", ["--tile", "3"], "tile"),
    ("denoise", ["--threads", "0"], "--threads"),
    ("denoise", ["--model", "sharper"], "gray-denoise"),
]


@pytest.mark.parametrize(("kind", "words", "said"), WRONG)
def test_wrong_usage_is_one_sentence_and_writes_nothing(tmp_path, cli, net, kind, words, said):
    net(Enlarger(2) if kind == "upscale" else Fake(kind, takes_level=True))
    mask_file(tmp_path / "mask.png")
    put(tmp_path / "x.png")
    words = [str(tmp_path / "mask.png") if w == "MASK" else w for w in words]
    out = tmp_path / "out"
    assert said in cli.refused(2, "restore", "run", tmp_path / "x.png", "-o", out, *words)
    assert not out.exists()


def test_files_need_a_run_or_a_model(tmp_path, cli):
    put(tmp_path / "x.png")
    assert "--model" in cli.refused(2, "restore", tmp_path / "x.png")
    assert "--model" in cli.refused(2, "restore", tmp_path / "x.png", tmp_path / "x.png")
    assert "no run 'none'" in cli.refused(1, "restore", "none", tmp_path / "x.png")


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("cannot allocate 9 bytes")])
def test_too_little_memory_is_said_and_other_faults_are_not_hidden(tmp_path, fault):
    class Hungry(Fake):
        def __call__(self, x, level, seen):
            raise fault

    put(tmp_path / "x.png")
    _, failed = restore_files(Hungry(), [tmp_path / "x.png"], tmp_path / "out")
    assert "smaller --tile" in failed[0].reason
    if isinstance(fault, RuntimeError):
        fault.args = ("shapes differ",)
        with pytest.raises(RuntimeError, match="shapes"):
            restore_files(Hungry(), [tmp_path / "x.png"], tmp_path / "out")


def test_a_model_without_levels_refuses_one(tmp_path, cli, net):
    net(Fake())
    put(tmp_path / "x.png")
    assert "leave --noise out" in cli.refused(2, "restore", "r", tmp_path / "x.png", "--noise", 0.1)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    like = Picture(values(3), None, "WEBP", {})
    with pytest.raises(RunError, match="convert it to PNG"):
        picture_files.write(tmp_path / "x.webp", like, np.zeros((4, 17000, 3), np.uint8), None)
    assert not list(tmp_path.iterdir())


def test_stopping_leaves_whole_files_only(tmp_path):
    class Stop(Fake):
        count = 0

        def __call__(self, x, level, seen):
            self.count += 1
            if self.count == 2:
                raise KeyboardInterrupt
            return x

    for name in "ab":
        put(tmp_path / f"{name}.png")
    with pytest.raises(KeyboardInterrupt):
        restore_files(Stop(), [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]
    assert picture_files.read(tmp_path / "out" / "a.png").pixels.shape == (20, 30, 3)


def test_the_page_escapes_names_and_needs_nothing_from_outside(tmp_path, cli, net):
    net(Fake(takes_level=True))
    name = "<img src=x onerror=alert(1)>\"'&.png"
    put(tmp_path / name)
    made = cli.done("restore", "run", tmp_path / name, "-o", tmp_path / "out", "--json").json
    page = (tmp_path / "out" / "restored.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "http://" not in page and "https://" not in page
    assert made["page"].endswith("restored.html") and "noise 0.0500" in page
    with Image.open(tmp_path / "out" / "before-after.png") as strip:
        assert strip.height > 160 and strip.width > 256


def test_the_page_shows_twelve_and_large_ones_in_two_views():
    page = Page()
    for i in range(14):
        page.add(f"{i}.png", "", values(3), values(3))
    assert len(page.pairs) == 12 and page.left_out == 2
    large = Page()
    large.add(
        "x.png", "", np.zeros((1500, 750, 1), np.uint16), np.zeros((3000, 1500, 1), np.uint16)
    )
    views = large.pairs[0][2]
    assert [v.size for v in views] == [(512, 1024), (256, 256)] and views[1].zoom == 4


def test_the_middle_is_cut_at_the_same_place_before_and_after():
    small = np.zeros((50, 80, 1), np.uint8)
    small[20:30, 30:50] = 255
    page = Page()
    page.add("x.png", "", small, small.repeat(2, 0).repeat(2, 1))
    _, old, new = page.crops[0]
    assert np.abs(np.asarray(old, int) - np.asarray(new, int)).mean() < 8


def test_unreadable_pictures_are_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        picture_files.read(tmp_path / "x.png")
    with pytest.raises(DataError, match="not a file"):
        picture_files.read(tmp_path)


def test_chunks_about_colour_stay_and_those_of_the_palette_go(tmp_path):
    picture = Image.fromarray(values(1)[..., 0]).convert("P")
    content = io.BytesIO()
    picture.save(content, "PNG", icc_profile=profile(), transparency=1)
    (tmp_path / "p.png").write_bytes(content.getvalue())
    read = picture_files.read(tmp_path / "p.png")
    picture_files.write(tmp_path / "q.png", read, read.pixels, read.alpha)
    names = [name for name, _ in png_chunks((tmp_path / "q.png").read_bytes())]
    assert b"iCCP" in names and b"PLTE" not in names and b"tRNS" not in names
    with Image.open(tmp_path / "q.png") as made:
        assert made.mode == "RGBA"


def test_the_size_of_the_result_is_limited(monkeypatch):
    monkeypatch.setattr(task, "MOST_RESULT", 1000)
    with pytest.raises(DataError, match="cut the picture into parts"):
        task.restore_picture(Enlarger(2), Picture(values(3), None, "PNG"), How())


def test_errors_under_json_are_json(tmp_path, cli, net):
    net(Fake("inpaint"))
    put(tmp_path / "x.png")
    fault = cli.refused(2, "restore", "run", tmp_path / "x.png", "--json")
    assert json.loads(fault)["exit"] == 2
