"""Units and optima of the likelihoods: what a nat of loss means, and what no model can beat."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lemari.errors import UsageError
from lemari.laws import Isotropic, Student
from lemari.likelihoods import (
    BernoulliLikelihood,
    GaussianLikelihood,
    Limit,
    PerValueLikelihood,
    StudentLikelihood,
    likelihood_for,
)
from lemari.optimise import Adam
from lemari.registry import VARIANTS
from lemari.terms.fit import Recon
from lemari.train import update
from lemari.types import Batch, Schema, Trace, View

F64 = torch.float64


def trace(p, x) -> Trace:
    empty = torch.zeros(len(x), 0)
    return Trace(Batch(x), View(x), empty, None, empty, None, p, 0)


def test_twice_the_pixels_with_the_same_error_are_twice_the_nats():
    likelihood = GaussianLikelihood(3, sigma=0.1, squash=False)
    losses = []
    for height in (8, 16):
        x = torch.zeros(2, 1, height, 8, dtype=F64)
        p = likelihood(torch.full((1, 2, 1, height, 8), 0.05, dtype=F64))
        losses.append(Recon()(trace(p, x), None))
    torch.testing.assert_close(losses[1], 2 * losses[0])
    per_pixel = 0.05**2 / (2 * 0.1**2) + math.log(0.1) + 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(losses[0], torch.full((2,), 64 * per_pixel, dtype=F64))


def test_the_loss_is_the_mean_over_the_batch_and_over_the_draws():
    data = Schema("table", (5,))
    for k in (1, 4):
        model = VARIANTS["ae"](data, network="mlp:4", latent=2)
        model.k = k
        x = torch.randn(6, 5)
        one = update(model, Adam(model, 0.0), Batch(x), 0)["recon"]
        three = update(model, Adam(model, 0.0), Batch(x.repeat(3, 1)), 0)["recon"]
        torch.testing.assert_close(one, three)
        per_row = model.loss(model(Batch(x)))["recon"]
        torch.testing.assert_close(one, per_row.mean())


def test_gradients_do_not_grow_with_the_batch():
    model = VARIANTS["ae"](Schema("table", (5,)), network="mlp:4", latent=2)
    x = torch.randn(6, 5)
    found = []
    for batch in (x, x.repeat(3, 1)):
        update(model, Adam(model, 0.0), Batch(batch), 0)
        found.append([p.grad.clone() for p in model.parameters()])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_learned_sigma_is_the_root_mean_squared_error():
    """Which is the sigma that maximises the likelihood: any other makes the loss larger."""
    likelihood = GaussianLikelihood(1, squash=False).double()
    x, mean = torch.randn(4000, 3, dtype=F64) * 0.2, torch.zeros(1, 4000, 3, dtype=F64)
    for first in range(0, 4000, 100):
        part = slice(first, first + 100)
        likelihood.observe(Isotropic(mean[:, part], 1.0, 1), x[part])
    rmse = float(x.square().mean().sqrt())
    assert likelihood.sigma == pytest.approx(rmse, rel=1e-6)

    def loss(variance):
        return float(-Isotropic(mean, variance, 1).log_prob(x).mean())

    assert loss(rmse**2) < min(loss((rmse * 1.05) ** 2), loss((rmse * 0.95) ** 2))


def test_the_learned_sigma_follows_a_falling_error_and_has_a_floor():
    likelihood = GaussianLikelihood(1, squash=False).double()
    p = Isotropic(torch.zeros(1, 10, 2, dtype=F64), 1.0, 1)
    for _ in range(100):
        likelihood.observe(p, torch.ones(10, 2, dtype=F64))
    assert likelihood.sigma == pytest.approx(1.0)
    for _ in range(400):
        likelihood.observe(p, torch.full((10, 2), 0.1, dtype=F64))
    assert likelihood.sigma == pytest.approx(0.1, rel=0.05)
    for _ in range(2000):
        likelihood.observe(p, torch.zeros(10, 2, dtype=F64))
    assert likelihood.sigma == pytest.approx(1e-3)


def test_the_learned_sigma_has_no_gradient_and_stays_put_in_use():
    model = VARIANTS["vae"](Schema("table", (5,)), network="mlp:4", latent=2)
    batch = Batch(torch.randn(20, 5))
    assert not any(p is model.decoder.likelihood.variance for p in model.parameters())
    update(model, Adam(model, 1e-3), batch, 0)
    before = model.decoder.likelihood.sigma
    assert before != 1.0
    with torch.no_grad():
        model.eval()(batch)
        model.train()(batch)
    assert model.decoder.likelihood.sigma == before


def test_the_first_batch_decides_sigma_alone():
    model = VARIANTS["vae"](Schema("table", (5,)), network="mlp:4", latent=2)
    batch = Batch(torch.randn(20, 5))
    torch.manual_seed(0)
    with torch.no_grad():
        rmse = float((model(batch).p.mean - batch.x).square().mean().sqrt())
    torch.manual_seed(0)
    update(model, Adam(model, 0.0), batch, 0)
    assert model.decoder.likelihood.sigma == pytest.approx(rmse, rel=1e-5)


def test_missing_values_are_left_out_of_sigma():
    likelihood = GaussianLikelihood(1, squash=False).double()
    x = torch.tensor([[0.3, 99.0], [0.3, 0.3]], dtype=F64)
    w = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=F64)
    for k in (1, 3):
        likelihood.seen.zero_()
        likelihood.observe(Isotropic(torch.zeros(k, 2, 2, dtype=F64), 1.0, 1), x, w)
        assert likelihood.sigma == pytest.approx(0.3)


def test_a_fixed_sigma_stays():
    likelihood = GaussianLikelihood(1, sigma=0.5)
    likelihood.observe(Isotropic(torch.zeros(1, 4, 2), 1.0, 1), torch.ones(4, 2))
    assert likelihood.sigma == pytest.approx(0.5)
    assert likelihood(torch.zeros(1, 4, 2)).variance == 0.25


def test_the_bernoulli_floor_is_the_entropy_and_no_decoder_beats_it():
    likelihood, x = BernoulliLikelihood(3), torch.rand(5, 1, 4, 4, dtype=F64)
    x[0, 0, 0] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    floor = likelihood.floor_nats(x)
    entropy = -(torch.special.xlogy(x, x) + torch.special.xlogy(1 - x, 1 - x)).sum((1, 2, 3))
    torch.testing.assert_close(floor, entropy)
    at_best = -likelihood(torch.logit(x, eps=1e-12)[None]).log_prob(x)[0]
    torch.testing.assert_close(at_best, floor, rtol=1e-8, atol=1e-8)
    for _ in range(50):
        logits = torch.logit(x, eps=1e-6)[None] + 0.3 * torch.randn(1, *x.shape, dtype=F64)
        assert bool((-likelihood(logits).log_prob(x)[0] >= floor).all())


def test_the_floor_of_black_and_white_is_zero_and_of_a_gaussian_unknown():
    x = torch.rand(3, 1, 4, 4).round()
    assert float(BernoulliLikelihood(3).floor_nats(x).abs().sum()) == 0
    assert GaussianLikelihood(3).floor_nats(x) is None


@pytest.mark.parametrize(("name", "nats"), [("mnist", 0.0581), ("fashion-mnist", 0.2422)], ids=str)
def test_the_floor_of_published_test_pictures(name, nats):
    from lemari.errors import LemariError
    from lemari.sources import open_data

    root = os.environ.get("LEMARI_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("LEMARI_DATA does not name a folder with the picture sets")
    try:
        source = open_data(name, split="test")
        rows = source.load(source.learn())
    except LemariError as absent:
        pytest.skip(f"{name} is not there: {absent}")
    x = torch.from_numpy(np.asarray(rows.x)).double() / 255
    assert len(x) == 10_000
    assert float(BernoulliLikelihood(3).floor_nats(x).mean()) / 784 == pytest.approx(nats, abs=5e-5)


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_link_is_the_inverse_of_the_mean(kind):
    data = Schema(kind, (1, 4, 4) if kind == "image" else (16,))
    for name in ("gaussian", "mse", *(["bernoulli"] if kind == "image" else [])):
        likelihood = likelihood_for(data, name)
        mean = torch.linspace(0.05, 0.95, 16, dtype=F64).view(data.shape)
        torch.testing.assert_close(likelihood(likelihood.link(mean)).mean, mean)
        black = likelihood.link(torch.zeros(data.shape))
        assert bool(torch.isfinite(black).all())


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_a_sigma_that_cannot_be_is_refused(sigma):
    with pytest.raises(UsageError, match="above 0"):
        GaussianLikelihood(1, sigma=sigma)


def test_likelihoods_by_name():
    table, image = Schema("table", (4,)), Schema("image", (1, 8, 8))
    assert likelihood_for(table).learned and not likelihood_for(table).squash
    assert likelihood_for(image).squash and likelihood_for(image, "mse").sigma == 1
    with pytest.raises(UsageError, match="needs values between 0 and 1"):
        likelihood_for(table, "bernoulli")
    with pytest.raises(UsageError, match="Known: gaussian"):
        likelihood_for(image, "gausian")


def test_per_value_sigmas_are_the_root_mean_squared_errors_of_each_value():
    likelihood = PerValueLikelihood((3,), squash=False).double()
    spread = torch.tensor([0.5, 0.02, 2.0], dtype=F64)
    x, mean = torch.randn(4000, 3, dtype=F64) * spread, torch.zeros(1, 4000, 3, dtype=F64)
    for first in range(0, 4000, 100):
        part = slice(first, first + 100)
        likelihood.observe(likelihood(mean[:, part]), x[part])
    rmse = x.square().mean(0).sqrt()
    torch.testing.assert_close(likelihood.variance.sqrt(), rmse, rtol=0.2, atol=0)
    assert likelihood.sigma == pytest.approx(float(likelihood.variance.mean()) ** 0.5)
    law = torch.distributions.Normal(mean, likelihood.variance.sqrt())
    torch.testing.assert_close(likelihood(mean).log_prob(x), law.log_prob(x).sum(-1))


def test_per_value_sigmas_have_a_floor_and_pass_over_what_is_missing():
    likelihood = PerValueLikelihood((2,), squash=False).double()
    p, x = likelihood(torch.zeros(1, 10, 2, dtype=F64)), torch.full((10, 2), 0.5, dtype=F64)
    w = torch.tensor([1.0, 0.0], dtype=F64).expand(10, 2)
    for _ in range(400):
        likelihood.observe(p, x, w)
    torch.testing.assert_close(likelihood.variance, torch.tensor([0.25, 1.0], dtype=F64))
    for _ in range(1000):
        likelihood.observe(p, 0 * x)
    torch.testing.assert_close(likelihood.variance, torch.full((2,), 1e-4, dtype=F64))


def test_a_student_law_is_that_of_the_textbook():
    from scipy.stats import multivariate_t

    g = torch.Generator().manual_seed(0)
    mean, x = (
        torch.randn(2, 3, 4, generator=g, dtype=F64),
        torch.randn(3, 4, generator=g, dtype=F64),
    )
    law = Student(mean, torch.tensor(0.3, dtype=F64))
    for k in range(2):
        for b in range(3):
            textbook = multivariate_t(mean[k, b].numpy(), 0.09 * np.eye(4), df=law.freedom)
            known = torch.tensor(textbook.logpdf(x[b].numpy()), dtype=F64)
            torch.testing.assert_close(law.log_prob(x)[k, b], known)


def test_draws_of_a_student_law_spread_as_it_says():
    from scipy.stats import f

    torch.manual_seed(0)
    law = Student(torch.ones(2, 5, dtype=F64), 0.5)
    drawn = law.sample(100_000)
    assert drawn.shape == (100_000, 2, 5)
    size = (drawn - 1).square().sum(-1)
    middle = size.median().item() / 5 / 0.25
    assert abs(middle - f.ppf(0.5, 5, law.freedom)) < 0.02
    variance = law.freedom / (law.freedom - 2) * 0.25
    assert abs(size.mean().item() / 5 / variance - 1) < 0.05


def test_a_student_likelihood_makes_the_mean_psnr_large():
    """Its slope is that of the mean logarithm of the squared errors, for any scale far below."""
    likelihood = StudentLikelihood(1, squash=False).double()
    likelihood.variance.fill_(1e-6)
    h = torch.tensor([[[0.1] * 900, [0.4] * 900]], dtype=F64, requires_grad=True)
    x = torch.zeros(2, 900, dtype=F64)
    (slope,) = torch.autograd.grad(-likelihood(h).log_prob(x).sum(), h)
    (wanted,) = torch.autograd.grad(450 * (h - x).square().sum(-1).log().sum(), h)
    torch.testing.assert_close(slope, wanted, rtol=0.01, atol=0)


def test_the_scale_of_a_student_likelihood_is_the_most_likely_one():
    torch.manual_seed(0)
    sigma = torch.rand(400, 1, dtype=F64) + 0.2
    x = sigma * torch.randn(400, 6, dtype=F64)
    likelihood = StudentLikelihood(1, squash=False).double()
    p = likelihood(torch.zeros(1, 400, 6, dtype=F64))
    for _ in range(2000):
        likelihood.observe(p, x)
    around = [Student(p.mean, likelihood.sigma * f).log_prob(x).mean() for f in (0.98, 1, 1.02)]
    assert around[1] > around[0] and around[1] > around[2]


def test_a_student_likelihood_is_for_pictures():
    with pytest.raises(UsageError, match="for pictures"):
        likelihood_for(Schema("table", (5,)), "student")
    with pytest.raises(UsageError, match="single pixels"):
        VARIANTS["denoising-ae"](
            Schema("image", (1, 8, 8)), kind="blind-spot", likelihood="student"
        )


def test_a_limited_mean_has_a_slope_only_towards_the_range():
    h = torch.tensor([-0.5, -0.5, 0.3, 1.5, 1.5], dtype=F64, requires_grad=True)
    slope = torch.tensor([1.0, -1.0, 2.0, 1.0, -1.0], dtype=F64)
    mean = Limit.apply(h)
    assert mean.tolist() == [0, 0, 0.3, 1, 1]
    (back,) = torch.autograd.grad(mean, h, slope)
    assert back.tolist() == [0, -1, 2, 1, 0]


def test_restored_pictures_lie_in_the_range_but_hidden_pixels_need_not():
    data = Schema("image", (1, 8, 8))
    for kind in ("gaussian", "blind-spot"):
        model = VARIANTS["denoising-ae"](data, kind=kind)
        law = model.decoder.likelihood
        mean = law(torch.linspace(-1, 2, 64).view(1, 1, 1, 8, 8)).mean
        assert (float(mean.max()) == 1) == (kind == "gaussian")
