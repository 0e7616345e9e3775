"""Laws of probability against closed forms, Monte Carlo and torch.distributions, in float64."""

import math

import pytest
import torch
from torch import distributions as td

from lemari.latents.gaussian import DiagonalGaussian, FittedNormal, StandardNormal, soft_bound
from lemari.laws import (
    HALF_LOG_2PI,
    Bernoulli,
    Density,
    FullNormal,
    Isotropic,
    Law,
    Normal,
    Point,
    divergence,
    kl_per_dimension,
    total,
    widened,
)

F64 = torch.float64


def randn(*shape):
    return torch.randn(*shape, dtype=F64)


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture
def pair():
    q = Normal(randn(5, 3), randn(5, 3) * 0.5)
    p = Normal(randn(5, 3), randn(5, 3) * 0.5)
    return q, p


def test_kl_equals_torch(pair):
    q, p = pair
    want = td.kl_divergence(td.Normal(q.mean, q.sigma), td.Normal(p.mean, p.sigma))
    close(kl_per_dimension(q, p), want)
    close(divergence(q, p, q.rsample()), want.sum(1))


def test_kl_equals_monte_carlo(pair):
    q, p = pair
    z = q.sample(200_000)
    log_ratio = q.log_prob(z) - p.log_prob(z)
    error = log_ratio.std(0) / math.sqrt(len(z))
    exact = divergence(q, p, z)
    assert bool(((log_ratio.mean(0) - exact).abs() < 5 * error).all())


def test_kl_is_zero_only_for_equal_laws(pair):
    q, p = pair
    close(kl_per_dimension(q, q), torch.zeros(5, 3, dtype=F64))
    assert bool((kl_per_dimension(q, p) > 0).all())


def test_kl_without_a_closed_form_is_taken_from_the_draws():
    factor = torch.linalg.cholesky(torch.eye(3, dtype=F64) + 0.3)
    p = FullNormal(randn(1, 3).expand(5, 3), factor)
    q = Normal(randn(5, 3), randn(5, 3) * 0.3)
    assert kl_per_dimension(q, p) is None
    z = q.sample(100_000)
    want = td.kl_divergence(
        td.MultivariateNormal(q.mean, torch.diag_embed(q.sigma**2)),
        td.MultivariateNormal(p.mean, scale_tril=factor),
    )
    found = divergence(q, p, z)
    assert found.shape == (5,)
    spread = (q.log_prob(z) - p.log_prob(z)).std(0) / math.sqrt(len(z))
    assert bool(((found - want).abs() < 5 * spread).all())


@pytest.mark.parametrize(
    ("shape", "event"), [((4,), 0), ((4, 3), 1), ((2, 4, 3), 1), ((4, 2, 3), 2)]
)
def test_normal(shape, event):
    mean, log_sigma, x = randn(*shape), randn(*shape), randn(7, *shape)
    law = Normal(mean, log_sigma, event)
    want = td.Independent(td.Normal(mean, log_sigma.exp()), event)
    close(law.log_prob(x), want.log_prob(x))
    close(law.log_density(x), want.base_dist.log_prob(x))


@pytest.mark.parametrize(("shape", "event"), [((4,), 0), ((4, 3), 1), ((4, 2, 3, 5), 3)])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_isotropic(shape, event, as_tensor):
    mean, x = randn(*shape), randn(7, *shape)
    variance = torch.tensor(0.3, dtype=F64) if as_tensor else 0.3
    law = Isotropic(mean, variance, event)
    scale = torch.full(shape, math.sqrt(0.3), dtype=F64)
    want = td.Independent(td.Normal(mean, scale), event)
    close(law.log_prob(x), want.log_prob(x))
    close(law.log_density(x), want.base_dist.log_prob(x))
    close(total(law.log_density(x), event), law.log_prob(x))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2)])
