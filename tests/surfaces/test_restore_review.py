"""`lemari restore`: file kinds, file names and sizes that are easily got wrong."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from lemari.degrade import upscale
from lemari.errors import DataError
from lemari.picture_files import Picture, read, write
from lemari.png_files import encode_png
from lemari.restore_html import Page
from lemari.surfaces.cli import restoring
from lemari.tasks.restore import Bicubic, How, restore_picture
from lemari.tasks.restorer import ModelRestorer


class Blur:
    """A network that takes means of 3x3 pixels."""

    task, channels, takes_level = "denoise", 3, False
    scale, multiple, halo, smallest = 1, 4, 1, 8

    def __call__(self, x, level, seen):
        return functional.avg_pool2d(x, 3, 1, 1)


@pytest.fixture
def net(monkeypatch):
    monkeypatch.setattr(restoring, "find_restorer", lambda words, model: Blur())


def deep(*shape):
    return np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_significant_bits_of_a_png_do_not_make_it_darker(tmp_path, channels):
    """A chunk sBIT of 12 says where the values came from; they still reach to 65535."""
    x = deep(9, 7, channels)
    chunk = (b"sBIT", bytes([12] * channels))
    (tmp_path / "a.png").write_bytes(encode_png(x[..., 0] if channels == 1 else x, [chunk]))
    found = read(tmp_path / "a.png")
    colours = channels - (channels in (2, 4))
    assert np.array_equal(found.pixels, x[..., :colours])
    if found.alpha is not None:
        assert np.array_equal(found.alpha, x[..., -1])


def test_a_deep_tiff_where_zero_is_white_stays_what_it_looks_like(tmp_path):
    import tifffile

    x = deep(9, 7)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - x, photometric="miniswhite")
    found = read(tmp_path / "a.tif")
    assert np.array_equal(found.pixels[..., 0], x)
    write(tmp_path / "b.tif", found, found.pixels, found.alpha)
    assert np.array_equal(read(tmp_path / "b.tif").pixels[..., 0], x)


def test_deep_tiffs_in_other_colour_spaces_are_not_taken_for_rgb(tmp_path):
    """Cyan, magenta, yellow and black would pass for red, green, blue and alpha."""
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", deep(9, 7, 4), photometric="separated")
    with pytest.raises(DataError, match="colour space that is not read; save it as RGB"):
        read(tmp_path / "a.tif")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are not bytes on this system")
@pytest.mark.parametrize("flag", [(), ("--json",)])
def test_a_name_that_is_not_utf8_is_restored_and_reported(tmp_path, cli, net, flag):
    picture = encode_png(np.zeros((12, 12), np.uint8))
    for folder, content in (("good", picture), ("bad", b"nothing")):
        (tmp_path / folder).mkdir()
        with open(os.fsencode(tmp_path / folder) + b"/\xff.png", "wb") as file:
            file.write(content)
    files = (tmp_path / "good", tmp_path / "bad")
    made = cli.run("restore", "run", *files, "-o", tmp_path / "out", *flag)
    assert made.code == 1
    (made.out + made.err).encode()
    assert (tmp_path / "out" / os.fsdecode(b"\xff.png")).is_file()
    assert "\ufffd.png" in (tmp_path / "out" / "restored.html").read_text("utf-8")
    if flag:
        assert len(made.json["files"]) == len(made.json["failed"]) == 1
    else:
        assert "Restored 1 picture" in made.out and "1 failed" in made.out


@pytest.mark.skipif(sys.platform == "win32", reason="such names are not allowed on this system")
def test_a_name_cannot_write_lines_or_colours_on_the_terminal(tmp_path, cli, net):
    name = "a\nfailed: \x1b[31mall.png"
    (tmp_path / name).write_bytes(b"nothing")
    made = cli.run("restore", "run", tmp_path / name, "-o", tmp_path / "out")
    assert made.code == 1 and "\x1b" not in made.err
    assert len([line for line in made.err.splitlines() if line.startswith("failed: ")]) == 1


def test_names_on_the_page_are_text(tmp_path):
    pixels, page = np.zeros((4, 4, 1), np.uint8), Page()
    page.add('<img src="x" onerror=alert(1)>"\n', "<b>", pixels, pixels)
    text = page.write(tmp_path, "denoise").read_text("utf-8")
    assert "<img src=" not in text and "<b>" not in text.replace('<b class="tag', "")


class Bottleneck:
    """What a fitted network with a bottleneck looks like to a restorer."""

    def __init__(self, side):
        from types import SimpleNamespace

        from lemari.types import Schema
        from lemari.variants.restoration import denoising_ae

        torch.manual_seed(0)
        schema = Schema("image", (1, side, side), levels=255)
        self.model = denoising_ae(schema, network="mlp:8", latent=2)
        self.recipe = SimpleNamespace(variant="denoising-ae")


@pytest.mark.parametrize("tile", [16, 28, 256])
def test_a_network_of_one_size_takes_that_size_whatever_the_tile(tile):
    net = ModelRestorer(Bottleneck(28))
    x = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
    made = restore_picture(net, Picture(x, None, "PNG"), How(tile=tile))
    whole = net(torch.from_numpy(x[None, ..., 0] / 255).float()[:, None])
    expected = np.rint(whole[0, 0].clamp(0, 1).numpy() * 255)
    assert np.abs(made.pixels[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("size", [(56, 56), (28, 56), (20, 28)])
@pytest.mark.parametrize("tile", [28, 256])
def test_a_network_of_one_size_is_not_laid_side_by_side(size, tile):
    net, x = ModelRestorer(Bottleneck(28)), np.zeros((*size, 1), np.uint8)
    with pytest.raises(DataError, match=f"28x28 pixels only, not {size[0]}x{size[1]}"):
        restore_picture(net, Picture(x, None, "PNG"), How(tile=tile))


def test_alpha_and_chroma_are_enlarged_as_the_network_begins():
    """The interpolation of the field's benchmarks, which the upscaling network adds to."""
    x = torch.rand(1, 2, 7, 9)
    assert torch.equal(Bicubic(3)(x, None, None), upscale(x, 3))


