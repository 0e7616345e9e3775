"""Measures of reconstruction, likelihood and representation against closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lemari.corrupt import Clean
from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.laws import Normal
from lemari.metrics.bits import bits_of, bits_per_dimension, independent_bits
from lemari.metrics.clustering import agreement, clustering_accuracy, kmeans
from lemari.metrics.information import information
from lemari.metrics.neighbourhood import kept_neighbours, trustworthiness
from lemari.metrics.representation import linear_probe
from lemari.metrics.restoration import ssim as one_ssim
from lemari.metrics.similarity import ms_ssim, scales, ssim
from lemari.types import Batch

RNG = np.random.default_rng(3)


def pictures(*shape):
    return torch.from_numpy(RNG.random(shape))


def test_similarity_of_equal_pictures_is_one_and_falls_with_noise():
    x = pictures(4, 3, 40, 48)
    noise = torch.from_numpy(RNG.normal(size=x.shape))
    for measure in (ssim, ms_ssim):
        assert torch.allclose(measure(x, x), torch.ones(4, dtype=x.dtype))
        less, least = (measure(x, x + s * noise) for s in (0.05, 0.3))
        assert (less < 1).all() and (least < less).all()


def test_ssim_is_that_of_single_pictures():
    x, y = pictures(3, 1, 20, 31), pictures(3, 1, 20, 31)
    wanted = [one_ssim(a[0].numpy(), b[0].numpy()) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(wanted, abs=1e-12)


def test_ssim_of_constant_pictures_is_the_closed_form():
    x, y = torch.full((1, 1, 12, 12), 0.5).double(), torch.full((1, 1, 12, 12), 0.7).double()
    light = (2 * 0.35 + 1e-4) / (0.25 + 0.49 + 1e-4)
    assert float(ssim(x, y)) == pytest.approx(light)
    assert float(ssim(255 * x, 255 * y, peak=255)) == pytest.approx(light)


def test_one_scale_is_ssim_and_more_scales_are_the_product():
    small = pictures(2, 1, 8, 8), pictures(2, 1, 8, 8)
    assert torch.allclose(ms_ssim(*small), ssim(*small).clamp(min=0))
    # Constant pictures have no structure: what is left is the light of the coarsest scale.
    x, y = (torch.full((1, 1, 44, 44), v).double() for v in (0.5, 0.7))
    assert scales(44, 44) == 3
    weight = 0.3001 / (0.0448 + 0.2856 + 0.3001)
    assert float(ms_ssim(x, y)) == pytest.approx(float(ssim(x, y)) ** weight)


@pytest.mark.parametrize("levels", [1, 15, 255])
def test_bits_of_a_uniform_law_are_the_log_of_the_number_of_values(levels):
    """Each value has the cell [v - 1/2, v + 1/2] / levels, so that the whole is a little over 1."""
    nll = 7 * math.log((levels + 1) / levels)
    assert bits_per_dimension(nll, 7, levels) == pytest.approx(math.log2(levels + 1))


def test_bits_of_a_normal_law_bound_the_true_probability_from_above():
    levels, sigma = 15, 0.05
    values, mean = torch.arange(16).double() / levels, torch.tensor(0.4).double()
    law = torch.distributions.Normal(mean, sigma)
    true = -(law.cdf(values + 0.5 / levels) - law.cdf(values - 0.5 / levels)).log2()
    mine = [bits_per_dimension(float(-law.log_prob(v)), 1, levels, sigma) for v in values]
    near = slice(3, 10)  # farther out the difference of two distributions vanishes in float64
    assert (torch.tensor(mine)[near] >= true[near] - 1e-9).all()
    assert mine[6] == pytest.approx(float(true[6]), abs=0.2)


def test_bits_of_each_number_by_itself():
    levels = 3
    x = RNG.integers(0, levels + 1, (4000, 5)) / levels
    found = independent_bits([x[:3000]], [x[3000:]], levels, 5)
    assert found == pytest.approx(2.0, abs=0.01)
    normal = RNG.normal(2, 3, (20000, 4))
    found = independent_bits([normal], [normal], 0, 4)
    assert found == pytest.approx(math.log2(3 * math.sqrt(2 * math.pi * math.e)), abs=0.01)


def test_bits_of_gray_values_under_a_bernoulli_law_are_not_shown():
    from lemari.types import Schema
    from lemari.variants.vae import vae

    for levels, there in ((1, True), (255, False)):
        data = Schema("image", (1, 8, 8), levels=levels)
        model = vae(data, network="mlp:8", latent=2, likelihood="bernoulli")
        assert (bits_of(model, 64 * math.log(2)) is not None) == there
    model = vae(Schema("image", (1, 8, 8), levels=1), network="mlp:8", likelihood="bernoulli")
    assert bits_of(model, 64 * math.log(2)) == pytest.approx(1.0)


class Linear(nn.Module):
    """q(z|x) = N(x, s^2), p(z) = N(0, 1): every part of the rate is known."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.log_sigma = math.log(sigma)
        self.corrupt = Clean()

    def condition(self, batch: Batch):
        return batch.x.new_zeros(len(batch.x), 0)

    def encode(self, view, c):
        x = view.x
        return Normal(x, torch.full_like(x, self.log_sigma))

    def prior(self, c):
        zero = torch.zeros(len(c), 2)
        return Normal(zero, zero)


