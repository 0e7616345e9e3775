"""Laws on the sphere against closed forms, integrals and Monte Carlo, in float64."""

import math

import pytest
import torch
from scipy.special import ive

from lemari.errors import UsageError
from lemari.latents.bessel import bessel_ratio, expansion, log_bessel, values
from lemari.latents.sphere import Angle, Directional, SpherePrior, VonMisesFisher, log_area
from lemari.laws import divergence, kl_per_dimension

F64 = torch.float64


def vmf(size: int, kappa: float, rows: int = 1) -> VonMisesFisher:
    torch.manual_seed(size)
    direction = torch.nn.functional.normalize(torch.randn(rows, size, dtype=F64), dim=1)
    return VonMisesFisher(direction, torch.full((rows,), kappa, dtype=F64), (size,))


def uniform(size: int, rows: int = 1):
    return SpherePrior(size).double()(torch.zeros(rows, 0, dtype=F64))


def cosines(q: VonMisesFisher, z: torch.Tensor) -> torch.Tensor:
    return (z * q.direction).sum(-1)


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 7.0, 24.5])
def test_log_bessel_and_its_slopes(order):
    x = torch.tensor([1e-3, 0.1, 1.0, 5.0, 60.0, 900.0], dtype=F64, requires_grad=True)
    want = torch.from_numpy(ive(order, x.detach().numpy())).log() + x.detach()
    torch.testing.assert_close(log_bessel(order, x), want)
    inner = x.detach()[1:].requires_grad_()
    assert torch.autograd.gradcheck(lambda t: log_bessel(order, t), (inner,), atol=1e-5)
    assert torch.autograd.gradcheck(lambda t: bessel_ratio(order, t), (inner,), atol=1e-5)


def test_half_orders_are_elementary():
    x = torch.tensor([0.2, 1.0, 4.0], dtype=F64)
    want = (2 / (math.pi * x)).sqrt().log() + x.sinh().log()
    torch.testing.assert_close(log_bessel(0.5, x), want)
    torch.testing.assert_close(bessel_ratio(0.5, x), 1 / x.tanh() - 1 / x)


def test_large_orders_take_the_expansion_where_scipy_vanishes():
    import numpy as np

    x = np.array([20.0, 80.0, 400.0])
    np.testing.assert_allclose(expansion(60.0, x), np.log(ive(60.0, x)) + x, rtol=1e-7)
    tiny = values(800.0, np.array([1.0]))
    want = 800 * math.log(0.5) - math.lgamma(801.0) + math.log1p(0.25 / 801)
    np.testing.assert_allclose(tiny, want, rtol=1e-9)
    assert np.isfinite(values(2000.0, np.array([1e-6, 3.0]))).all()


@pytest.mark.parametrize("kappa", [0.05, 1.0, 12.0, 300.0])
def test_in_three_dimensions_everything_is_elementary(kappa):
    q = vmf(3, kappa)
    log_sinh = kappa + math.log1p(-math.exp(-2 * kappa)) - math.log(2)
    constant = math.log(kappa / (4 * math.pi)) - log_sinh
    torch.testing.assert_close(q.log_constant.item(), constant, rtol=1e-12, atol=1e-12)
    kl = kappa / math.tanh(kappa) - 1 + constant + math.log(4 * math.pi)
    found = divergence(q, uniform(3), q.sample()).item()
    assert found == pytest.approx(kl, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("size", [2, 3, 4, 9])
@pytest.mark.parametrize("kappa", [0.3, 4.0, 40.0])
def test_the_density_integrates_to_one(size, kappa):
    """Over the angle, with the area of the smaller sphere at each angle."""
    q = vmf(size, kappa)
    width = math.pi / 20_000
    angle = (torch.arange(20_000, dtype=F64) + 0.5) * width
    off = torch.randn(size, dtype=F64)
    off = torch.nn.functional.normalize(off - (off @ q.direction[0]) * q.direction[0], dim=0)
    z = angle.cos()[:, None] * q.direction[0] + angle.sin()[:, None] * off
    ring = log_area(size - 1) + (size - 2) * angle.sin().log()
    height = (q.log_prob(z[:, None])[:, 0] + ring).exp()
    assert height.sum().item() * width == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("size", [2, 3, 8, 40])
@pytest.mark.parametrize("relative", [0.02, 1.0, 20.0])
def test_draws_have_the_mean_length_and_the_kl_of_the_law(size, relative):
    q = vmf(size, relative * size)
    z = q.sample(60_000)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(60_000, 1, dtype=F64))
    t = cosines(q, z)[:, 0]
    want = bessel_ratio(0.5 * size - 1, q.kappa).item()
    assert abs(t.mean().item() - want) < 5 * t.std().item() / math.sqrt(len(t))
    variance = 1 - want**2 - (size - 1) * want / q.kappa.item()
    assert t.var().item() == pytest.approx(variance, rel=0.05)
    p = uniform(size)
    gap = (q.log_prob(z) - p.log_prob(z))[:, 0]
    exact = divergence(q, p, z).item()
    assert abs(gap.mean().item() - exact) < 5 * gap.std().item() / math.sqrt(len(gap)) + 1e-12
    assert kl_per_dimension(q, p) is None


