"""Mixtures of normals as priors, against torch.distributions and by hand, in float64."""

import math

import numpy as np
import pytest
import torch
from torch import distributions as td

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.latents.mixture import ClusterPrior, NormalMixture
from lemari.registry import VARIANTS
from lemari.types import Batch, Schema, View

F64 = torch.float64
TABLE = Schema("table", (4,))


def mixture(batch: int = 5, count: int = 6, shape=(3,)) -> NormalMixture:
    torch.manual_seed(0)
    size = math.prod(shape)
    means, log_sigma = (
        torch.randn(count, size, dtype=F64),
        0.5 * torch.randn(count, size, dtype=F64),
    )
    return NormalMixture(
        means, log_sigma, torch.randn(count, dtype=F64).log_softmax(0), batch, shape
    )


def theirs(m: NormalMixture) -> td.MixtureSameFamily:
    parts = td.Independent(td.Normal(m.means, m.log_sigma.exp()), 1)
    return td.MixtureSameFamily(td.Categorical(logits=m.log_weight), parts)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 1)])
def test_log_prob_equals_torchs_mixture(shape):
    m = mixture(shape=shape)
    z = torch.randn(7, 5, *shape, dtype=F64)
    torch.testing.assert_close(m.log_prob(z), theirs(m).log_prob(z.flatten(2)))
    torch.testing.assert_close(m.mean[0].flatten(), theirs(m).mean)
    assert m.mean.shape == (5, *shape) and m.sample(4).shape == (4, 5, *shape)


def test_sharp_components_do_not_cancel():
    """Single precision with sigma 1e-3 at a distance of 5: the squares are 25 million."""
    means = torch.tensor([[5.0, 5.0], [-5.0, 5.0]])
    m = NormalMixture(
        means, torch.full((2, 2), math.log(1e-3)), torch.full((2,), 0.5).log(), 1, (2,)
    )
    z = means[:1] + 1e-3
    want = theirs(
        NormalMixture(*(t.double() for t in (m.means, m.log_sigma, m.log_weight)), 1, (2,))
    )
    torch.testing.assert_close(
        m.log_prob(z).double(), want.log_prob(z.double()), rtol=1e-6, atol=1e-5
    )


def test_draws_have_the_mixtures_moments():
    m = mixture(batch=100)
    z = m.sample(2000).flatten(0, 1)
    want = theirs(m)
    error = want.variance.sqrt() / math.sqrt(len(z))
    assert bool(((z.mean(0) - want.mean).abs() < 5 * error).all())
    torch.testing.assert_close(z.var(0), want.variance, rtol=0.05, atol=0)


def test_responsibilities_are_bayes_rule():
    m = mixture()
    z = torch.randn(4, 5, 3, dtype=F64)
    each = td.Independent(td.Normal(m.means, m.log_sigma.exp()), 1).log_prob(z[..., None, :])
    want = (each + m.log_weight).exp()
    found = m.responsibilities(z)
    torch.testing.assert_close(found, want / want.sum(-1, keepdim=True))


def rows(count: int = 60) -> Feed:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (3, 4))[np.arange(count) % 3] * 3 + rng.normal(0, 0.1, (count, 4))
    zero, one = (0.0,) * 4, (1.0,) * 4
    return Feed(x.astype(np.float32), None, TableFormat(tuple("abcd"), zero, one, zero))


def test_the_vamp_prior_is_the_average_posterior():
    model = VARIANTS["vamp-vae"](TABLE, components=7, latent=3, network="mlp:8").double()
    q = model.encode(View(model.prior.pseudo), torch.zeros(7, 0, dtype=F64))
    z = torch.randn(2, 9, 3, dtype=F64)
    want = torch.stack([td.Independent(td.Normal(m, s), 1).log_prob(z)
                        for m, s in zip(q.mean, q.sigma, strict=True)])  # fmt: skip
    found = model.prior(torch.zeros(9, 0)).log_prob(z)
    torch.testing.assert_close(found, want.logsumexp(0) - math.log(7))


def test_pseudo_inputs_start_as_rows_and_the_encoder_is_not_kept_twice():
    import copy

    model, feed = VARIANTS["vamp-vae"](TABLE, components=70, latent=3, network="mlp:8"), rows()
    model.prior.prepare(model, feed)
    x = feed.gather(np.arange(60)).x
    gaps = (model.prior.pseudo[:, None] - x).abs().sum(-1)
    assert bool((gaps.min(1).values == 0).all()) and len(gaps.argmin(1).unique()) == 60
    assert [name for name in model.state_dict() if name.startswith("prior")] == ["prior.pseudo"]
    other = copy.deepcopy(model)
    assert other.prior.lender[0] is other
    torch.nn.init.zeros_(other.encoder[0].weight)
    z = torch.randn(1, 4, 3)
    assert not torch.equal(*(m.prior(torch.zeros(4, 0)).log_prob(z) for m in (model, other)))


def test_the_mixture_finds_the_clusters_it_is_fitted_to():
    torch.manual_seed(0)
    centres = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 5.0]])
    codes = centres[torch.arange(600) % 3] + 0.3 * torch.randn(600, 2)
    prior = ClusterPrior(2, clusters=3, epochs=0)
    prior.fit_to(codes)
    which = prior.responsibilities(codes).argmax(1)
    assert [len(which[k::3].unique()) for k in range(3)] == [1, 1, 1]
    assert len(which[:3].unique()) == 3
    near = torch.cdist(centres, prior.means.detach()).min(1).values
    assert bool((near < 0.1).all())
    torch.testing.assert_close(prior.logits.softmax(0).detach(), torch.full((3,), 1 / 3))
    torch.testing.assert_close(
        prior.log_sigma.exp().detach(), torch.full((3, 2), 0.3), rtol=0.2, atol=0
    )


def test_pre_training_learns_and_repeats():
    def prepared():
        torch.manual_seed(4)
        model = VARIANTS["mixture-vae"](TABLE, clusters=3, pretrain=400, latent=2, network="mlp:16")
        before = model.encoder[0].weight.clone()
        model.prior.prepare(model, rows())
        assert not torch.equal(before, model.encoder[0].weight)
        assert all(p.grad is None for p in model.parameters())
        return model

    model, again = prepared(), prepared()
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    batch = rows().gather(np.arange(60))
    q = model.encode(View(batch.x), model.condition(batch))
    which = model.prior.responsibilities(q.mean).argmax(1)
    assert len(which[:3].unique()) == 3 and all(len(which[k::3].unique()) == 1 for k in range(3))
    p = model.decode(q.mean[None], model.condition(Batch(batch.x)))
    assert (p.mean[0] - batch.x).square().mean() < 0.3 * batch.x.var(0).mean()


def test_fewer_rows_than_clusters_leave_the_others_as_they_are():
    prior = ClusterPrior(2, clusters=5, epochs=0)
    kept = prior.means[3:].clone()
    prior.fit_to(torch.randn(3, 2))
    assert torch.equal(prior.means[3:], kept)
    assert all(bool(p.isfinite().all()) for p in prior.parameters())


def test_one_row_is_the_mean_of_its_cluster():
    prior = ClusterPrior(2, clusters=3, epochs=0).double()
    prior.fit_to(torch.tensor([[3.0, -1.0]], dtype=F64))
    torch.testing.assert_close(prior.means[0].detach(), torch.tensor([3.0, -1.0], dtype=F64))


def test_wrong_numbers_are_refused():
    for variant, wrong in (("vamp-vae", {"components": 0}), ("mixture-vae", {"clusters": 0})):
        with pytest.raises(UsageError):
            VARIANTS[variant](TABLE, **wrong)
