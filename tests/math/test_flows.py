"""Flows: inverses and Jacobians against autograd, densities against integrals, in float64."""

import math

import pytest
import torch

from lemari.errors import MissingExtra, UsageError
from lemari.latents.flow import FlowPosterior, FlowPrior, planar, radial
from lemari.laws import Normal, divergence
from lemari.registry import VARIANTS
from lemari.types import Batch, Schema

F64 = torch.float64


def log_jacobian(function, z: torch.Tensor) -> torch.Tensor:
    """log |det| of a map of rows (N, D), each row by autograd."""
    slopes = [torch.autograd.functional.jacobian(function, row) for row in z]
    return torch.stack([torch.linalg.slogdet(s)[1] for s in slopes])


def prior(size: int, transforms: int = 3) -> FlowPrior:
    torch.manual_seed(0)
    made = FlowPrior(size, transforms=transforms).double()
    with torch.no_grad():  # far from the identity
        for p in made.parameters():
            p.mul_(1.4)
    return made


def test_the_prior_flow_inverts_and_its_jacobian_is_autograds():
    made = prior(4)
    transform = made.flow()
    z = torch.randn(6, 4, dtype=F64)
    u, slope = transform.call_and_ladj(z)
    torch.testing.assert_close(transform.inv(u), z)
    want = log_jacobian(lambda row: transform(row[None])[0], z)
    torch.testing.assert_close(slope, want)
    law = made(torch.zeros(6, 0))
    normal = Normal(torch.zeros(6, 4, dtype=F64), torch.zeros(6, 4, dtype=F64))
    torch.testing.assert_close(law.log_prob(z[None])[0], normal.log_prob(u) + want)
    centre = transform(law.mean[:1])
    torch.testing.assert_close(centre, torch.zeros(1, 4, dtype=F64))


def test_the_prior_flow_integrates_to_one_and_draws_its_law():
    law = prior(2)(torch.zeros(1, 0))
    line = torch.linspace(-9, 9, 201, dtype=F64)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 1, 2)
    height = law.log_prob(grid).exp()
    cell = (18 / 200) ** 2
    assert height.sum().item() * cell == pytest.approx(1, abs=2e-3)
    torch.manual_seed(1)
    drawn = law.sample(10_000)[:, 0]
    want = (height * grid[:, 0]).sum(0) * cell
    assert bool(((drawn.mean(0) - want).abs() < 5 * drawn.std(0) / 100).all())


def test_codes_of_any_shape():
    law = FlowPrior(2, 3, 1, transforms=2)(torch.zeros(4, 0))
    assert law.mean.shape == (4, 2, 3, 1) and law.sample(5).shape == (5, 4, 2, 3, 1)
    assert law.log_prob(law.sample(5)).shape == (5, 4)
    assert FlowPrior(1, transforms=2)(torch.zeros(4, 0)).sample(2).shape == (2, 4, 1)


@pytest.mark.parametrize(("step", "width"), [(planar, 9), (radial, 6)])
def test_planar_and_radial_maps(step, width):
    torch.manual_seed(0)
    part = 3 * torch.randn(1, width, dtype=F64)
    z = torch.randn(8, 4, dtype=F64)
    moved, slope = step(z[:, None], part)
    assert not torch.allclose(moved[:, 0], z)
    want = log_jacobian(lambda row: step(row[None, None], part)[0][0, 0], z)
    torch.testing.assert_close(slope[:, 0], want)
    still, flat = step(z[:, None], torch.zeros(1, width, dtype=F64))
    torch.testing.assert_close(still[:, 0], z)
    torch.testing.assert_close(flat, torch.zeros_like(flat))


@pytest.mark.parametrize("step", [planar, radial])
def test_in_one_dimension_the_maps_only_rise(step):
    """Invertible whatever the parameters: the bounds on u and b hold."""
    torch.manual_seed(0)
    z = torch.linspace(-6, 6, 400, dtype=F64).view(-1, 1, 1)
    for _ in range(50):
        moved, slope = step(z, 4 * torch.randn(1, 3, dtype=F64))
        assert bool((moved.diff(dim=0) > 0).all() and torch.isfinite(slope).all())


def posterior(flow: str, size: int = 3, transforms: int = 2) -> FlowPosterior:
    torch.manual_seed(0)
    made = FlowPosterior(flow, transforms)
    made.shape_to(size)
    return made.double()


@pytest.mark.parametrize("flow", ["iaf", "planar", "radial"])
def test_a_bent_posterior_knows_the_density_of_its_draws(flow):
    q = posterior(flow)(2 * torch.randn(4, 9, dtype=F64))
    z = q.rsample(5)
    start = torch.randn(4, 3, dtype=F64)
    want = torch.stack([
        torch.linalg.slogdet(torch.autograd.functional.jacobian(
            lambda v: q.bend(start.unsqueeze(0) + (v - start)[None])[0][0].sum(0), start
        )[:, i])[1] for i in range(4)
    ])  # fmt: skip
    _, slope = q.bend(start.unsqueeze(0))
    torch.testing.assert_close(slope[0], want)
    assert q.log_prob(z).shape == (5, 4)
    assert q.log_prob(q.mean.unsqueeze(0)).shape == (1, 4)
    with pytest.raises(TypeError, match="own last draws"):
        q.log_prob(z + 1)


@pytest.mark.parametrize("flow", ["iaf", "planar", "radial"])
def test_the_density_is_that_of_the_draws(flow):
    """The mean of p / q over draws from q is 1 for a normal p that q covers."""
    q = posterior(flow)(0.5 * torch.randn(1, 9, dtype=F64))
    with torch.no_grad():
        z = q.sample(20_000)
        p = Normal(z.mean(0), z.std(0).log() - 0.7)
        ratio = (p.log_prob(z) - q.log_prob(z)).exp()
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(z))


@pytest.mark.parametrize("flow", ["iaf", "planar", "radial"])
def test_more_draws_tighten_the_bound(flow):
    """-log p(x) by importance sampling is not above the negative bound, and falls with draws."""
    from lemari.metrics.likelihood import nll_of_batch

    torch.manual_seed(0)
    model = VARIANTS["flow-posterior-vae"](
        Schema("table", (4,)), flow=flow, latent=2, network="mlp:8"
    ).double()
    batch = Batch(torch.randn(6, 4, dtype=F64))
    with torch.no_grad():
        bounds = []
        for _ in range(300):
            t = model(batch)
            bounds.append(divergence(t.q, t.prior, t.z) - t.p.log_prob(batch.x).mean(0))
        negative = torch.stack(bounds).mean(0)
        few = torch.stack([nll_of_batch(model, batch, 5, 5) for _ in range(300)]).mean(0)
        many = nll_of_batch(model, batch, 5000, 500)
    assert many.mean() < few.mean() < negative.mean()


def test_wrong_options_are_refused(monkeypatch):
    import builtins

    with pytest.raises(UsageError, match="flow is iaf, planar, radial"):
        FlowPosterior("spiral", 2)
    with pytest.raises(UsageError, match="at least 1 transform"):
        FlowPrior(3, transforms=0)
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("zuko"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"lemari\[flows\]"):
        FlowPrior(3, transforms=2)