def test_without_concentration_it_is_the_uniform_law():
    q, p = vmf(5, 1e-6), uniform(5)
    z = p.sample(100)
    torch.testing.assert_close(q.log_prob(z), p.log_prob(z), rtol=0, atol=1e-5)
    assert divergence(q, p, z).item() == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(100, 1, dtype=F64))


@pytest.mark.parametrize(
    ("size", "kappa"), [(2, 3.0), (3, 0.5), (10, 10.0), (10, 200.0), (40, 8.0)]
)
def test_the_slope_of_a_draw_in_kappa_is_that_of_its_mean(size, kappa):
    """E[cosine] is the Bessel ratio, so the mean slope of the cosines must be the ratio's."""
    torch.manual_seed(1)
    k = torch.full((40_000,), kappa, dtype=F64, requires_grad=True)
    cosine = Angle.apply(k, size).cos()
    (each,) = torch.autograd.grad(cosine.sum(), k)
    one = torch.tensor(kappa, dtype=F64, requires_grad=True)
    (want,) = torch.autograd.grad(bessel_ratio(0.5 * size - 1, one), one)
    assert abs(each.mean() - want) < 5 * each.std() / math.sqrt(len(each))


def test_the_slope_of_an_angle_keeps_its_place_in_the_distribution():
    """In three dimensions the distribution function of the cosine is elementary."""
    kappa, angle = (
        torch.tensor([0.4, 6.0, 90.0], dtype=F64),
        torch.tensor([2.0, 0.6, 0.1], dtype=F64),
    )
    from lemari.latents.sphere import angle_slope

    k = kappa.clone().requires_grad_()
    a = angle.clone().requires_grad_()
    share = ((k * a.cos()).exp() - (-k).exp()) / (k.exp() - (-k).exp())
    in_kappa, in_angle = torch.autograd.grad(share.sum(), (k, a))
    torch.testing.assert_close(angle_slope(kappa, angle, 3), -in_kappa / in_angle)


def test_gradients_reach_direction_and_kappa():
    h = torch.randn(4, 10, dtype=F64, requires_grad=True)
    q = Directional()(h)
    (q.rsample(3).square() * torch.arange(5)).sum().backward()
    assert bool((h.grad[:, :5].abs().sum(1) > 0).all() and (h.grad[:, 5:].abs().sum(1) > 0).all())
    assert bool((q.kappa > 5 * math.exp(-6)).all() and (q.kappa < 5 * math.exp(6)).all())


def test_the_kl_gradient_is_that_of_the_closed_form():
    def kl(kappa):
        q = VonMisesFisher(torch.eye(6, dtype=F64)[:1], kappa, (6,))
        return divergence(q, uniform(6), q.mean[None])

    assert torch.autograd.gradcheck(kl, (torch.tensor([7.0], dtype=F64, requires_grad=True),))


def test_a_sphere_needs_two_dimensions():
    with pytest.raises(UsageError, match="at least 2 numbers"):
        SpherePrior(1)


def test_a_kappa_that_is_not_finite_gives_nan_and_ends():
    from lemari.latents.sphere import wood

    kappa = torch.tensor([3.0, math.nan, math.inf], dtype=F64)
    assert wood(kappa, 4).isnan().tolist() == [False, True, True]


def test_a_score_subtracts_a_kl_that_does_not_split():
    from lemari.metrics.likelihood import kl_profile, scores
    from lemari.registry import VARIANTS
    from lemari.types import Batch, Schema

    model = VARIANTS["sphere-vae"](Schema("table", (4,)), latent=3, network="mlp:8").double()
    batch = Batch(torch.randn(5, 4, dtype=F64))
    with torch.no_grad():
        t = model(batch)
        fit = model.decode(t.q.mean[None], t.c).log_prob(batch.x)[0]
        want = fit - divergence(t.q, t.prior, t.z)
    torch.testing.assert_close(scores(model, batch), want)

    class One:
        def batches(self, size):
            yield batch

    assert kl_profile(model, One()) is None
