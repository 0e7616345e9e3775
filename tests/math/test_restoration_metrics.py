"""PSNR, SSIM, luma and the estimate of noise against closed forms."""

import io
import math
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lemari.errors import DataError, UsageError
from lemari.metrics.restoration import (
    from_ycbcr,
    luma,
    psnr,
    shave,
    ssim,
    to_ycbcr,
    y_scores,
)
from lemari.noise_level import cosines, estimate_noise, noise_curve

RNG = np.random.default_rng(5)


def picture(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_psnr_of_a_constant_error():
    a = picture(20, 30)
    assert psnr(a, a + 0.1) == pytest.approx(20)
    assert psnr(255 * a, 255 * a + 25.5, peak=255) == pytest.approx(20)
    assert psnr(a, a) == math.inf


def test_ssim_of_equal_pictures_is_one_and_of_others_less():
    a = picture(24, 20, 3)
    assert ssim(a, a) == 1
    assert ssim(a, 1 - a) < 0 < ssim(a, a * 0.5) < 1
    assert ssim(255 * a, 127.5 * a, 255) == pytest.approx(ssim(a, a * 0.5))


def test_ssim_of_two_flat_pictures_compares_their_means_alone():
    a, b = np.full((16, 16), 0.2), np.full((16, 16), 0.6)
    want = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert ssim(a, b) == pytest.approx(want, rel=1e-9)


def test_ssim_of_one_window_from_its_definition():
    """One 11 x 11 window: weighted means and variances, written out in two dimensions."""
    a, b = picture(11, 11), picture(11, 11, seed=1)
    t = np.arange(11) - 5
    w = np.exp(-(t**2 + t[:, None] ** 2) / 4.5)
    w /= w.sum()
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
    both = (w * (a - ma) * (b - mb)).sum()
    top = (2 * ma * mb + 1e-4) * (2 * both + 9e-4)
    assert ssim(a, b) == pytest.approx(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))


def test_ssim_of_colour_is_the_mean_over_channels():
    a, b = picture(15, 18, 3), picture(15, 18, 3, seed=1)
    each = [ssim(a[..., i], b[..., i]) for i in range(3)]
    assert ssim(a, b) == pytest.approx(np.mean(each), rel=1e-12)


def test_ssim_agrees_with_scikit_image():
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    a = picture(40, 50)
    b = np.clip(a + 0.1 * picture(40, 50, seed=1), 0, 1)
    _, full = metrics.structural_similarity(
        a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True,
    )  # fmt: skip
    assert ssim(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), rel=1e-6)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(UsageError, match="cannot be compared"):
        psnr(picture(8, 8), picture(8, 9))
    with pytest.raises(UsageError, match="at least 11 x 11"):
        ssim(picture(8, 30), picture(8, 30))
    with pytest.raises(UsageError, match="choose a smaller"):
        shave(picture(8, 8), 4)


# Colour.


def test_luma_of_white_black_and_the_primaries():
    corners = np.array([[[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1.0]]])
    want = [16, 235, 81.481, 40.966]
    np.testing.assert_allclose(luma(corners)[0] * 255, want, rtol=1e-12)
    grey = to_ycbcr(np.full((2, 2, 3), 0.3))
    np.testing.assert_allclose(grey[..., 1:] * 255, 128, rtol=1e-12)


def test_colours_come_back():
    rgb = picture(9, 7, 3)
    np.testing.assert_allclose(from_ycbcr(to_ycbcr(rgb)), rgb, atol=1e-12)


def test_shave_takes_the_border():
    a = picture(10, 12, 3)
    assert np.array_equal(shave(a, 2), a[2:8, 2:10]) and shave(a, 0).shape == a.shape


def test_scores_on_luma_ignore_border_and_what_eight_bits_cannot_hold():
    a = np.round(picture(30, 30) * 250) / 255
    b = a.copy()
    b[:2] = b[:, -2:] = 0
    assert y_scores(a, b + 0.4 / 255, 2) == (math.inf, 1)
    assert y_scores(a, b, 1)[0] < 30
    one = np.clip(a, 0, 254 / 255)
    assert y_scores(one, one + 1 / 255, 2)[0] == pytest.approx(20 * math.log10(255))


def test_scores_of_colour_are_those_of_its_luma():
    a, b = picture(30, 30, 3), picture(30, 30, 3, seed=1)
    ya, yb = (np.round(luma(v) * 255) / 255 for v in (a, b))
    assert y_scores(a, b, 3) == (psnr(ya[3:-3, 3:-3], yb[3:-3, 3:-3]),
                                 ssim(ya[3:-3, 3:-3], yb[3:-3, 3:-3]))  # fmt: skip


# The level of noise.


def test_the_cosine_transform_is_orthonormal():
    np.testing.assert_allclose(cosines(8) @ cosines(8).T, np.eye(8), atol=1e-14)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 30.0])
@pytest.mark.parametrize("shape", [(180, 180), (300, 400), (128, 128, 3)])
def test_noise_on_a_smooth_picture_is_measured(sigma, shape):
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    smooth = (np.sin(3 * x) + y**2) if len(shape) == 2 else np.stack([x, y, x * y], -1)
    noisy = smooth + sigma * RNG.normal(size=shape)
    assert estimate_noise(noisy) == pytest.approx(sigma, rel=0.06)


def test_a_smooth_picture_without_noise_has_none():
    y, x = np.mgrid[:100, :100] / 100
    assert estimate_noise(np.sin(3 * x) + y**2) < 1e-3
    assert estimate_noise(np.zeros((32, 32))) == 0


def test_the_estimate_is_the_same_at_each_call_and_fast_for_large_pictures():
    big = RNG.normal(size=(2000, 3000)).astype(np.float32)
    begin = time.perf_counter()
    first = estimate_noise(big)
    assert time.perf_counter() - begin < 5
    assert first == estimate_noise(big) == pytest.approx(1, rel=0.03)


def test_tiny_pictures_are_refused():
    with pytest.raises(DataError, match="at least 16 x 16"):
        estimate_noise(np.zeros((15, 40)))


def photos():
    path = Path(os.environ.get("LEMARI_DATA") or "/nowhere", "denoise-sr/bsd68_gray.tar")
    if not path.is_file():
        pytest.skip("$LEMARI_DATA holds no BSD68")
    with tarfile.open(path) as tar:
        names = sorted(m.name for m in tar.getmembers() if m.name.endswith("png"))[::8]
        files = [tar.extractfile(name) for name in names]
        return [np.array(Image.open(io.BytesIO(f.read()))) / 255 for f in files if f]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("sigma", [15, 25, 50])
def test_noise_on_photos_is_measured_within_five_percent(sigma, clip):
    noisy = [x + RNG.normal(size=x.shape) * sigma / 255 for x in photos()]
    if clip:
        noisy = [np.round(x.clip(0, 1) * 255) / 255 for x in noisy]
    found = np.array([estimate_noise(x) * 255 for x in noisy])
    assert found.mean() == pytest.approx(sigma, rel=0.05)
    assert np.abs(found - sigma).max() < 0.15 * sigma


def test_a_noise_curve_tells_noise_by_brightness():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0.2, 0.8, 256) * np.ones((256, 1))
    places, variances = noise_curve(ramp + 0.1 * ramp * rng.standard_normal(ramp.shape))
    assert np.all(np.diff(places) > 0)
    np.testing.assert_allclose(np.sqrt(variances), 0.1 * places, rtol=0.15)
    with pytest.raises(DataError, match="cannot be measured"):
        noise_curve(np.zeros((15, 40)))
