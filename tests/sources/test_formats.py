"""Laws of the formats: JSON both ways, arrays both ways, and what is refused."""

import json

import numpy as np
import pytest
import torch

from lemari.errors import DataError, ModelFileError
from lemari.formats import ImageFormat, TableFormat, format_from_json
from lemari.resizing import crop_box, fitted, inner_size, resize

IMAGES = {
    "bytes": ImageFormat((1, 28, 28), (28, 28), "hw"),
    "rows": ImageFormat((1, 8, 8), (8, 8), "flat", "uint8", 16, 0.0, 16.0),
    "colour": ImageFormat((3, 16, 16), (16, 16), "hwc", classes=("cat", "dög")),
    "first": ImageFormat((3, 16, 16), (16, 16), "chw", "uint16", 65535, 0.0, 65535.0),
    "unit": ImageFormat((1, 12, 12), (12, 12), "hw", "float32", 0, 0.0, 1.0),
    "learned": ImageFormat((3, 12, 10), (12, 10), "hwc", "float32", 0, -3.0, 7.5),
    "files": ImageFormat((3, 64, 64), None, "files"),
}
TABLE = TableFormat(("a", "b"), (1.0, -2.0), (2.0, 1.0), (0.5, 0.25), ("no", "yes"))
ALL = {**IMAGES, "table": TABLE}


def examples(fmt, n=5, seed=0):
    """Values in the user's layout on the format's own grid."""
    random = np.random.default_rng(seed)
    c, h, w = fmt.shape
    x = random.random((n, c, h, w))
    if fmt.levels:
        x = np.rint(x * fmt.levels) / fmt.levels
    return fmt.to_user(x)


@pytest.mark.parametrize("name", ALL)
def test_json_both_ways(name):
    text = json.dumps(ALL[name].to_json(), allow_nan=False)
    assert format_from_json(json.loads(text)) == ALL[name]


@pytest.mark.parametrize("name", IMAGES)
def test_arrays_both_ways(name):
    fmt = IMAGES[name]
    given = examples(fmt)
    stored = fmt.from_array(given)
    assert stored.dtype == fmt.dtype and stored.shape == (5, *fmt.shape)
    unit = fmt.unit(torch.from_numpy(stored))
    assert unit.dtype == torch.float32 and unit.min() >= 0 and unit.max() <= 1
    back = fmt.to_user(unit.numpy().astype(np.float64))
    assert back.dtype == np.float64 and back.shape == given.shape
    np.testing.assert_allclose(back, given, atol=1e-5 * (fmt.high - fmt.low))


def test_unit_leaves_the_stored_rows_alone():
    fmt = IMAGES["learned"]
    stored = torch.full((2, *fmt.shape), 7.5)
    fmt.unit(stored)
    assert (stored == 7.5).all()


@pytest.mark.parametrize("layout", ["flat", "hw", "hwc", "chw"])
def test_every_layout_is_understood_by_any_format(layout):
    fmt = IMAGES["bytes"]
    x = np.random.default_rng(1).integers(0, 256, (3, 1, 28, 28), np.uint8)
    shapes = {"flat": (3, 784), "hw": (3, 28, 28), "hwc": (3, 28, 28, 1), "chw": x.shape}
    np.testing.assert_array_equal(fmt.from_array(x.reshape(shapes[layout])), x)


def test_flat_colour_rows_are_channels_first():
    fmt = ImageFormat((3, 8, 8), (8, 8), "flat")
    x = np.random.default_rng(1).integers(0, 256, (3, 3, 8, 8), np.uint8)
    np.testing.assert_array_equal(fmt.from_array(x.reshape(3, -1)), x)
    np.testing.assert_array_equal(fmt.to_user(x / 255.0), x.reshape(3, -1))


