"""Structural similarity as a term, against the measure for finished pictures."""

import numpy as np
import pytest
import torch

from lemari.laws import Isotropic, Point
from lemari.metrics.restoration import ssim
from lemari.registry import VARIANTS
from lemari.terms.similarity import (
    SCALES,
    Dissimilarity,
    log_from,
    ms_ssim,
    scales_for,
    ssim_parts,
)
from lemari.types import Batch, Schema, Trace, View

F64 = torch.float64


def pictures(*shape, seed=0):
    """Smooth pictures and noisy copies."""
    rng = np.random.default_rng(seed)
    a = rng.random(shape).cumsum(2).cumsum(3)
    a = torch.from_numpy(a / a.max((2, 3), keepdims=True))
    return a, (a + 0.1 * torch.from_numpy(rng.normal(size=shape))).clamp(0, 1)


@pytest.mark.parametrize("shape", [(3, 1, 11, 11), (2, 3, 20, 31)], ids=str)
def test_a_single_scale_is_the_measure_in_metrics(shape):
    a, b = pictures(*shape)
    found, _ = ssim_parts(a, b)
    for i in range(len(a)):
        want = ssim(a[i].permute(1, 2, 0).numpy(), b[i].permute(1, 2, 0).numpy())
        assert float(found[i]) == pytest.approx(want, abs=1e-9) and 0.05 < want < 0.99


@pytest.mark.parametrize("size", [(1, 8, 8), (3, 12, 20), (1, 5, 9), (1, 28, 28), (1, 180, 190)])
def test_copies_have_1_and_others_less(size):
    a, b = pictures(2, *size)
    torch.testing.assert_close(ms_ssim(a, a), torch.ones(2, dtype=F64))
    assert bool((ms_ssim(a, b) < 0.99).all())
    torch.testing.assert_close(ms_ssim(a, b), ms_ssim(b, a))


def test_five_scales_are_weighted_as_published():
    """Step by step on a picture that is large enough for all five."""
    a, b = pictures(1, 1, 176, 176)
    assert scales_for(176, 176) == 5
    want = 1.0
    x, y = a, b
    for weight in SCALES[:-1]:
        want *= float(ssim_parts(x, y)[1]) ** weight
        x, y = (v.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1)) for v in (x, y))
    want *= ssim(x[0, 0].numpy(), y[0, 0].numpy()) ** SCALES[-1]
    assert float(ms_ssim(a, b)) == pytest.approx(want, abs=1e-4)


def test_an_opposite_picture_has_a_slope():
    """A negative structure has no power; the tangent keeps it from being stuck there."""
    a, _ = pictures(1, 1, 28, 28)
    b = (1 - a).requires_grad_()
    value = ms_ssim(a, b)
    value.sum().backward()
    assert bool(torch.isfinite(value).all()) and bool(torch.isfinite(b.grad).all())
    assert float(value.detach()) < 0.05 and float(b.grad.abs().max()) > 0


def test_the_logarithm_goes_on_as_its_tangent():
    x = torch.tensor([-1.0, 0.0, 0.0099999, 0.01, 0.0100001, 1.0], dtype=F64, requires_grad=True)
    y = log_from(x)
    y.sum().backward()
    assert bool((y.diff() > 0).all()) and float(y[-1].detach()) == 0
    torch.testing.assert_close(x.grad[:4], torch.full((4,), 100.0, dtype=F64), rtol=1e-4, atol=0)


def test_the_term_is_the_mean_over_the_draws():
    a, b = pictures(4, 1, 16, 16)
    draws = torch.stack((a, b))
    p, z = Isotropic(draws, 1.0, 3), torch.zeros(2, 4, 1)
    t = Trace(Batch(a), View(a), torch.zeros(4, 0), Point(z[0]), z, Point(z[0]), p, 0)
    found = Dissimilarity(Schema("image", (1, 16, 16)), 1.0)(t, None)
    torch.testing.assert_close(found, (1 - ms_ssim(a, b)) / 2)


def test_the_default_weight_is_one_nat_a_value():
    model = VARIANTS["msssim-vae"](Schema("image", (3, 12, 20)), network="mlp:8")
    assert model.terms[0].weight(0) == 720
