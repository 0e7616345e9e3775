"""Importance bounds on a linear-Gaussian model, whose likelihood is known, in float64."""

import math

import pytest
import torch
from test_linear import linear_vae

from lemari.errors import UsageError
from lemari.latents.gaussian import DiagonalGaussian, StandardNormal
from lemari.latents.point import PointCode
from lemari.laws import Isotropic, Normal
from lemari.model import Autoencoder
from lemari.registry import VARIANTS
from lemari.terms.base import CODER
from lemari.terms.bound import Bound, DoublyReparameterised, log_mean_exp, log_weights
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.train import backward
from lemari.types import Batch, Schema, Trace, View

F64 = torch.float64
TABLE = Schema("table", (4,))


def trace_of(model, x, k):
    model.k = k
    return model(Batch(x))


@pytest.fixture
def linear():
    """A model whose posterior is off, its exact marginal, and rows of the marginal."""
    model, exact = linear_vae(wrong=0.4)
    return model, exact, exact.sample((1500,))


def mean_of(term, model, x, k, times=1):
    with torch.no_grad():
        return float(torch.stack([term(trace_of(model, x, k), model) for _ in range(times)]).mean())


def test_the_bound_falls_with_the_draws_towards_the_exact_likelihood(linear):
    model, exact, x = linear
    truth = float(-exact.log_prob(x).mean())
    bounds = [mean_of(Bound(), model, x, k, times) for k, times in ((1, 40), (5, 15), (50, 4))]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > truth + 0.1
    assert mean_of(Bound(), model, x, 1000) == pytest.approx(truth, abs=0.01)


def test_with_the_exact_posterior_every_bound_is_the_likelihood():
    model, exact = linear_vae()
    x = exact.sample((6,))
    for k, draws in ((1, None), (7, None), (6, 2), (7, 3)):
        found = Bound(draws=draws)(trace_of(model, x, k), model)
        torch.testing.assert_close(found, -exact.log_prob(x), rtol=1e-10, atol=1e-10)


def test_one_draw_is_the_variational_bound_at_the_same_code(linear):
    model, _, x = linear
    t = trace_of(model, x, 1)
    sampled = t.q.log_prob(t.z) - t.prior.log_prob(t.z)
    want = Recon()(t, model) + sampled[0]
    torch.testing.assert_close(Bound()(t, model), want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(Bound(draws=1)(t, model), want, rtol=1e-12, atol=1e-12)
    elbo = Recon()(t, model) + KL()(t, model)  # the same in expectation, with less noise
    assert float((want - elbo).detach().mean()) == pytest.approx(0, abs=0.2)


def test_groups_lie_between_one_draw_and_all(linear):
    """For every set of draws, not only in expectation: the logarithm is concave."""
    model, _, x = linear
    t = trace_of(model, x, 6)
    one, two, three, every = (Bound(draws=d)(t, model) for d in (1, 2, 3, None))
    for low, high in ((every, two), (every, three), (two, one), (three, one)):
        assert bool((low < high).all())


def test_a_group_is_the_bound_of_its_own_draws(linear):
    model, _, x = linear
    t = trace_of(model, x, 6)
    weights = log_weights(t)
    halves = [weights[:3].exp().mean(0).log(), weights[3:].exp().mean(0).log()]
    want = -(halves[0] + halves[1]) / 2
    torch.testing.assert_close(Bound(draws=3)(t, model), want, rtol=1e-10, atol=1e-10)


def made(variant, **options):
    return VARIANTS[variant](TABLE, network="mlp:8", latent=2, sigma=0.5, **options).double()


def gradients(model, x, seed=0):
    """Gradient of every parameter after one routed backward pass, as training does it."""
    torch.manual_seed(seed)
    t = model(Batch(x))
    groups = {}
    for term in model.terms:
        value = term.weight(0) * term(t, model).mean()
        groups[term.trains] = groups.get(term.trains, 0.0) + value
    for p in model.parameters():
        p.grad = None
    backward(model, groups)
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def plain_gradients(model, x, term, seed=0):
    torch.manual_seed(seed)
    for p in model.parameters():
        p.grad = None
    term(model(Batch(x)), model).mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def compare(found, want, part, scale=1.0):
    names = [name for name in found if name.startswith(part)]
    assert names
    for name in names:
        torch.testing.assert_close(found[name], scale * want[name], rtol=1e-9, atol=1e-12)


def test_the_two_halves_of_piwae_follow_their_own_bounds():
    model, x = made("piwae", draws=3, groups=2), torch.randn(5, 4, dtype=F64)
    found = gradients(model, x)
    every = plain_gradients(model, x, Bound())
    grouped = plain_gradients(model, x, Bound(draws=3))
    compare(found, every, "decoder", 0.5)
    compare(found, grouped, "encoder", 0.5)
    with pytest.raises(AssertionError):
        compare(found, every, "encoder", 0.5)


def test_ciwae_mixes_the_two_bounds():
    model, x = made("ciwae", draws=4, beta=0.3), torch.randn(5, 4, dtype=F64)
    found = gradients(model, x)
    one = plain_gradients(model, x, Bound(draws=1))
    every = plain_gradients(model, x, Bound())
    for name, slope in found.items():
        want = 0.3 * one[name] + 0.7 * every[name]
        torch.testing.assert_close(slope, want, rtol=1e-9, atol=1e-12)


def head_slopes(model, term, x, h):
    """Gradient of a term at the encoder's output `h`, of 20,000 independent sets of 8 draws."""
    rows = h.expand(20_000, -1).clone().requires_grad_()
    q, batch = model.posterior(rows), Batch(x.expand(len(rows), -1))
    z, c = q.rsample(8), x.new_zeros(len(rows), 0)
    t = Trace(batch, View(batch.x), c, q, z, model.prior(c), model.decode(z, c), 0)
    return torch.autograd.grad(term(t, model).sum(), rows)[0]


def test_the_doubly_reparameterised_gradient_has_the_same_mean_and_less_variance():
    model, x = made("iwae", draws=8), torch.randn(1, 4, dtype=F64)
    h = torch.tensor([[0.3, -0.5, -0.4, 0.2]], dtype=F64)
    plain, doubly = (head_slopes(model, term, x, h) for term in (Bound(), DoublyReparameterised()))
    error = ((plain.var(0) + doubly.var(0)) / len(plain)).sqrt()
    assert bool(((plain.mean(0) - doubly.mean(0)).abs() < 4 * error).all())
    assert bool((plain.mean(0).abs() > 8 * error).any())
    assert bool((doubly.var(0) < 0.8 * plain.var(0)).all())


def test_the_doubly_reparameterised_number_is_the_bound_and_spares_the_decoder():
    model, x = made("iwae", draws=4, doubly=True), torch.randn(5, 4, dtype=F64)
    t = model(Batch(x))
    first, second = (term(t, model) for term in model.terms)
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)
    want = plain_gradients(model, x, Bound())
    compare(gradients(model, x), want, "decoder", 0.5)
    assert model.terms[1].trains == CODER