@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_the_rate_of_a_linear_code_is_information_plus_distance_to_the_prior(sigma):
    x = (0.8 * RNG.normal(size=(6000, 2))).astype(np.float32)
    fmt = TableFormat(("a", "b"), (0.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    found = information(Linear(sigma), Feed(x, None, fmt), rows=6000)
    assert found.rate == pytest.approx(found.mutual + found.marginal, abs=1e-9)
    spread = 0.64 + sigma**2
    assert found.mutual == pytest.approx(math.log(spread / sigma**2), abs=0.06)
    assert found.marginal == pytest.approx(spread - 1 - math.log(spread), abs=0.06)
    assert found.most == pytest.approx(math.log(6000))


def test_information_of_a_code_that_knows_each_row_is_the_log_of_their_number():
    x = RNG.normal(size=(50, 2)).astype(np.float32)
    fmt = TableFormat(("a", "b"), (0.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    found = information(Linear(1e-6), Feed(x, None, fmt))
    assert found.mutual == pytest.approx(math.log(50), abs=1e-6)


def test_clustering_accuracy_is_blind_to_the_names_of_clusters():
    labels = RNG.integers(0, 5, 300)
    renamed = np.array([3, 0, 4, 1, 2])[labels]
    assert agreement(labels, renamed) == pytest.approx({"accuracy": 1, "NMI": 1, "ARI": 1})
    wrong = renamed.copy()
    wrong[:30] = (wrong[:30] + 1) % 5
    assert clustering_accuracy(labels, wrong) == pytest.approx(0.9)
    assert clustering_accuracy(labels, np.zeros(300, int)) == np.bincount(labels).max() / 300
    noise = agreement(labels, RNG.integers(0, 5, 300))
    assert noise["ARI"] < 0.05 and noise["NMI"] < 0.1


def test_kmeans_finds_separate_clouds():
    labels = np.arange(200) % 4
    codes = 10 * np.eye(4)[labels] + RNG.normal(size=(200, 4))
    assert clustering_accuracy(labels[100:], kmeans(codes[:100], codes[100:], 4)) == 1


def test_trustworthiness_is_that_of_scikit_learn():
    from sklearn.manifold import trustworthiness as wanted

    x = RNG.normal(size=(120, 6))
    codes = x[:, :2]
    for k in (3, 15):
        assert trustworthiness(x, codes, k) == pytest.approx(wanted(x, codes, n_neighbors=k))
        assert trustworthiness(codes, x, k) == pytest.approx(wanted(codes, x, n_neighbors=k))
    both = kept_neighbours(x, 3 * x)
    assert both == {"trustworthiness": 1.0, "continuity": 1.0}
    assert trustworthiness(x[:2], codes[:2]) == 1.0  # too few rows to be wrong


def test_a_linear_probe_separates_what_is_separable_and_nothing_else():
    labels = np.arange(90) % 3
    codes = np.eye(3)[labels] * 5 + 0.1 * RNG.normal(size=(90, 3))
    labels[0] = -1  # unknown rows are left out
    assert linear_probe(codes[:60], labels[:60], codes[60:], labels[60:]) == 1.0
    noise = RNG.normal(size=(3000, 3))
    truth = RNG.integers(0, 3, 3000)
    assert linear_probe(noise[:1500], truth[:1500], noise[1500:], truth[1500:]) < 0.45
