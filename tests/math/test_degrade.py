"""Degradations against closed forms: means, variances, kernels, masks."""

import math

import numpy as np
import pytest
import torch

from lemari import degrade
from lemari.errors import UsageError


def flat(value, shape=(4, 1, 200, 200)):
    return torch.full(shape, value, dtype=torch.float64)


def near(value, expected, relative):
    assert float(value) == pytest.approx(expected, rel=relative)


# Noise. 160,000 values: a variance is off by 0.35 percent (one sigma), so 2 percent is six.


def test_gaussian_noise_has_its_mean_and_variance():
    y = degrade.gaussian(flat(0.3), 0.2, mean=0.5)
    near(y.mean(), 0.8, 0.005)
    near(y.var(), 0.04, 0.02)


def test_gaussian_noise_that_is_clipped_has_the_mean_of_a_rectified_gaussian():
    """Black with N(0, s): half the pixels stay 0 and the mean is s / sqrt(2 pi)."""
    y = degrade.gaussian(flat(0.0), 0.1, clip=True)
    assert y.min() == 0 and y.max() <= 1
    near((y == 0).double().mean(), 0.5, 0.02)
    near(y.mean(), 0.1 / math.sqrt(2 * math.pi), 0.02)
    assert degrade.gaussian(flat(0.9), 0.3, mean=0.5, clip=True).max() == 1


def test_levels_of_a_batch_are_used_one_by_one():
    sigma = torch.tensor([0.0, 0.1, 0.2, 0.4], dtype=torch.float64)
    y = degrade.gaussian(flat(0.5), sigma)
    assert torch.equal(y[0], flat(0.5)[0])
    torch.testing.assert_close(y.std((1, 2, 3)), sigma, rtol=0.02, atol=0)


def test_poisson_noise_is_unbiased_with_variance_x_over_peak():
    y = degrade.poisson(flat(0.4), 30.0)
    near(y.mean(), 0.4, 0.01)
    near(y.var(), 0.4 / 30, 0.02)
    counts = y * 30
    torch.testing.assert_close(counts, counts.round())


def test_salt_and_pepper_hits_whole_pixels_as_often_as_asked():
    y = degrade.salt_pepper(flat(0.5, (4, 3, 200, 200)), 0.2)
    assert set(y.unique().tolist()) == {0.0, 0.5, 1.0}
    assert torch.equal(y[:, :1].expand(-1, 3, -1, -1), y)
    near((y == 0).double().mean(), 0.1, 0.05)
    near((y == 1).double().mean(), 0.1, 0.05)