def test_full_normal(shape):
    size = math.prod(shape)
    factor = torch.linalg.cholesky(torch.eye(size, dtype=F64) + 0.4).contiguous()
    mean, x = randn(5, *shape), randn(7, 5, *shape)
    law = FullNormal(mean, factor, len(shape))
    want = td.MultivariateNormal(mean.flatten(1), scale_tril=factor)
    close(law.log_prob(x), want.log_prob(x.flatten(2)), 1e-10)
    with pytest.raises(TypeError, match="use log_prob"):
        law.log_density(x)


def test_bernoulli():
    logits, x = randn(4, 3), torch.rand(7, 4, 3, dtype=F64).round()
    law = Bernoulli(logits)
    want = td.Independent(td.Bernoulli(logits=logits), 1)
    close(law.log_prob(x), want.log_prob(x))
    close(law.mean, logits.sigmoid())


def test_bernoulli_of_grey_values_is_the_cross_entropy():
    logits, x = randn(4, 3), torch.rand(4, 3, dtype=F64)
    p = logits.sigmoid()
    close(Bernoulli(logits).log_density(x), x * p.log() + (1 - x) * (1 - p).log(), 1e-10)


def test_bernoulli_far_out_stays_finite():
    law = Bernoulli(torch.tensor([[500.0, -500.0]], dtype=F64))
    assert abs(float(law.log_prob(torch.tensor([[1.0, 0.0]], dtype=F64)))) < 1e-200
    assert float(law.log_prob(torch.tensor([[0.0, 1.0]], dtype=F64))) == -1000


LAWS = [
    Point(torch.tensor([[1.0, 2.0]], dtype=F64)),
    Normal(torch.tensor([[1.0, 2.0]], dtype=F64), torch.tensor([[-1.0, 0.5]], dtype=F64)),
    Isotropic(torch.tensor([[1.0, 2.0]], dtype=F64), 0.3),
    FullNormal(
        torch.tensor([[1.0, 2.0]], dtype=F64), torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=F64)
    ),
    Bernoulli(torch.tensor([[1.0, -0.4]], dtype=F64)),
]
VARIANCES = [
    (0, 0),
    (math.exp(-2), math.exp(1)),
    (0.3, 0.3),
    (1, 1),
    tuple(p * (1 - p) for p in (0.7310585786, 0.4013123399)),
]


@pytest.mark.parametrize(
    ("law", "variance"),
    [pytest.param(*pair, id=type(pair[0]).__name__) for pair in zip(LAWS, VARIANCES, strict=True)],
)
def test_draws_have_the_laws_mean_and_variance(law, variance):
    n = 100_000
    drawn = law.sample(n)
    assert drawn.shape == (n, 1, 2) and not drawn.requires_grad
    spread = torch.tensor(variance, dtype=F64)
    off = (drawn.mean(0)[0] - law.mean[0]).abs()
    assert bool((off <= 5 * (spread / n).sqrt()).all())
    torch.testing.assert_close(drawn.var(0)[0], spread, rtol=0.03, atol=1e-12)
    assert isinstance(law, Law)
    assert isinstance(law, Density) == (type(law) is not Point)


def test_correlated_draws_have_their_covariance():
    drawn = LAWS[3].sample(200_000)[:, 0]
    want = LAWS[3].factor @ LAWS[3].factor.T
    torch.testing.assert_close(torch.cov(drawn.T), want, rtol=0.02, atol=0.01)


def test_gradients_reach_mean_and_sigma_through_a_draw():
    mean, log_sigma = randn(3, 2).requires_grad_(), randn(3, 2).requires_grad_()
    torch.manual_seed(0)
    z = Normal(mean, log_sigma).rsample(4)
    noise = ((z - mean) / log_sigma.exp()).detach()
    z.sum().backward()
    close(mean.grad, torch.full_like(mean, 4.0))
    close(log_sigma.grad, (noise * log_sigma.exp()).sum(0).detach(), 1e-10)


