"""Tiles give what the whole picture gives, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from torch.nn import functional

from lemari.errors import RunError, UsageError
from lemari.tasks.restore import Bicubic, Channels, EightViews, Keep, turned, turned_back
from lemari.tasks.tiling import run_tiles, spans, weights


def tiles(*given, **how):
    """The pixels alone of `run_tiles`."""
    return run_tiles(*given, **how).pixels


class Blur:
    """Boxes of 3x3, repeated: each adds a pixel to the halo. Counts the largest input."""

    task, scale, takes_level = "denoise", 1, False

    def __init__(self, times=1, channels=3, multiple=1, smallest=1):
        self.halo, self.channels, self.multiple = times, channels, multiple
        self.smallest, self.times, self.sides = smallest, times, []

    def __call__(self, x, level, seen):
        assert x.dtype == torch.float32 and x.shape[1] == self.channels
        assert x.shape[2] % self.multiple == x.shape[3] % self.multiple == 0
        assert min(x.shape[2:]) >= self.smallest
        self.sides.append(tuple(x.shape[2:]))
        for _ in range(self.times):
            x = functional.avg_pool2d(x, 3, 1, 1)
        return x


class Down:
    """Sees a grid: the mean of each block of 4x4, which only tiles on the same grid repeat."""

    scale, multiple, halo, smallest = 1, 4, 4, 4

    def __call__(self, x, level, seen):
        return functional.interpolate(functional.avg_pool2d(x, 4), scale_factor=4)


class Identity:
    scale, multiple, halo, smallest = 1, 1, 0, 1

    def __call__(self, x, level, seen):
        return x


def picture(height, width, channels=3, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)


SIZES = [(1, 1), (1, 40), (7, 3), (32, 32), (33, 65), (97, 50)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("net", [Blur(1), Blur(5), Blur(3, multiple=8, smallest=16), Down()])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_give_what_the_whole_gives(size, net, dtype):
    x = picture(*size, dtype=dtype)
    whole, tiled = tiles(net, x, tile=4096), tiles(net, x, tile=16)
    assert tiled.dtype == x.dtype and tiled.shape == x.shape
    assert np.abs(whole.astype(int) - tiled).max() <= (0 if dtype == np.uint8 else 1)


def test_without_the_halo_tiles_would_differ():
    x, net = picture(64, 64), Blur(6)
    whole = tiles(net, x, tile=4096).astype(int)
    net.halo = 0
    assert np.abs(whole - tiles(net, x, tile=16)).max() > 2


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_enlarging_in_tiles_is_enlarging_the_whole(scale, size):
    x = picture(*size, channels=1)
    given = torch.from_numpy(x[..., 0] / 255).float()[None, None]
    whole = Bicubic(scale)(given, None, None)[0, 0].clamp(0, 1).numpy() * 255
    tiled = tiles(Bicubic(scale), x, tile=16)
    assert tiled.shape == (size[0] * scale, size[1] * scale, 1)
    assert np.abs(tiled[..., 0] - whole).max() <= 0.501


def test_a_halo_above_the_cap_is_blended():
    """Smooth picture, wide blur: no seam, and little difference to the whole."""
    rows, columns = np.mgrid[:120, :130]
    x = (127 + 60 * np.sin(rows / 17) + 60 * np.cos(columns / 23)).astype(np.uint8)[..., None]
    net = Blur(20, channels=1)
    whole = tiles(net, x, tile=4096).astype(int)
    hard = tiles(net, x, tile=32, most_overlap=0).astype(int)
    soft = tiles(net, x, tile=32, most_overlap=12).astype(int)
    assert np.abs(soft - whole).max() <= 2 < np.abs(hard - whole).max()


@pytest.mark.parametrize("length", [1, 15, 16, 17, 63, 64, 100])
@pytest.mark.parametrize(("tile", "overlap", "feather"), [(16, 0, 0), (16, 8, 4), (16, 32, 8)])
@pytest.mark.parametrize("scale", [1, 3])
def test_the_weights_of_one_side_sum_to_one(length, tile, overlap, feather, scale):
    total = np.zeros(length * scale)
    for span in spans(length, tile, overlap, 1):
        total[span.low * scale : span.high * scale] += weights(span, length, scale, feather)
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_blended_identity_is_exact():
    class Far(Identity):
        halo = 500

    for dtype in (np.uint8, np.uint16):
        x = picture(150, 90, dtype=dtype)
        assert np.array_equal(tiles(Far(), x, tile=32, most_overlap=10), x)


def test_tiles_are_as_small_as_said():
    net = Blur(2)
    tiles(net, picture(100, 200), tile=32)
    assert max(max(side) for side in net.sides) <= 32 + 2 * 2


def test_memory_does_not_grow_with_the_picture():
    """24 megapixels: the result itself, and a few rows of tiles."""
    x = np.zeros((4000, 6000, 3), np.uint8)
    x[1000:1010] = 77
    tracemalloc.start()
    made = tiles(Identity(), x, tile=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(made, x)
    assert peak < x.nbytes + 100e6


def test_progress_ends_at_the_total():
    steps = []
    tiles(Identity(), picture(40, 70), tile=16, progress=lambda *s: steps.append(s))
    assert steps[-1] == (15, 15) and [s[0] for s in steps] == sorted(s[0] for s in steps)


def test_values_that_are_not_finite_are_refused():
    class Broken(Identity):
        def __call__(self, x, level, seen):
            return x / 0

    with pytest.raises(RunError, match="not finite"):
        tiles(Broken(), picture(4, 4))
    with pytest.raises(UsageError, match="tile"):
        tiles(Identity(), picture(4, 4), tile=3)


def test_values_out_of_range_are_cut_and_counted():
    class Brighter(Identity):
        def __call__(self, x, level, seen):
            return x + 0.5

    x = np.array([0, 100, 200, 255], np.uint8).reshape(2, 2, 1)
    made = run_tiles(Brighter(), x)
    assert made.pixels.ravel().tolist() == [128, 228, 255, 255]
    assert made.clipped == 0.5


def test_level_and_mask_reach_the_network():
    class Show(Identity):
        def __call__(self, x, level, seen):
            assert level.shape == (len(x),) and seen.shape == (len(x), 1, *x.shape[2:])
            return torch.ones_like(x) * level[:, None, None, None] * seen

    seen = (np.arange(40 * 30).reshape(40, 30) % 3 > 0).astype(np.uint8) * 255
    made = tiles(Show(), picture(40, 30), level=0.2, seen=seen, tile=16)
    assert np.array_equal(made, np.repeat((seen // 5)[..., None], 3, 2))


@pytest.mark.parametrize("view", range(8))
def test_views_come_back(view):
    x = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    assert torch.equal(turned_back(turned(x, view), view), x)
    others = [turned(x[..., :4], other) for other in range(8) if other != view]
    assert not any(torch.equal(turned(x[..., :4], view), other) for other in others)


def test_eight_views_of_a_shift_are_its_mean_and_spread():
    """A network that looks one pixel to the left: each neighbour comes twice in 8 views."""

    class Left(Identity):
        halo = 1

        def __call__(self, x, level, seen):
            return x.roll(1, 3)

    x = torch.rand(1, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made = EightViews(Left(), spread=True)(x, None, None)
    four = torch.stack([x.roll(s, d) for s in (1, -1) for d in (2, 3)])
    torch.testing.assert_close(made[:, :1], four.mean(0))
    torch.testing.assert_close(made[:, 1:], four.std(0, unbiased=False))


def test_eight_views_in_tiles():
    class Lean(Blur):
        def __call__(self, x, level, seen):
            return super().__call__(x, level, seen).roll(1, 3)

    net = EightViews(Lean(2, multiple=2), spread=True)
    net.halo = 3
    x = picture(50, 41)[4:46, 4:37]
    whole, tiled = run_tiles(net, x, tile=4096), run_tiles(net, x, tile=16)
    inner = np.s_[4:-4, 4:-4]  # the roll wraps around at the border
    assert np.abs(whole.pixels[inner].astype(int) - tiled.pixels[inner]).max() <= 1
    assert tiled.spread.shape == (42, 33) and tiled.spread[inner].max() > 0.01
    np.testing.assert_allclose(whole.spread[inner], tiled.spread[inner], atol=1e-3)


def test_a_gray_network_takes_each_channel_of_colour():
    x = torch.rand(2, 3, 8, 8)
    made = Channels(Blur(1, channels=1))(x, torch.tensor([0.1, 0.2]), None)
    torch.testing.assert_close(made, Blur(1)(x, None, None))


def test_a_colour_network_on_gray_is_its_mean():
    class Tint(Identity):
        task, channels = "denoise", 3

        def __call__(self, x, level, seen):
            return x + torch.tensor([0.0, 0.1, 0.2])[None, :, None, None]

    x = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(Channels(Tint())(x, None, None), x + 0.1)


def test_a_gray_enlarger_works_on_luma_and_leaves_chroma_bicubic():
    class Net(Bicubic):
        task, channels = "upscale", 1

    x = torch.rand(1, 3, 9, 9)
    made = Channels(Net(2))(x, None, None)
    torch.testing.assert_close(made, Bicubic(2)(x, None, None), atol=1e-5, rtol=0)

    class Bright(Net):
        def __call__(self, x, level, seen):
            return super().__call__(x, level, seen) + 0.1

    torch.testing.assert_close(Channels(Bright(2))(x, None, None), made + 0.1, atol=1e-5, rtol=0)


def test_strength_moves_part_of_the_way():
    x = torch.rand(1, 3, 9, 9)
    blurred = Blur()(x, None, None)
    torch.testing.assert_close(Keep(Blur(), 0.25)(x, None, None), 0.75 * x + 0.25 * blurred)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strength_zero_changes_no_bit(dtype):
    x = picture(70, 60, dtype=dtype)
    assert np.array_equal(tiles(Keep(Blur(3), 0.0), x, tile=16), x)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_measured_pixels_are_kept_and_hidden_ones_never_seen(dtype):
    x, seen = picture(50, 50, dtype=dtype), np.ones((50, 50), np.uint8)
    seen[10:20, 15:40] = 0
    other = x.copy()
    other[seen == 0] = 0
    made, same = (tiles(Keep(Blur(2), 1.0), v, seen=seen, tile=16) for v in (x, other))
    assert np.array_equal(made, same)
    assert np.array_equal(made[seen > 0], x[seen > 0])
    assert not np.array_equal(made[seen == 0], x[seen == 0])