def test_speckle_is_unbiased_with_variance_x_squared_sigma_squared():
    y = degrade.speckle(flat(0.6), 0.25)
    near(y.mean(), 0.6, 0.005)
    near(y.var(), 0.6**2 * 0.25**2, 0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_flat_pictures_and_is_worse_at_low_quality(channels):
    grey = flat(128 / 255, (2, channels, 32, 24))
    torch.testing.assert_close(degrade.jpeg(grey, 90), grey, rtol=0, atol=1e-9)
    x = torch.rand(2, channels, 32, 24, dtype=torch.float64)
    y = degrade.jpeg(x, torch.tensor([95.0, 10.0]))
    first, second = (y - x).square().mean((1, 2, 3)).tolist()
    assert y.shape == x.shape and 0 < first < second
    torch.testing.assert_close(y * 255, (y * 255).round())


def test_jpeg_refuses_two_channels():
    with pytest.raises(UsageError, match="1 or 3 channels"):
        degrade.jpeg(flat(0.5, (1, 2, 8, 8)), 50)


# Blur.


def test_blur_of_a_point_has_the_variance_asked_for_and_keeps_the_sum():
    x = flat(0.0, (2, 1, 61, 61))
    x[:, :, 30, 30] = 1
    sigma = torch.tensor([1.5, 3.0], dtype=torch.float64)
    y = degrade.blur(x, sigma)[:, 0]
    t = torch.arange(61, dtype=torch.float64) - 30
    torch.testing.assert_close(y.sum((1, 2)), torch.ones(2, dtype=torch.float64))
    for axis in (1, 2):
        torch.testing.assert_close((y.sum(axis) * t**2).sum(1), sigma**2, rtol=5e-3, atol=0)


def test_blur_reflects_at_the_edges():
    scipy = pytest.importorskip("scipy.ndimage")
    x = torch.rand(1, 2, 12, 9, dtype=torch.float64)
    for sigma in (0.75, 2.0, 5.0):
        want = scipy.gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror")
        np.testing.assert_allclose(degrade.blur(x, sigma).numpy(), want, atol=1e-12)
    torch.testing.assert_close(degrade.blur(x, 0.0), x)


# Missing pixels.


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_single_missing_pixels_are_counted_exactly(share):
    seen = degrade.missing(flat(0.5, (3, 2, 20, 10)), share)
    assert seen.shape == (3, 1, 20, 10)
    assert (seen == 0).sum((1, 2, 3)).tolist() == [round(200 * share)] * 3


@pytest.mark.parametrize(("share", "block"), [(0.25, 4), (0.5, 8), (0.1, 3)])
def test_missing_blocks_cover_the_share_asked_for(share, block):
    hidden = degrade.missing(flat(0.5, (400, 1, 64, 48)), share, block) == 0
    assert float(hidden.double().mean()) == pytest.approx(share, abs=0.01)
    edge = hidden[..., 0].double().mean(), hidden[..., 0, :].double().mean()
    assert [float(v) for v in edge] == pytest.approx([share, share], abs=0.03)


def test_missing_blocks_are_whole_blocks():
    hidden = (degrade.missing(flat(0.5, (50, 1, 40, 40)), 0.05, 5) == 0).double()
    inner = hidden[..., 5:-5, 5:-5]
    eroded = -torch.nn.functional.max_pool2d(-hidden, 5, 1)
    padded = torch.nn.functional.pad(eroded, (4, 4, 4, 4))
    opened = torch.nn.functional.max_pool2d(padded, 5, 1)
    assert torch.equal(opened[..., 5:-5, 5:-5], inner) and inner.sum() > 0


# Resizing.


@pytest.mark.parametrize("scale", degrade.SCALES)
@pytest.mark.parametrize("size", [5, 12, 31])
def test_weights_sum_to_one_and_constants_stay(scale, size):
    for given, wanted, factor in [
        (size, math.ceil(size / scale), 1 / scale),
        (size, size * scale, float(scale)),
    ]:
        weights = degrade.cubic_weights(given, wanted, factor)
        torch.testing.assert_close(weights.sum(1), torch.ones(wanted, dtype=torch.float64))
    x = flat(0.37, (1, 1, size, 7))
    torch.testing.assert_close(
        degrade.upscale(x, scale), flat(0.37, (1, 1, size * scale, 7 * scale))
    )
    small = flat(0.37, (1, 1, math.ceil(size / scale), math.ceil(7 / scale)))
    torch.testing.assert_close(degrade.downscale(x, scale), small)


def test_halving_has_the_weights_of_keys_computed_by_hand():
    """Samples lie 0.25, 0.75, 1.25 and 1.75 of the stretched unit from the centre.

    k(1/4) = 111/128, k(3/4) = 29/128, k(5/4) = -9/128, k(7/4) = -3/128; both sides sum to 2.
    """
    row = degrade.cubic_weights(16, 8, 0.5)[3]
    half = np.array([-3, -9, 29, 111]) / 256
    want = np.zeros(16)
    want[3:11] = np.concatenate([half, half[::-1]])
    np.testing.assert_allclose(row.numpy(), want, atol=1e-15)


def test_doubling_has_the_weights_of_keys_computed_by_hand():
    """New samples lie a quarter off the old: k(1/4), k(3/4), k(5/4), k(7/4) again."""
    rows = degrade.cubic_weights(8, 16, 2.0).numpy()
    np.testing.assert_allclose(rows[7, 2:6] * 128, [-9, 111, 29, -3], atol=1e-12)
    np.testing.assert_allclose(rows[8, 2:6] * 128, [-3, 29, 111, -9], atol=1e-12)
    assert np.count_nonzero(rows[7]) == 4


def test_edges_are_mirrored_with_the_edge_repeated():
    """The first of the doubled samples sees x[1], x[0], x[0], x[1] at 7/4, 3/4, 1/4, 5/4."""
    row = degrade.cubic_weights(8, 16, 2.0)[0].numpy() * 128
    np.testing.assert_allclose(row[:3], [29 + 111, -3 - 9, 0], atol=1e-12)


@pytest.mark.parametrize("scale", degrade.SCALES)
def test_a_ramp_stays_a_ramp_inside(scale):
    t = torch.arange(48, dtype=torch.float64)
    x = (0.01 * t + 0.02 * t[:, None]).view(1, 1, 48, 48)
    small, large = degrade.downscale(x, scale), degrade.upscale(x, scale)
    for y, step in ((small, scale), (large, 1 / scale)):
        centre = (torch.arange(y.shape[-1], dtype=torch.float64) + 0.5) * step - 0.5
        want = 0.01 * centre + 0.02 * centre[:, None]
        edge = y.shape[-1] // 4
        inside = (..., slice(edge, -edge), slice(edge, -edge))
        torch.testing.assert_close(y[0, 0][inside], want[inside])


def test_resizing_agrees_with_pillow_away_from_the_edges():
    """Pillow uses the same kernel and antialiasing, and differs only at the edges."""
    from PIL import Image

    x = np.random.default_rng(0).random((48, 60), dtype=np.float32)
    for scale in degrade.SCALES:
        for size, y in [
            ((60 // scale, 48 // scale), degrade.downscale(torch.from_numpy(x)[None, None], scale)),
            ((60 * scale, 48 * scale), degrade.upscale(torch.from_numpy(x)[None, None], scale)),
        ]:
            want = np.array(Image.fromarray(x).resize(size, Image.Resampling.BICUBIC))
            cut = 3 if size[0] < 60 else 3 * scale
            inside = (slice(cut, -cut), slice(cut, -cut))
            np.testing.assert_allclose(y[0, 0].numpy()[inside], want[inside], atol=2e-6)


@pytest.mark.parametrize("scale", degrade.SCALES)
def test_area_is_the_mean_of_blocks(scale):
    x = torch.rand(2, 3, 24, 12, dtype=torch.float64)
    want = x.view(2, 3, 24 // scale, scale, 12 // scale, scale).mean((3, 5))
    torch.testing.assert_close(degrade.downscale(x, scale, "area"), want)


def test_enlarging_to_a_size():
    x = torch.rand(1, 1, 10, 8)
    assert degrade.upscale(x, (20, 16)).equal(degrade.upscale(x, 2))
    assert degrade.upscale(x, (21, 17)).shape == (1, 1, 21, 17)
    assert degrade.downscale(torch.rand(1, 1, 21, 17), 2).shape == (1, 1, 11, 9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: degrade.downscale(x, 1), "2, 3 or 4, not by 1"),
        (lambda x: degrade.upscale(x, 7), "2, 3 or 4, not by 7"),
        (lambda x: degrade.downscale(x, 2, "nearest"), "not by 'nearest'"),
        (lambda x: degrade.downscale(x, 4, "area"), "crop it to 8 x 8"),
    ],
)
def test_impossible_resizing_is_refused_in_one_sentence(call, message):
    with pytest.raises(UsageError, match=message):
        call(torch.rand(1, 1, 10, 9))


def test_holes_are_filled_by_what_is_near():
    """Constants are continued, ramps to within a step; what stands in a hole does not matter."""
    flat = torch.full((1, 2, 20, 20), 0.3, dtype=torch.float64)
    ramp = torch.linspace(0, 1, 41, dtype=torch.float64).expand(1, 1, 41, 41)
    seen = torch.ones(1, 1, 20, 20, dtype=torch.float64)
    seen[..., 7:11, 8:12] = 0
    torch.testing.assert_close(degrade.fill_holes(flat, seen), flat, rtol=0, atol=2e-4)
    hole = torch.ones(1, 1, 41, 41, dtype=torch.float64)
    hole[..., 19:22, 19:22] = 0
    torch.testing.assert_close(degrade.fill_holes(ramp, hole), ramp, rtol=0, atol=1 / 40)
    spoilt = torch.where(seen > 0, flat, torch.nan)
    assert torch.equal(degrade.fill_holes(spoilt, seen), degrade.fill_holes(flat, seen))
    alone = degrade.fill_holes(flat, torch.zeros_like(seen))
    assert (alone == 0.5).all()


def test_the_reach_of_a_filling_is_what_it_says():
    x = torch.rand(1, 1, 120, 120, dtype=torch.float64)
    seen = (torch.rand(1, 1, 120, 120) > 0.6).double()
    seen[..., 60, 60] = 1
    y = x.clone()
    y[..., 60, 60] += 1
    moved = (degrade.fill_holes(x, seen) - degrade.fill_holes(y, seen)).abs()[0, 0].nonzero() - 60
    assert 6 < moved.abs().max() <= degrade.FILL_REACH
