"""Penalties on codes and on slopes, against closed forms."""

import math

import numpy as np
import pytest
import torch

from lemari.corrupt import Missing, MissingColumns
from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.latents.sparse import SparseCode
from lemari.laws import Isotropic, Normal, Point
from lemari.metrics.likelihood import kl_profile
from lemari.metrics.pca import fit_pca
from lemari.registry import VARIANTS
from lemari.terms.divergence import Capacity
from lemari.terms.mmd import MMD, SCALES, mmd
from lemari.terms.penalty import (
    CodeNorm,
    Contraction,
    Covariance,
    Decay,
    Smoothness,
    Sparsity,
    squared_slope,
)
from lemari.train import Plan, Training, random_state
from lemari.types import Batch, Schema, Trace, View

F64 = torch.float64
TABLE = Schema("table", (6,))


class Identity:
    """A format that stores values as the model sees them."""

    def unit(self, x):
        return x


@pytest.fixture(autouse=True)
def seeded():
    with random_state(0):
        yield


def trace(q, z, prior=None, x=None, step=0) -> Trace:
    """A pass of which a term reads only the code."""
    x = torch.zeros(z.shape[1], 6, dtype=z.dtype) if x is None else x
    c = torch.zeros(len(x), 0)
    p = Isotropic(x.unsqueeze(0), 1.0, 1)
    return Trace(Batch(x), View(x), c, q, z, prior or Point(z[0]), p, step)


def of_codes(z: torch.Tensor) -> Trace:
    return trace(Point(z), z.unsqueeze(0))


def test_l1_is_the_sum_of_the_code():
    z = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 0.0]], dtype=F64)
    torch.testing.assert_close(Sparsity()(of_codes(z), None), torch.tensor([3.0, 0.5], dtype=F64))