def test_total_sums_the_last_dimensions():
    x = randn(2, 3, 4)
    close(total(x, 0), x)
    close(total(x, 1), x.sum(2))
    close(total(x, 2), x.sum((1, 2)))


def test_half_precision_never_reaches_a_law():
    for dtype in (torch.bfloat16, torch.float16):
        assert widened(torch.zeros(2, dtype=dtype)).dtype == torch.float32
    assert widened(torch.zeros(2, dtype=F64)).dtype == F64
    assert pytest.approx(0.9189385332046727) == HALF_LOG_2PI


def test_the_soft_bound_is_the_identity_near_zero_and_bounded_far_out():
    x = torch.linspace(-1000, 1000, 2001, dtype=F64).requires_grad_()
    y = soft_bound(x, -9.0, 6.0)
    assert bool(((y >= -9) & (y <= 6)).all())
    assert bool((y.diff() >= 0).all())
    near = torch.linspace(-0.1, 0.1, 21, dtype=F64).requires_grad_()
    torch.testing.assert_close(soft_bound(near, -9.0, 6.0), near, rtol=1e-3, atol=1e-9)
    (slope,) = torch.autograd.grad(soft_bound(near, -9.0, 6.0).sum(), near)
    assert bool((slope > 0.99).all())
    y.sum().backward()
    assert bool(torch.isfinite(x.grad).all())


def test_the_posteriors_first_half_is_the_mean():
    h = randn(5, 6) * 0.01
    q = DiagonalGaussian()(h)
    close(q.mean, h[:, :3])
    torch.testing.assert_close(q.log_sigma, h[:, 3:], rtol=1e-4, atol=1e-8)
    maps = DiagonalGaussian()(randn(5, 4, 2, 3))
    assert maps.mean.shape == (5, 2, 2, 3) and maps.event == 3


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_the_prior_is_standard_normal(shape):
    p = StandardNormal(*shape).double()(torch.zeros(4, 0, dtype=F64))
    z = randn(4, *shape)
    want = td.Independent(td.Normal(torch.zeros(shape, dtype=F64), 1.0), len(shape))
    close(p.log_prob(z), want.log_prob(z))


def codes(n=500, d=3):
    return randn(n, d) @ randn(d, d) + 5 * randn(d)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)])
def test_the_fitted_normal_has_the_codes_mean_and_covariance(shape):
    z = codes(d=math.prod(shape))
    prior = FittedNormal(*shape).double()
    prior.fit(z)
    law = prior(torch.zeros(7, 0))
    covariance = torch.cov(z.T, correction=0)
    close(law.mean, z.mean(0).view(shape).expand(7, *shape))
    torch.testing.assert_close(law.factor @ law.factor.T, covariance, rtol=1e-4, atol=1e-4)
    x = randn(7, *shape)
    want = td.MultivariateNormal(z.mean(0), law.factor @ law.factor.T)
    close(law.log_prob(x), want.log_prob(x.flatten(1)), 1e-8)


def test_before_it_is_fitted_it_is_standard():
    law = FittedNormal(2).double()(torch.zeros(3, 0))
    x = randn(3, 2)
    close(law.log_prob(x), td.Normal(0.0, 1.0).log_prob(x).sum(1), 1e-10)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_or_equal_codes_still_give_a_law(rows):
    prior = FittedNormal(5)
    prior.fit(torch.ones(rows, 5) * torch.arange(rows).view(-1, 1))
    drawn = prior(torch.zeros(4, 0)).sample()
    assert bool(torch.isfinite(drawn).all())


def test_wide_codes_keep_only_their_variances():
    prior = FittedNormal(1025).double()
    z = randn(50, 1025) * torch.linspace(0.1, 3, 1025, dtype=F64)
    prior.fit(z)
    law = prior(torch.zeros(2, 0))
    assert prior.factor.shape == (1025,) and isinstance(law, Normal)
    close(law.sigma[0], z.std(0, correction=0), 1e-10)
    close(law.mean[0], z.mean(0), 1e-10)
