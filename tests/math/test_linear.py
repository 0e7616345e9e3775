"""Linear models, whose answers are known: the exact likelihood, and the subspace of PCA."""

import math

import numpy as np
import pytest
import torch
from torch import distributions as td
from torch import nn

from lemari.decoders import Decoder
from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.latents.gaussian import FittedNormal, StandardNormal
from lemari.latents.point import PointCode
from lemari.laws import Normal
from lemari.likelihoods import GaussianLikelihood
from lemari.metrics.likelihood import importance_nll, kl_profile, nll_of_batch, scores
from lemari.metrics.pca import fit_pca
from lemari.model import Autoencoder
from lemari.networks.layers import Coder
from lemari.terms.divergence import KL
from lemari.terms.fit import Recon
from lemari.train import Plan, Training
from lemari.types import Batch, Schema

F64 = torch.float64
D, Z, SIGMA = 4, 2, 0.7


class Identity:
    """A format that stores values as the model sees them."""

    def unit(self, x):
        return x


class DiagonalGiven(nn.Module):
    """Posterior whose sigma is a constant: the encoder gives only the mean."""

    traits = frozenset({"density"})

    def __init__(self, sigma):
        super().__init__()
        self.sigma = sigma

    def forward(self, h):
        return Normal(h, self.sigma.log().expand_as(h))


def linear_vae(wrong: float = 0.0) -> tuple[Autoencoder, td.MultivariateNormal]:
    """x = W z + b + noise, and its exact marginal; with `wrong` the posterior is off by so much.

    The columns of W are orthogonal, so the exact posterior is a diagonal normal.
    """
    turned = torch.linalg.qr(torch.randn(D, D, dtype=F64))[0][:, :Z]
    W, b = turned * torch.tensor([1.5, 0.8], dtype=F64), torch.randn(D, dtype=F64)
    variance = 1 / (1 + W.square().sum(0) / SIGMA**2)
    encoder, decoder = nn.Linear(D, Z).double(), nn.Linear(Z, D).double()
    with torch.no_grad():
        gain = (variance / SIGMA**2)[:, None] * W.T
        encoder.weight.copy_(gain)
        encoder.bias.copy_(-gain @ b + wrong)
        decoder.weight.copy_(W)
        decoder.bias.copy_(b)
    model = Autoencoder(
        Schema("table", (D,)),
        encoder=Coder(encoder),
        posterior=DiagonalGiven(variance.sqrt() * (1 + wrong)),
        prior=StandardNormal(Z),
        decoder=Decoder(Coder(decoder), GaussianLikelihood(1, sigma=SIGMA, squash=False)),
        terms=[Recon(), KL()],
    ).double()
    exact = td.MultivariateNormal(b, W @ W.T + SIGMA**2 * torch.eye(D, dtype=F64))
    return model, exact


@pytest.fixture
def model_and_marginal():
    return linear_vae(wrong=0.4)


def test_the_exact_posterior_gives_the_exact_likelihood_for_every_number_of_draws():
    model, exact = linear_vae()
    x = exact.sample((6,))
    for samples in (1, 2, 7, 50):
        with torch.no_grad():
            found = nll_of_batch(model, Batch(x), samples, 3)
        torch.testing.assert_close(found, -exact.log_prob(x), rtol=1e-10, atol=1e-10)
    elbo = sum(term(model(Batch(x)), model) for term in model.terms)
    assert float(elbo.detach().mean()) >= float(-exact.log_prob(x).mean()) - 3


def test_the_bound_grows_with_the_draws_towards_the_exact_likelihood(model_and_marginal):
    model, exact = model_and_marginal
    x = exact.sample((2000,))
    truth = float(-exact.log_prob(x).mean())
    torch.manual_seed(1)
    with torch.no_grad():
        bounds = [
            float(torch.stack([nll_of_batch(model, Batch(x), k, 50) for _ in range(times)]).mean())
            for k, times in ((1, 30), (5, 15), (50, 4), (1000, 1))
        ]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > truth + 0.1
    assert bounds[-1] == pytest.approx(truth, abs=0.01)


def test_one_draw_is_the_elbo(model_and_marginal):
    model, exact = model_and_marginal
    x = exact.sample((2000,))
    with torch.no_grad():
        one = torch.stack([nll_of_batch(model, Batch(x), 1, 1) for _ in range(40)]).mean()
        losses = []
        for _ in range(40):
            t = model(Batch(x))
            losses.append(sum(term(t, model).mean() for term in model.terms))
    assert float(one) == pytest.approx(float(torch.stack(losses).mean()), abs=0.02)


def test_importance_sampling_over_rows_and_blocks(model_and_marginal, monkeypatch):
    import lemari.metrics.likelihood as module

    model, exact = model_and_marginal
    x = exact.sample((150,)).numpy()
    feed = Feed(x, None, Identity())
    found = importance_nll(model, feed, samples=500, seed=3)
    assert found.shape == (150,) and found.dtype == F64
    assert torch.equal(found, importance_nll(model, feed, samples=500, seed=3))
    monkeypatch.setattr(module, "MOST_NUMBERS", 8_000)
    told = []
    blocks = importance_nll(model, feed, samples=500, seed=3, progress=lambda *a: told.append(a))
    assert told[-1] == (150, 150) and len(told) > 1
    truth = -exact.log_prob(torch.from_numpy(x))
    for estimate in (found, blocks):
        assert float((estimate - truth).abs().mean()) < 0.05