def test_kl_sparsity_is_that_of_two_coins():
    means, rate = torch.tensor([0.05, 0.5, 0.9], dtype=F64), 0.05
    z = means + torch.tensor([[0.02], [-0.02]], dtype=F64)
    coin = torch.distributions.Bernoulli
    want = torch.distributions.kl_divergence(coin(torch.tensor(rate, dtype=F64)), coin(means)).sum()
    found = Sparsity(kind="kl", rate=rate)(of_codes(z), None)
    torch.testing.assert_close(found, want.expand(2))
    alone = Sparsity(kind="kl", rate=rate)(of_codes(torch.full((4, 3), rate, dtype=F64)), None)
    torch.testing.assert_close(alone, torch.zeros(4, dtype=F64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", ["l1", "kl"])
def test_a_sparse_code_is_above_0_and_keeps_a_slope(kind):
    h = torch.linspace(-8, 8, 17, dtype=F64).view(1, -1).requires_grad_()
    z = SparseCode(kind)(h).mean
    z.sum().backward()
    assert bool((z > 0).all()) and bool((h.grad > 0).all())
    assert kind == "l1" or bool((z < 1).all())


def test_wrong_kinds_and_rates_are_refused_when_the_model_is_built():
    for variant, options, sentence in (
        ("sparse-ae", {"kind": "l2"}, "choose l1 or kl"),
        ("sparse-ae", {"rate": 1.0}, "between 0 and 1"),
        ("dip-vae", {"kind": "iii"}, "choose i or ii"),
        ("sigma-vae", {"law": "none"}, "choose per-value or shared"),
        ("msssim-vae", {}, "compares pictures, but the data is a table"),
        ("masked-ae", {"block": 3}, "no blocks of pixels"),
        ("masked-ae", {"mask": 1.0}, "between 0 and 1"),
        ("infovae", {"alpha": 1.5}, "alpha"),
        ("linear-ae", {"latent": 0}, "1 to 65536"),
    ):
        with pytest.raises(UsageError, match=sentence):
            VARIANTS[variant](TABLE, **options)
    with pytest.raises(UsageError, match="one column"):
        VARIANTS["masked-ae"](Schema("table", (1,)))


def test_the_slope_of_a_linear_map_is_the_norm_of_its_matrix():
    matrix, x = torch.randn(5, 7, dtype=F64), torch.randn(3, 7, dtype=F64, requires_grad=True)
    found = squared_slope(x @ matrix.T, x, draws=4000)
    assert found.shape == (3,)
    torch.testing.assert_close(found, matrix.square().sum().expand(3), rtol=0.05, atol=0)


def exact(function, at: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius norm of each example's Jacobian, by automatic differentiation."""
    found = [torch.autograd.functional.jacobian(lambda v: function(v[None])[0], a) for a in at]
    return torch.stack([j.square().sum() for j in found])


@pytest.mark.parametrize("term", [Contraction, Smoothness])
def test_penalties_on_slopes_are_unbiased(term):
    """Against the exact Jacobian, also where nothing else needs a gradient."""
    data = Schema("image", (1, 4, 4))
    model = VARIANTS["contractive-ae"](data, network="mlp:8", latent=3).double()
    batch, c = Batch(torch.rand(2, 1, 4, 4, dtype=F64)), torch.zeros(1, 0)
    with torch.no_grad():
        t = model(batch)
        found = term(draws=3000)(t, model)
    if term is Contraction:
        want = exact(lambda x: model.encoder(x, c), batch.x)
    else:
        want = 0.5 * exact(lambda z: model.decode(z[None], c).mean[0], t.z[0])
    torch.testing.assert_close(found.detach(), want, rtol=0.08, atol=0)


def test_a_contraction_moves_the_encoder_and_a_smoothness_the_decoder_alone():
    model = VARIANTS["rae-gp"](TABLE, network="mlp:8", latent=3)
    batch = Batch(torch.randn(4, 6))
    for term, part in ((Contraction(), "encoder"), (Smoothness(), "decoder")):
        model.zero_grad()
        term(model(batch), model).mean().backward()
        moved = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved and all(name.startswith(part) for name in moved)


def test_norm_and_decay_are_half_the_squares():
    z = torch.tensor([[3.0, 4.0], [1.0, 0.0]], dtype=F64)
    torch.testing.assert_close(CodeNorm()(of_codes(z), None), torch.tensor([12.5, 0.5], dtype=F64))
    model = VARIANTS["rae-l2"](TABLE, network="mlp:8", latent=2).double()
    want = sum(m.weight.square().sum() for m in model.decoder.modules() if hasattr(m, "weight")) / 2
    torch.testing.assert_close(Decay()(of_codes(z), model), want.expand(2))


def test_the_covariance_of_a_known_law():
    """Means with a given covariance, exactly: DIP-VAE I sees it, II adds the own variances."""
    wanted = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=F64)
    raw = torch.randn(50, 2, dtype=F64)
    raw = raw - raw.mean(0)
    white = raw @ torch.linalg.inv(torch.linalg.cholesky(raw.T @ raw / 50)).T
    mean = white @ torch.linalg.cholesky(wanted).T + 3.0
    q = Normal(mean, torch.full_like(mean, math.log(0.7)))
    t = trace(q, q.mean.unsqueeze(0))
    first = 2 * 0.6**2 + 4.0 * (1.0**2 + 0.5**2)
    second = 2 * 0.6**2 + 4.0 * ((2 + 0.49 - 1) ** 2 + (0.5 + 0.49 - 1) ** 2)
    for kind, want in (("i", first), ("ii", second)):
        found = Covariance(kind=kind, diagonal=4.0)(t, None)
        torch.testing.assert_close(found, torch.full((50,), want, dtype=F64))


def test_the_covariance_of_one_example_is_finite():
    q = Normal(torch.randn(1, 3), torch.zeros(1, 3))
    assert bool(torch.isfinite(Covariance()(trace(q, q.mean.unsqueeze(0)), None)).all())


def naive_mmd(a, b) -> float:
    """The unbiased estimate, pair by pair."""

    def kernel(x, y):
        squared = float((x - y).square().sum())
        return np.mean([2 * len(x) * s / (2 * len(x) * s + squared) for s in SCALES])

    n, m = len(a), len(b)
    within = sum(kernel(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within + other - 2 * np.mean([[kernel(x, y) for y in b] for x in a])


def test_mmd_equals_the_sum_over_pairs():
    a, b = torch.randn(5, 3, dtype=F64), 1 + torch.randn(7, 3, dtype=F64)
    assert float(mmd(a, b)) == pytest.approx(naive_mmd(a, b), rel=1e-10)


def test_mmd_of_equal_laws_is_0_in_the_mean_and_not_of_others():
    a, b = torch.randn(400, 30, 4, dtype=F64), torch.randn(400, 30, 4, dtype=F64)
    none = mmd(a, b)
    error = float(none.std() / 20)
    assert abs(float(none.mean())) < 3 * error < 0.01
    assert bool((none < 0).any())
    assert float(mmd(1 + a, b).mean()) > 20 * error
    assert float(mmd(0.3 * a, b).mean()) > 20 * error


def test_mmd_of_two_points_is_known():
    """All codes at 0 and all draws at distance d: 2 - 2 k(d)."""
    a, b = torch.zeros(4, 1, dtype=F64), torch.full((4, 1), 3.0, dtype=F64)
    k = np.mean([2 * s / (2 * s + 9) for s in SCALES])
    assert float(mmd(a, b)) == pytest.approx(2 - 2 * k)


def test_the_term_takes_each_draw_by_itself_and_one_example_as_nothing():
    prior = Normal(torch.zeros(20, 2, dtype=F64), torch.zeros(20, 2, dtype=F64))
    z = torch.randn(3, 20, 2, dtype=F64)
    found = MMD()(trace(Point(z[0]), z, prior), None)
    assert found.shape == (20,) and float(found.std()) == 0 and abs(float(found[0])) < 0.2
    one = torch.randn(1, 1, 2, dtype=F64, requires_grad=True)
    alone = MMD()(trace(Point(one[0]), one, Normal(one[0], one[0])), None)
    alone.sum().backward()
    assert float(alone.detach()) == 0 and float(one.grad.abs().sum()) == 0


@pytest.mark.parametrize("both", [True, False])
def test_capacity_at_the_ends_of_its_schedule(both):
    from lemari.schedule import Ramp

    mean = torch.tensor([[1.0, 2.0], [0.0, 3.0]], dtype=F64)
    q, prior = (Normal(m, torch.zeros_like(mean)) for m in (mean, torch.zeros_like(mean)))
    term = Capacity(1.0, Ramp(10.0, 100), both)  # the KL is (2.5 + 4.5) / 2
    cases = [(True, 0, 3.5), (True, 20, 1.5), (True, 50, -1.5), (True, 1000, -6.5)]
    for training, step, off in [*cases, (False, 0, -6.5)]:
        found = term.train(training)(trace(q, q.mean[None], prior, step=step), None)
        want = abs(off) if both else max(off, 0.0)
        torch.testing.assert_close(found, torch.full((2,), want, dtype=F64))


@pytest.mark.slow
def test_capacity_vae_carries_the_capacity():
    """Two factors that would be worth many more nats, and little noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
    for capacity in (1.0, 3.0):
        model = VARIANTS["capacity-vae"](
            TABLE, capacity=capacity, warm_up=50, network="mlp:16", gamma=10.0
        )
        feed = Feed(x.astype(np.float32), None, Identity())
        for _ in Training(model, feed, Plan(epochs=60, batch_size=20, lr=1e-2)).run():
            pass
        profile = kl_profile(model, feed)
        assert float(profile["kl"].sum()) == pytest.approx(capacity, rel=0.25)


def test_masked_columns_are_a_fixed_number_and_the_loss_is_on_them_alone():
    model = VARIANTS["masked-ae"](TABLE, mask=0.3, network="mlp:8", latent=2)
    x = torch.randn(50, 6) + 5
    t = model(Batch(x))
    hidden = 1 - t.view.seen
    assert bool((hidden.sum(1) == 2).all()) and bool((hidden.sum(0) > 0).all())
    assert torch.equal(t.view.x, x * t.view.seen)
    spoiled = Batch(x + 9 * t.view.seen)
    from dataclasses import replace

    a, b = (model.loss(replace(t, batch=batch))["recon"] for batch in (Batch(x), spoiled))
    assert torch.equal(a, b)
    with torch.no_grad():
        want = (0.5 * (t.p.mean[0] - x).square() + 0.5 * math.log(2 * math.pi)) * hidden
    torch.testing.assert_close(a, want.sum(1) * 3)
    assert torch.equal(model.corrupt.given(x).x, x)


@pytest.mark.parametrize(("columns", "share"), [(2, 0.99), (2, 0.01), (3, 0.5), (10, 0.95)])
def test_at_least_one_column_is_hidden_and_one_seen(columns, share):
    seen = MissingColumns(share)(Batch(torch.ones(20, columns))).seen.sum(1)
    assert 1 <= int(seen.min()) == int(seen.max()) <= columns - 1


def test_masked_pictures_hide_blocks_that_suit_their_size():
    for side, block in ((8, 2), (28, 4), (64, 9)):
        corrupt = VARIANTS["masked-ae"](Schema("image", (1, side, side)), latent=2).corrupt
        assert isinstance(corrupt, Missing) and corrupt.block == block


@pytest.mark.slow
def test_linear_ae_reaches_the_error_and_the_subspace_of_pca():
    rng = np.random.default_rng(0)
    scale = np.array([3, 2, 1.5, 0.5, 0.3, 0.1])
    x = (rng.normal(size=(400, 6)) * scale) @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 2
    model = VARIANTS["linear-ae"](TABLE, latent=3).double()
    feed = Feed(x, None, Identity())
    for _ in Training(model, feed, Plan(epochs=300, batch_size=50, lr=5e-2)).run():
        pass
    with torch.no_grad():
        mse = float((model(feed.gather(np.arange(400))).p.mean[0].numpy() - x).__pow__(2).mean())
    pca = fit_pca([x], 3, *x.shape)
    best = np.square(pca.rebuild(pca.codes(x)) - x).mean()
    assert best * 0.999 <= mse <= best * 1.01
    spanned = np.linalg.qr(model.decoder.net[0].weight.detach().numpy())[0]
    cosines = np.linalg.svd(spanned.T @ pca.components.T)[1]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < 2


def test_linear_ae_has_no_sigmoid_on_pictures():
    model = VARIANTS["linear-ae"](Schema("image", (1, 4, 4)), latent=2)
    z = 100 * torch.randn(1, 9, 2)
    one, two = (model.decode(scale * z, torch.zeros(9, 0)).mean for scale in (1.0, 2.0))
    centre = model.decode(0 * z, torch.zeros(9, 0)).mean
    torch.testing.assert_close(two - centre, 2 * (one - centre), rtol=1e-4, atol=1e-4)
    assert float(one.detach().abs().max()) > 1


@pytest.mark.parametrize("variant", ["contractive-ae", "wae-mmd", "dip-vae", "sparse-ae"])
def test_a_negative_weight_is_refused(variant):
    with pytest.raises(UsageError, match="must be 0 or more, but is -1"):
        VARIANTS[variant](TABLE, weight=-1.0)
