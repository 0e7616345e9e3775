"""The ladder's chain of two levels against Monte Carlo and by hand, in float64."""

import math

import pytest
import torch
from torch import distributions as td

from lemari.errors import UsageError
from lemari.latents.chain import BottomUp, TopDown, product
from lemari.laws import Normal, divergence

F64 = torch.float64


@pytest.fixture
def pair():
    torch.manual_seed(0)
    prior, posterior = TopDown(6).double(), BottomUp()
    with torch.no_grad():
        for p in prior.parameters():
            p.mul_(3.0)
    posterior.borrow(prior)
    return posterior(torch.randn(3, 12, dtype=F64)), prior(torch.zeros(3, 0))


def test_the_product_of_two_normals():
    a, b = (Normal(torch.randn(4, dtype=F64), torch.randn(4, dtype=F64)) for _ in range(2))
    c, z = product(a, b), torch.randn(9, 4, dtype=F64)
    gap = a.log_density(z) + b.log_density(z) - c.log_density(z)
    torch.testing.assert_close(gap, gap[:1].expand_as(gap))


def test_the_kl_equals_monte_carlo(pair):
    q, p = pair
    z = q.sample(20_000)
    gap = q.log_prob(z) - p.log_prob(z)
    found = divergence(q, p, z)
    assert found.shape == (3,)
    assert bool(((gap.mean(0) - found).abs() < 5 * gap.std(0) / math.sqrt(len(z))).all())
    few = torch.stack([divergence(q, p, q.sample(1)) for _ in range(200)])
    rough = torch.stack(
        [(q.log_prob(z) - p.log_prob(z))[0] for z in (q.sample(1) for _ in range(200))]
    )
    assert bool((few.std(0) < rough.std(0)).all())  # which is why it has a form of its own


def test_densities_multiply_along_the_chain(pair):
    _, p = pair
    z = torch.randn(5, 3, 6, dtype=F64)
    lower, top = z[..., :4], z[..., 4:]
    given = p.given(top)
    want = td.Normal(0.0, 1.0).log_prob(top).sum(-1)
    want = want + td.Normal(given.mean, given.sigma).log_prob(lower).sum(-1)
    torch.testing.assert_close(p.log_prob(z), want)


def test_draws_have_the_law_of_the_density(pair):
    q, _ = pair
    z = q.sample(20_000)
    lower, top = q.parts(z)
    assert bool(((top.mean(0) - q.top.mean).abs() < 5 * q.top.sigma / math.sqrt(len(z))).all())
    white = (lower - q.given(top).mean) / q.given(top).sigma
    torch.testing.assert_close(white.mean(0), torch.zeros(3, 4, dtype=F64), rtol=0, atol=0.04)
    torch.testing.assert_close(white.std(0), torch.ones(3, 4, dtype=F64), rtol=0, atol=0.04)


def test_codes_of_any_shape_and_the_borrowed_prior():
    import copy

    prior, posterior = TopDown(2, 3, 2), BottomUp()
    posterior.borrow(prior)
    q = posterior(torch.randn(5, 4, 3, 2))
    assert q.mean.shape == (5, 2, 3, 2) and q.rsample(4).shape == (4, 5, 2, 3, 2)
    assert not list(posterior.parameters())
    both = torch.nn.ModuleList([prior, posterior])
    again = copy.deepcopy(both)
    assert again[1].lender[0] is again[0]
    with pytest.raises(UsageError, match="at least 2 numbers"):
        TopDown(1)
