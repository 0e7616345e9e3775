"""The linear Gaussian case: the best filter is known in closed form, and all must find it.

For x ~ N(m, C) and y = x + s n the estimate with the least squared error is
m + C (C + s^2)^-1 (y - m); along an eigenvector of C with eigenvalue l it shrinks by l / (l + s^2).
"""

import numpy as np
import pytest
import torch

from lemari.feed import Feed
from lemari.formats import ImageFormat
from lemari.metrics.wiener import fit_wiener
from lemari.tasks.mend import degraded_and_restored, linear
from lemari.train import Plan, Training
from lemari.types import Schema
from lemari.variants.restoration import denoising_ae

SIGMA = 0.1
SIDE = 4
COUNT = 4000


def law(size, seed=0):
    """Mean (D,) and covariance (D, D) with widely spread eigenvalues, around those of the noise."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(size, size)))
    spread = SIGMA**2 * np.geomspace(2, 0.02, size)
    return rng.uniform(0.4, 0.6, size), (axes * spread) @ axes.T


def drawn(count, seed, size=6):
    """Clean and noisy examples (count, D)."""
    mean, covariance = law(size)
    rng = np.random.default_rng([seed, 1])
    x = rng.multivariate_normal(mean, covariance, count)
    return x + SIGMA * rng.normal(size=x.shape), x


def best_filter(size=6):
    """C (C + s^2)^-1."""
    _, covariance = law(size)
    return covariance @ np.linalg.inv(covariance + SIGMA**2 * np.eye(size))


def least_error(size=6):
    """The mean squared error that no estimate of a value beats: trace C - C (C + s^2)^-1 C."""
    _, covariance = law(size)
    return np.trace(covariance - best_filter(size) @ covariance) / size


@pytest.mark.parametrize("blocks", [1, 7])
def test_the_fitted_filter_converges_to_the_wiener_filter(blocks):
    """With ten thousand times more examples than values it is there, to sampling error."""
    mean, _ = law(6)
    distances = []
    for count in (1_000, 100_000):
        pairs = zip(*(np.array_split(part, blocks) for part in drawn(count, 0)), strict=True)
        fitted = fit_wiener(pairs)
        distances.append(np.linalg.norm(fitted.weights.T - best_filter()))
    assert distances[1] < 0.02 and distances[1] < distances[0] / 4
    assert np.abs(fitted.mean - mean).max() < 2e-3 and np.abs(fitted.seen - mean).max() < 2e-3


def test_the_filter_shrinks_each_principal_component_by_its_share_of_signal():
    fitted = fit_wiener([drawn(100_000, 1)])
    values, axes = np.linalg.eigh(law(6)[1])
    found = axes.T @ fitted.weights.T @ axes
    expected = values / (values + SIGMA**2)
    assert expected.max() > 0.6 and expected.min() < 0.03
    assert np.abs(found - np.diag(expected)).max() < 0.015


def test_the_filter_makes_the_least_error_on_examples_it_has_not_seen():
    y, x = drawn(100_000, 2)
    error = np.mean((fit_wiener([drawn(100_000, 3)]).restore(y) - x) ** 2)
    assert error == pytest.approx(least_error(), rel=0.01)
    assert error < 0.9 * min(np.mean((y - x) ** 2), np.mean((law(6)[0] - x) ** 2))


def test_without_noise_the_filter_changes_nothing():
    _, x = drawn(1_000, 4)
    filtered = fit_wiener([(x, x)]).restore(x)
    assert np.abs(filtered - x).max() < 1e-3


class Plain(torch.nn.Module):
    """In the place of a network: one matrix over all pixels."""

    def __init__(self, size):
        super().__init__()
        self.only = torch.nn.Linear(size, size)

    def forward(self, x, c):
        return self.only(x.flatten(1)).view_as(x)


def floats(count, seed):
    """Pictures (N, 1, 4, 4) float32 of the Gaussian law."""
    mean, covariance = law(SIDE**2)
    x = np.random.default_rng([seed, 2]).multivariate_normal(mean, covariance, count)
    return x.reshape(-1, 1, SIDE, SIDE).astype(np.float32)


def feed(count, seed):
    fmt = ImageFormat((1, SIDE, SIDE), dtype="float32", levels=0, high=1.0)
    return Feed(floats(count, seed), None, fmt)


@pytest.fixture(scope="module")
def trained():
    """A denoising autoencoder whose network is one matrix, trained by the package's own loop."""
    torch.manual_seed(0)
    model = denoising_ae(Schema("image", (1, SIDE, SIDE)), noise=SIGMA)
    model.decoder.net = Plain(SIDE**2)
    given = feed(COUNT, 0)
    training = Training(model, given, Plan(epochs=60, batch_size=100, lr=1e-2))
    for _ in training.run():
        pass
    return model, given


def error_of(model, held, seed=5):
    """Mean squared error of the degraded and of the restored pictures, and these pictures."""
    clean, low, made = zip(
        *((batch.x, low, made) for batch, low, made in degraded_and_restored(model, held, seed)),
        strict=True,
    )
    return torch.cat(clean), torch.cat(low), torch.cat(made)


def test_a_linear_network_learns_the_wiener_filter(trained):
    """Its matrix is the filter, which it was never told; fresh noise each step, so no overfit."""
    model, _ = trained
    found = model.decoder.net.only.weight.detach().double().numpy()
    best = best_filter(SIDE**2)
    assert np.linalg.norm(found - best) < 0.1 * np.linalg.norm(best)
    mean = law(SIDE**2)[0].reshape(1, 1, SIDE, SIDE)
    with torch.no_grad():
        kept = model.decoder.net(torch.from_numpy(mean).float(), None).numpy()
    assert np.abs(kept - mean).max() < 0.01


def test_a_linear_network_ends_near_the_least_error(trained):
    """And no lower than chance allows: below it, clean pictures would have leaked."""
    model, _ = trained
    clean, low, made = error_of(model, feed(2000, 6))
    error = float((made - clean).double().square().mean())
    assert error == pytest.approx(least_error(SIDE**2), rel=0.04)
    assert error < 0.5 * float((low - clean).double().square().mean())


def test_the_baseline_of_the_report_is_that_filter_too(trained):
    model, given = trained
    clean, low, made = error_of(model, feed(2000, 7))
    filtered = torch.from_numpy(linear(model, given, 0).restore(low.flatten(1).numpy()))
    error = float((filtered.view_as(clean) - clean).square().mean())
    assert error == pytest.approx(least_error(SIDE**2), rel=0.04)
    assert error == pytest.approx(float((made - clean).double().square().mean()), rel=0.03)
