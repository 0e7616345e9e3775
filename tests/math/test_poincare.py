"""The Poincare ball: its translation, its maps, and the wrapped normal, in float64."""

import math

import pytest
import torch

from lemari.errors import UsageError
from lemari.latents.poincare import (
    WrappedNormal,
    WrappedPosterior,
    WrappedPrior,
    added,
    log_sinhc,
    unwrapped,
    wrapped,
)
from lemari.laws import Normal, divergence

F64 = torch.float64


def points(count: int, size: int, c: float) -> torch.Tensor:
    torch.manual_seed(0)
    z = torch.randn(count, size, dtype=F64)
    return 0.9 / math.sqrt(c) * z / (1 + z.norm(dim=1, keepdim=True))


def distance(a, b, c: float):
    """The textbook formula, which uses no Mobius addition."""
    off = (a - b).square().sum(-1)
    room = (1 - c * a.square().sum(-1)) * (1 - c * b.square().sum(-1))
    return torch.acosh(1 + 2 * c * off / room) / math.sqrt(c)


@pytest.mark.parametrize("c", [0.3, 1.0, 2.0])
def test_the_maps(c):
    a, b = points(50, 3, c), points(50, 3, c).flip(0)
    torch.testing.assert_close(added(-a, added(a, b, c), c), b)
    torch.testing.assert_close(added(a, torch.zeros_like(a), c), a)
    v = unwrapped(b, c)
    torch.testing.assert_close(wrapped(v, c), b)
    torch.testing.assert_close(v.norm(dim=1), distance(torch.zeros_like(b), b, c))
    moved = unwrapped(added(-a, b, c), c).norm(dim=1)
    torch.testing.assert_close(moved, distance(a, b, c))


@pytest.mark.parametrize("c", [0.5, 1.0])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.5, -0.2)])
def test_the_density_integrates_to_one_over_the_disk(c, centre):
    radius, side = 1 / math.sqrt(c), 1201
    line = torch.linspace(-radius, radius, side, dtype=F64)
    x, y = torch.meshgrid(line, line, indexing="xy")
    grid = torch.stack((x, y), -1).view(-1, 2)
    grid = grid[grid.norm(dim=1) < radius * (1 - 1e-6)]
    log_sigma = torch.tensor([[math.log(0.6), math.log(0.4)]], dtype=F64)
    q = WrappedNormal(torch.tensor([centre], dtype=F64), log_sigma, c, (2,))
    cell = (2 * radius / (side - 1)) ** 2
    whole = q.log_prob(grid[:, None]).exp().sum() * cell
    assert whole.item() == pytest.approx(1, abs=2e-3)


def test_draws_have_the_law_of_their_density():
    """The mean of p / q over draws from q is 1 for any p that q covers."""
    torch.manual_seed(0)
    q = WrappedNormal(points(1, 3, 1.0), torch.zeros(1, 3, dtype=F64), 1.0, (3,))
    p = WrappedNormal(points(2, 3, 1.0)[1:], torch.full((1, 3), -0.5, dtype=F64), 1.0, (3,))
    z = q.sample(200_000)
    ratio = (p.log_prob(z) - q.log_prob(z)).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(z))
    assert bool((z.norm(dim=-1) < 1).all())


def test_almost_without_curvature_it_is_a_normal_of_half_the_length():
    """Near the origin the ball's coordinates are half of lengths, whatever the curvature."""
    c, log_sigma = 1e-8, torch.zeros(1, 2, dtype=F64)
    q = WrappedNormal(torch.zeros(1, 2, dtype=F64), log_sigma, c, (2,))
    z = torch.randn(9, 1, 2, dtype=F64)
    flat = Normal(torch.zeros(1, 2, dtype=F64), log_sigma - math.log(2))
    torch.testing.assert_close(q.log_prob(z), flat.log_prob(z), rtol=1e-6, atol=1e-6)


def test_log_sinhc():
    x = torch.tensor([0.0, 1e-4, 9e-3, 0.011, 1.0, 30.0, 500.0], dtype=F64)
    want = torch.tensor([0.0, *((v.sinh() / v).log() for v in x[1:])], dtype=F64)
    torch.testing.assert_close(log_sinhc(x), want, rtol=1e-9, atol=1e-10)
    assert torch.autograd.gradcheck(log_sinhc, (x[1:].clone().requires_grad_(),), atol=1e-5)


def test_posterior_and_prior():
    torch.manual_seed(0)
    h = torch.randn(5, 8) * 50
    q, p = WrappedPosterior(1.0)(h), WrappedPrior(4)(torch.zeros(5, 0))
    z = q.rsample(7)
    assert bool((q.mean.norm(dim=1) < 1).all() and (z.norm(dim=-1) < 1).all())
    assert bool(torch.isfinite(divergence(q, p, z)).all())
    h.requires_grad_()
    q = WrappedPosterior(1.0)(h)
    divergence(q, p, q.rsample()).sum().backward()
    assert bool(torch.isfinite(h.grad).all())
    with pytest.raises(UsageError, match="curvature must be above 0"):
        WrappedPosterior(0.0)