def test_the_reader_and_the_viewer_agree_on_turned_tiffs(tmp_path):
    """Pillow turns a TIFF upright when it is read; the result needs no orientation any more."""
    x = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(x).save(tmp_path / "a.tif", exif=exif)
    found = read(tmp_path / "a.tif")
    write(tmp_path / "b.tif", found, found.pixels, found.alpha)
    with Image.open(tmp_path / "a.tif") as a, Image.open(tmp_path / "b.tif") as b:
        a.load(), b.load()
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_pictures_with_alpha_are_refused_before_training_not_after(tmp_path, cli):
    (tmp_path / "in").mkdir()
    for i in range(3):
        x = np.random.default_rng(i).integers(0, 256, (40, 40, 4), np.uint8)
        (tmp_path / "in" / f"{i}.png").write_bytes(encode_png(x))
    words = ("train", tmp_path / "in", "--task", "denoise", "--out", tmp_path / "run")
    said = cli.refused(2, *words)
    assert "4 channels" in said and "--channels 3" in said
    assert not (tmp_path / "run").exists()


def test_only_levels_that_can_be_measured_are_asked_for():
    """Noise in proportion to brightness is not what is measured in a file, so it has no plane."""
    from lemari.types import Schema
    from lemari.variants.restoration import denoising_ae

    planes = {
        kind: denoising_ae(Schema("image", (1, 16, 16)), noise="0:0.3", kind=kind).corrupt.planes
        for kind in ("gaussian", "clipped", "speckle", "salt-pepper")
    }
    assert planes == {"gaussian": 1, "clipped": 1, "speckle": 0, "salt-pepper": 0}


def test_an_empty_name_is_not_this_folder(tmp_path, cli, net, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (12, 12)).save("a.png")
    assert "empty" in cli.refused(2, "restore", "run", "", "-o", "out")
    assert not (tmp_path / "out").exists()


def test_filled_pictures_are_scored_as_they_are_written():
    """What is not missing is kept by the model and by every baseline, and so is no error."""
    from lemari.feed import Feed
    from lemari.formats import ImageFormat
    from lemari.tasks.mend import mend
    from lemari.variants.restoration import inpainting_ae

    torch.manual_seed(0)
    fmt = ImageFormat((1, 12, 12))
    x = np.random.default_rng(0).integers(0, 256, (6, 1, 12, 12), np.uint8)
    model = inpainting_ae(fmt.schema, network="unet:8-8", mask=0.25)
    torch.nn.init.constant_(model.decoder.net.leave.bias, -9.0)  # white everywhere
    found = mend(model, Feed(x, None, fmt), Feed(x, None, fmt))
    white = found.shown["restored"]
    known = found.shown["degraded"] == found.shown["clean"]
    assert 0.7 < known.mean() < 0.8
    assert np.array_equal(white[known], found.shown["clean"][known]) and (white[~known] == 1).all()
    error = np.square(1 - found.shown["clean"]) * ~known
    expected = -10 * np.log10(error.reshape(6, -1).mean(1))
    np.testing.assert_allclose(found.psnr["restored"], expected, rtol=1e-5)
    assert np.array_equal(found.shown["mean of neighbours"][known], found.shown["clean"][known])
