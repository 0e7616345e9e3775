"""A blind-spot prediction joined with the noisy value: the Gaussian case in closed form."""

import numpy as np
import pytest
import torch

from lemari.tasks.own_value import OwnValue, with_own_value


class Says:
    """A "network" that answers with a picture that it was given beforehand."""

    scale, multiple, halo, smallest = 1, 1, 0, 1

    def __init__(self, made):
        self.made = made

    def __call__(self, x, level, seen):
        return self.made.to(x)


def scene(noise, error, size=256):
    """(clean, what the network says, noisy) with independent Gaussian errors of given sigma."""
    rng = torch.Generator().manual_seed(0)
    x = torch.linspace(0.3, 0.7, size).expand(1, 1, size, size)
    made = x + error * torch.randn(x.shape, generator=rng)
    return x, made, x + noise * torch.randn(x.shape, generator=rng)


def parts(y):
    return [np.moveaxis(y[0].numpy(), 0, 2)]


@pytest.mark.parametrize(("noise", "error"), [(0.1, 0.05), (0.05, 0.1)])
def test_the_error_is_that_of_the_best_linear_estimate(noise, error):
    x, made, y = scene(noise, error)
    net = with_own_value(Says(made), parts(y))
    assert isinstance(net, OwnValue)
    best = 1 / (1 / noise**2 + 1 / error**2)
    assert float((net(y, None, None) - x).square().mean()) == pytest.approx(best, rel=0.12)


def test_noise_that_grows_with_brightness_is_weighted_by_place():
    x, made, _ = scene(0, 0.05)
    y = x + 0.3 * x * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    net = with_own_value(Says(made), parts(y))
    best = (1 / (1 / (0.3 * x) ** 2 + 1 / 0.05**2)).mean()
    found = float((net(y, None, None) - x).square().mean())
    assert found == pytest.approx(float(best), rel=0.2)


def test_a_few_large_errors_leave_the_network_alone():
    x, made, _ = scene(0, 0.02)
    hit = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.05
    net = Says(made)
    assert with_own_value(net, parts(torch.where(hit, 1.0, x))) is net
    small = x[..., :12, :12]
    assert with_own_value(net, parts(small)) is net


def test_a_perfect_network_is_believed():
    x, _, y = scene(0.1, 0)
    net = with_own_value(Says(x), parts(y))
    assert float((net(y, None, None) - x).square().mean()) < 0.02 * 0.1**2
