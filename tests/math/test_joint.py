"""The relaxed category and the joint code, against limits and torch.distributions, in float64."""

import math

import pytest
import torch
from torch import distributions as td

from lemari.errors import UsageError
from lemari.latents.joint import Concrete, JointPosterior, JointPrior
from lemari.laws import divergence, kl_per_dimension
from lemari.registry import VARIANTS
from lemari.schedule import Constant
from lemari.types import Batch, Schema

F64 = torch.float64


def test_the_density_equals_torchs_relaxed_category():
    torch.manual_seed(0)
    logits = torch.randn(4, 5, dtype=F64)
    law = Concrete(logits, 0.5)
    z = law.sample(6)
    want = td.RelaxedOneHotCategorical(torch.tensor(0.5, dtype=F64), logits=logits).log_prob(z)
    torch.testing.assert_close(law.log_prob(z), want)


def test_a_cold_draw_is_one_hot_with_the_probabilities():
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 1.0, 2.0]], dtype=F64)
    z = Concrete(logits, 1e-3).sample(40_000)[:, 0]
    assert (z.max(1).values > 0.99).double().mean() > 0.99
    share, want = z.mean(0), logits.softmax(1)[0]
    assert bool(((share - want).abs() < 5 * (want * (1 - want) / 40_000).sqrt()).all())
    warm = Concrete(logits, 1e3).sample(100)
    torch.testing.assert_close(warm, torch.full_like(warm, 1 / 3), rtol=0, atol=0.01)


def test_the_density_integrates_to_one():
    """Over the simplex of three categories, with respect to the first two coordinates."""
    law = Concrete(torch.tensor([[0.3, -0.2, 0.5]], dtype=F64), 2 / 3)
    n = 1500
    line = (torch.arange(n, dtype=F64) + 0.5) / n
    x, y = (v.flatten() for v in torch.meshgrid(line, line, indexing="xy"))
    z = torch.stack((x, y * (1 - x), (1 - y) * (1 - x)), -1)  # the triangle as a square
    whole = (law.log_prob(z[:, None])[:, 0].exp() * (1 - x)).mean()
    assert whole.item() == pytest.approx(1, abs=0.02)


def test_the_kl_is_that_of_the_normals_and_the_categories():
    torch.manual_seed(0)
    q = JointPosterior(4)(torch.randn(3, 14, dtype=F64))
    p = JointPrior(7, categories=4).double()(torch.zeros(3, 0))
    each = kl_per_dimension(q, p)
    assert each.shape == (3, 7) and bool((each >= 0).all())
    normal = td.kl_divergence(td.Normal(q.normal.mean, q.normal.sigma), td.Normal(0.0, 1.0))
    even = td.Categorical(logits=torch.zeros(3, 4, dtype=F64))
    category = td.kl_divergence(td.Categorical(logits=q.category.log_share), even)
    torch.testing.assert_close(each[:, :3], normal)
    torch.testing.assert_close(each[:, 3:].sum(1), category)
    torch.testing.assert_close(divergence(q, p, q.sample()), normal.sum(1) + category)


def test_the_code_is_numbers_and_a_point_of_the_simplex():
    model = VARIANTS["joint-vae"](Schema("table", (4,)), categories=5, latent=2, network="mlp:8")
    assert model.code == (7,)
    trace = model(Batch(torch.randn(6, 4)))
    torch.testing.assert_close(trace.z[..., 2:].sum(-1), torch.ones(1, 6))
    torch.testing.assert_close(trace.q.mean[:, 2:].sum(-1), torch.ones(6))
    assert bool(torch.isfinite(trace.q.log_prob(trace.z)).all())
    drawn = trace.prior.sample(3)
    torch.testing.assert_close(drawn[..., 2:].sum(-1), torch.ones(3, 6))


def test_a_capacity_is_the_goal_of_its_part():
    data, given = Schema("table", (4,)), {"categories": 5, "latent": 2, "network": "mlp:8"}
    plain = VARIANTS["joint-vae"](data, **given)
    held = VARIANTS["joint-vae"](data, capacity=3.0, category_capacity=1.2, warm_up=10, **given)
    held.load_state_dict(plain.state_dict())
    batch = Batch(torch.randn(6, 4))
    trace = plain(batch)
    losses = plain.loss(trace)
    q = kl_per_dimension(trace.q, trace.prior)
    torch.testing.assert_close(losses["kl_numbers"], q[:, :2].sum(1))
    torch.testing.assert_close(losses["kl_categories"], q[:, 2:].sum(1))
    for training, step, reached in ((True, 0, 0.0), (True, 5, 0.5), (False, 0, 1.0)):
        torch.manual_seed(0)
        trace = held.train(training)(batch, step)
        found = held.loss(trace)
        for name, part in (("kl_numbers", 3.0), ("kl_categories", 1.2)):
            torch.testing.assert_close(found[name], (losses[name] - reached * part).abs())
    assert Constant(1.0)(0) == held.terms[1].weight(0)


def test_codes_that_are_too_small_are_refused():
    for categories in (1, 0, -5):
        with pytest.raises(UsageError, match="at least 2 categories and 1 number"):
            VARIANTS["joint-vae"](Schema("table", (4,)), categories=categories, latent=2)
    with pytest.raises(UsageError, match="at least 1 number beside"):
        VARIANTS["joint-vae"](Schema("image", (1, 12, 12)), categories=64, network="lesson-conv")
    with pytest.raises(UsageError, match="kl_numbers"):
        VARIANTS["joint-vae"](Schema("table", (4,)), beta=-1.0)
    with pytest.raises(UsageError, match="at most 1.1 nats"):
        VARIANTS["joint-vae"](Schema("table", (4,)), categories=3, category_capacity=1.2)
    assert math.prod(VARIANTS["joint-vae"](Schema("table", (4,)), latent=1).code) == 11