def test_native_size_in_network_size_inside_and_native_size_out():
    fmt = IMAGES["bytes"].resized(32, 32)
    x = np.full((2, 28, 28), 200, np.uint8)
    stored = fmt.from_array(x)
    assert stored.shape == (2, 1, 32, 32) and fmt.schema.shape == (1, 32, 32)
    back = fmt.to_user(stored / 255.0)
    assert back.shape == (2, 28, 28)
    np.testing.assert_allclose(back, 200, atol=1e-3)


def test_stored_rows_of_the_right_kind_are_not_copied():
    x = np.zeros((2, 28, 28), np.uint8)
    assert np.shares_memory(IMAGES["bytes"].from_array(x), x)


def test_rows_lie_in_order_for_a_fast_gather():
    x = np.zeros((2, 16, 16, 3), np.uint8)
    assert IMAGES["colour"].from_array(x).flags.c_contiguous


def test_values_outside_are_clipped_and_levels_are_kept():
    fmt = IMAGES["rows"]
    x = np.full((1, 64), 3.4)
    x[0, :2] = -5, 20
    stored = fmt.from_array(x)
    assert stored.ravel()[:3].tolist() == [0, 16, 3]
    binary = ImageFormat((1, 8, 8), (16, 16), "hw", "uint8", 1, 0.0, 255.0)
    drawn = np.random.default_rng(0).integers(0, 2, (4, 16, 16)) * 255
    assert set(np.unique(binary.from_array(drawn))) == {0, 255}


def test_pixels_for_files():
    x = np.array([0.0, 0.5, 1.0, 2.0, -1.0, np.nan]).reshape(1, 1, 1, 6)
    assert IMAGES["unit"].to_pixels(x).ravel().tolist() == [0, 128, 255, 255, 0, 0]
    deep = IMAGES["first"].to_pixels(np.ones((1, 3, 2, 4)))
    assert deep.dtype == np.uint16 and deep.shape == (1, 2, 4, 3) and deep.max() == 65535


@pytest.mark.parametrize(
    ("fmt", "given", "sentence"),
    [
        ("bytes", np.zeros((2, 27, 28)), r"shape \(2, 27, 28\).*needs \(N, 28, 28\).*rows of 784"),
        ("bytes", np.zeros((2, 783)), "rows of 784"),
        ("bytes", np.zeros(784), "rows of 784"),
        ("colour", np.zeros((2, 16, 16)), r"needs \(N, 16, 16, 3\)"),
        ("bytes", np.zeros((0, 28, 28)), "empty"),
        ("bytes", np.full((2, 28, 28), np.nan), "Row 0 holds a value that is not finite"),
        ("unit", np.full((2, 12, 12), np.inf), "not finite"),
        ("bytes", np.full((2, 28, 28), 0.5), "from 0 to 255; bring them to that scale"),
        ("unit", np.full((2, 12, 12), 200.0), "from 0 to 1; bring them to that scale"),
        ("bytes", np.full((2, 28, 28), 65535), "65535 were given"),
        ("bytes", np.array([["a"] * 784]), "Numbers are needed"),
        ("bytes", np.zeros((1, 28, 28), complex), "Numbers are needed"),
        ("bytes", [[1, 2], [3]], "do not form one array"),
        ("table", np.zeros((4, 3)), r"needs \(N, 2\)"),
        ("table", [[1.0, np.nan]], "Column 'b' holds nan in row 0"),
        ("table", [[0, 0], [np.inf, 1.0]], "Column 'a' holds inf in row 1"),
    ],
)
def test_unfit_arrays_are_refused_with_a_sentence(fmt, given, sentence):
    with pytest.raises(DataError, match=sentence):
        ALL[fmt].from_array(given)


def test_the_row_that_is_not_finite_is_named():
    x = np.zeros((9, 12, 12))
    x[6, 3, 3] = np.nan
    with pytest.raises(DataError, match="Row 6 "):
        IMAGES["unit"].from_array(x)