def test_importance_sampling_needs_a_density():
    from lemari.registry import VARIANTS

    model = VARIANTS["ae"](Schema("table", (D,)))
    with pytest.raises(UsageError, match="needs a posterior with a density"):
        importance_nll(model, Feed(np.zeros((3, D), np.float32), None, Identity()))


def test_a_score_is_the_bound_at_the_mean_code(model_and_marginal):
    model, exact = model_and_marginal
    x = exact.sample((5,))
    with torch.no_grad():
        q = model.posterior(model.encoder(x, torch.zeros(5, 0)))
        off = (model.decoder.net(q.mean, torch.zeros(5, 0)) - x).square().sum(1)
        fit = -off / (2 * SIGMA**2) - D * (math.log(SIGMA) + 0.5 * math.log(2 * math.pi))
        prior = td.Normal(torch.zeros(Z, dtype=F64), torch.ones(Z, dtype=F64))
        kl = td.kl_divergence(td.Normal(q.mean, q.sigma), prior).sum(1)
        torch.testing.assert_close(scores(model, Batch(x)), fit - kl)


def test_the_profile_of_the_divergence(model_and_marginal):
    model, exact = model_and_marginal
    x = exact.sample((1200,))
    found = kl_profile(model, Feed(x.numpy(), None, Identity()))
    with torch.no_grad():
        q = model.posterior(model.encoder(x, torch.zeros(len(x), 0)))
        prior = td.Normal(torch.zeros(Z, dtype=F64), torch.ones(Z, dtype=F64))
        kl = td.kl_divergence(td.Normal(q.mean, q.sigma), prior).mean(0)
    torch.testing.assert_close(found["kl"], kl)
    torch.testing.assert_close(found["variance"], q.mean.var(0, correction=0))


def flat_data(rows=400, width=8, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = np.array([3, 2, 1.5, 0.5, 0.4, 0.3, 0.2, 0.1])[:width]
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (rng.normal(size=(rows, width)) * scale) @ turn + rng.normal(size=width)


def test_a_linear_autoencoder_finds_the_subspace_of_pca():
    x, k = flat_data(), 3
    width = x.shape[1]
    model = Autoencoder(
        Schema("table", (width,)),
        encoder=Coder(nn.Linear(width, k)),
        posterior=PointCode(),
        prior=FittedNormal(k),
        decoder=Decoder(Coder(nn.Linear(k, width)), GaussianLikelihood(1, sigma=1.0, squash=False)),
        terms=[Recon()],
    ).double()
    feed = Feed(x, None, Identity())
    plan = Plan(epochs=300, batch_size=100, lr=2e-2)
    for _ in Training(model, feed, plan).run():
        pass
    with torch.no_grad():
        batch = feed.gather(np.arange(len(x)))
        mse = float((model(batch).p.mean[0] - batch.x).square().mean())
    pca = fit_pca([x], k, *x.shape)
    best = np.square(pca.rebuild(pca.codes(x)) - x).mean()
    assert best * 0.999 <= mse <= best * 1.01
    spanned = np.linalg.qr(model.decoder.net[0].weight.detach().numpy())[0]
    cosines = np.linalg.svd(spanned.T @ pca.components.T)[1]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < 2


@pytest.mark.parametrize("block", [1, 3, 7, 100, 1000])
@pytest.mark.parametrize("far", [0.0, 100.0])
def test_pca_equals_the_svd_in_blocks_of_any_size(block, far):
    x, k = flat_data(rows=100) + far, 4
    pieces = (x[i : i + block] for i in range(0, len(x), block))
    pca = fit_pca(pieces, k, *x.shape)
    mean = x.mean(0)
    _, _, rows = np.linalg.svd(x - mean, full_matrices=False)
    np.testing.assert_allclose(pca.mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.abs((pca.components * rows[:k]).sum(1)), 1, atol=1e-4)
    np.testing.assert_allclose(pca.components @ pca.components.T, np.eye(k), atol=1e-5)
    kept = (x - mean) @ rows[:k].T @ rows[:k] + mean
    np.testing.assert_allclose(pca.rebuild(pca.codes(x)), kept, atol=1e-3)


def test_pca_of_wide_rows_is_near_the_svd():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)) * [9, 7, 5, 3, 2] @ rng.normal(size=(5, 3300))
    x = (x + 0.01 * rng.normal(size=x.shape)).astype(np.float32)
    pca = fit_pca((x[i : i + 17] for i in range(0, 60, 17)), 5, *x.shape)
    rows = np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:5]
    np.testing.assert_allclose(np.abs((pca.components * rows).sum(1)), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("rows", "width", "asked", "given"), [(1, 5, 3, 1), (3, 5, 9, 2), (50, 2, 9, 2)]
)
def test_pca_gives_no_more_components_than_the_data_allows(rows, width, asked, given):
    x = flat_data(rows, 8)[:, :width]
    pca = fit_pca([x], asked, rows, width)
    assert pca.components.shape == (given, width)
    assert np.isfinite(pca.codes(x)).all()