def test_missing_values_do_not_count(linear):
    model, _, x = linear
    w = torch.ones_like(x)
    w[:, 2] = 0
    t = trace_of(model, x, 3)
    spoiled = Batch(torch.where(w == 0, 99.0, x), w=w)
    clean = Batch(x, w=w)
    a, b = (Bound()(Trace(batch, t.view, t.c, t.q, t.z, t.prior, t.p, 0), model)
            for batch in (spoiled, clean))  # fmt: skip
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_log_mean_exp_neither_overflows_nor_vanishes():
    far = torch.tensor([[-3e5, 2e5], [-3e5, 2e5]])
    assert torch.equal(log_mean_exp(far), far[0])
    one = torch.tensor([[0.0], [-math.inf]])
    assert float(log_mean_exp(one)) == pytest.approx(-math.log(2))


def test_weights_of_large_pictures_agree_in_single_and_double_precision():
    """A 3 x 256 x 256 picture has a log-likelihood of some 10^5 nats; draws differ by a few."""
    size, k, b, d = (3, 256, 256), 4, 2, 16
    x, z = torch.rand(b, *size), torch.randn(k, b, d)
    mean = (x + 0.1 * torch.randn(b, *size) + 2e-3 * torch.randn(k, b, *size)).contiguous()
    bounds = []
    for dtype in (torch.float32, F64):
        code = torch.zeros(b, d, dtype=dtype)
        q, prior = Normal(code + 0.1, code - 0.5), Normal(code, code)
        p = Isotropic(mean.to(dtype), 0.01, 3)
        batch = Batch(x.to(dtype))
        t = Trace(batch, View(batch.x), batch.x[:, :0, 0, 0], q, z.to(dtype), prior, p, 0)
        bounds.append(Bound()(t, torch.nn.Module()).double())
    assert float(bounds[1].abs().min()) > 1e5
    torch.testing.assert_close(*bounds, rtol=0, atol=0.5)


@pytest.mark.parametrize("variant", ["iwae", "miwae", "piwae", "ciwae"])
def test_no_draws_are_refused(variant):
    with pytest.raises(UsageError, match="at least one group of one draw"):
        VARIANTS[variant](TABLE, draws=0)


def test_a_mixture_outside_its_range_is_refused():
    for beta in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError, match="from 0 to 1"):
            VARIANTS["ciwae"](TABLE, beta=beta)


@pytest.mark.parametrize("term", [Bound, DoublyReparameterised])
def test_a_posterior_without_density_is_refused(term):
    m = VARIANTS["ae"](TABLE)
    parts = {"encoder": m.encoder, "prior": StandardNormal(*m.code), "decoder": m.decoder}
    with pytest.raises(UsageError, match="needs a posterior with density"):
        Autoencoder(TABLE, posterior=PointCode(), terms=[term()], **parts)
    v = VARIANTS["vae"](TABLE)
    Autoencoder(TABLE, encoder=v.encoder, posterior=DiagonalGaussian(), prior=v.prior,
                decoder=v.decoder, terms=[term()])  # fmt: skip