def test_table_both_ways_and_missing_values():
    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    stored = TABLE.from_array(x)
    assert stored.dtype == np.float32 and stored.tolist() == [[0, 4], [1, -2]]
    np.testing.assert_allclose(TABLE.to_user(stored.astype(np.float64)), x)
    filled, count = TABLE.from_values([[np.nan, 2.0], [3.0, np.nan]])
    assert count == 2
    np.testing.assert_allclose(TABLE.to_user(filled), [[0.5, 2], [3, 0.25]])
    with pytest.raises(DataError, match="Column 'b' holds an infinite value"):
        TABLE.from_values([[np.nan, -np.inf]])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bytes", {"version": 2}),
        ("bytes", {"version": True}),
        ("bytes", {"kind": "sound"}),
        ("bytes", {"kind": ["image"]}),
        ("bytes", {"extra": 1}),
        ("bytes", {"shape": [1, 28]}),
        ("bytes", {"shape": [1, 28, "28"]}),
        ("bytes", {"shape": [1, 0, 28]}),
        ("bytes", {"shape": [16384, 16384, 16384]}),
        ("bytes", {"native": [True, 3]}),
        ("bytes", {"layout": "os.system"}),
        ("bytes", {"layout": []}),
        ("bytes", {"dtype": "object"}),
        ("bytes", {"levels": 2.5}),
        ("bytes", {"levels": -1}),
        ("bytes", {"low": float("nan")}),
        ("bytes", {"high": float("inf")}),
        ("bytes", {"high": 10**400}),
        ("bytes", {"low": 300.0}),
        ("bytes", {"fit": None}),
        ("bytes", {"classes": "abc"}),
        ("bytes", {"classes": [1]}),
        ("table", {"mean": [1.0]}),
        ("table", {"scale": [1.0, 0.0]}),
        ("table", {"scale": None}),
        ("table", {"columns": ["a", 2]}),
        ("table", {"columns": ["a" * 2000, "b"]}),
    ],
)
def test_changed_json_is_refused(name, change):
    with pytest.raises(ModelFileError, match="format file cannot be used"):
        format_from_json({**ALL[name].to_json(), **change})


@pytest.mark.parametrize("data", [None, [], "x", 3, {}, {"version": 1}])
def test_other_json_is_refused(data):
    with pytest.raises(ModelFileError):
        format_from_json(data)


def test_a_missing_key_is_refused():
    data = IMAGES["bytes"].to_json()
    del data["fit"]
    with pytest.raises(ModelFileError, match="keys differ"):
        format_from_json(data)


@pytest.mark.parametrize("old", [(7, 9), (28, 28), (64, 30), (1, 1), (300, 5)])
@pytest.mark.parametrize("new", [(8, 8), (28, 28), (33, 17)])
def test_resize_equals_torch(old, new):
    x = np.random.default_rng(0).random((3, 2, *old)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(x), size=new, mode="bilinear", align_corners=False, antialias=True
    )
    np.testing.assert_allclose(resize(x, *new), theirs.numpy(), atol=2e-6)


def test_large_arrays_are_brought_to_size_in_pieces(monkeypatch):
    fmt = IMAGES["bytes"].resized(14, 14)
    x = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
    whole = fmt.from_array(x)
    monkeypatch.setattr("lemari.formats.CHUNK", 28 * 28 * 3)
    np.testing.assert_array_equal(fmt.from_array(x), whole)


def test_crop_pad_and_stretch():
    x = np.zeros((1, 1, 10, 30), np.float32)
    x[..., 10:20] = 1
    assert crop_box(10, 30, 8, 8) == (0, 10, 10, 10) and inner_size(10, 30, 9, 9) == (3, 9)
    assert fitted(x, 8, 8, "crop").min() > 0.99
    assert fitted(x, 8, 8, "stretch")[0, 0, 0].round(1).tolist()[0] == 0
    padded = fitted(x, 9, 9, "pad", ground=-1.0)
    assert (padded[0, 0, :3] == -1).all() and (padded[0, 0, 6:] == -1).all()
    assert padded[0, 0, 4, 4] == 1
