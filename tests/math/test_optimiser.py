"""Our Adam against torch's, number for number; our fast layers against the plain ones."""

import pytest
import torch
from torch import nn

from lemari.networks.layers import ConvTranspose, OneMap
from lemari.optimise import Adam


def small_net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 5)).double()


@pytest.mark.parametrize("lr", [1e-3, 0.1])
def test_adam_takes_the_steps_of_torch(lr):
    ours, theirs = small_net(), small_net()
    mine, other = Adam(ours, lr), torch.optim.Adam(theirs.parameters(), lr=lr, fused=True)
    for step in range(30):
        x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        for net, optimiser in ((ours, mine), (theirs, other)):
            for p in net.parameters():
                p.grad = None
            (net(x) - x).square().mean().backward()
            optimiser.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_parameters_without_a_gradient_stay():
    net = small_net()
    before = net[0].weight.clone()
    optimiser = Adam(net, 0.1)
    net[2].weight.grad = torch.ones_like(net[2].weight)
    optimiser.step()
    assert torch.equal(net[0].weight, before)
    assert optimiser.first[0].abs().sum() == 0
    optimiser.clear()
    kept = net[2].weight.clone()
    optimiser.step()
    assert torch.equal(net[2].weight, kept) and float(optimiser.count) == 1


def test_a_stored_state_goes_on_as_the_original():
    x = torch.randn(4, 5, dtype=torch.float64)
    one, two = small_net(), small_net()
    first, second = Adam(one, 0.05), Adam(two, 0.05)

    def step(net, optimiser):
        optimiser.clear()
        (net(x) - x).square().mean().backward()
        optimiser.step()

    for _ in range(5):
        step(one, first)
    two.load_state_dict(one.state_dict())
    second.load({name: value.clone() for name, value in first.state().items()})
    for _ in range(5):
        step(one, first)
        step(two, second)
    assert torch.equal(one[0].weight, two[0].weight)
    with pytest.raises(KeyError):
        second.load({"count": torch.zeros(())})


@pytest.mark.parametrize("size", [(1, 1), (4, 9), (32, 32)])
@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_fast_last_convolution_is_a_convolution(size, side):
    fast = OneMap(6, 1, side, padding=side // 2).double()
    plain = nn.Conv2d(6, 1, side, padding=side // 2).double()
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(3, 6, *size, dtype=torch.float64)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, z = fast(one), plain(two)
    torch.testing.assert_close(y, z)
    slope = torch.randn_like(y)
    grads = (torch.autograd.grad(y, [one, *fast.parameters()], slope),
             torch.autograd.grad(z, [two, *plain.parameters()], slope))  # fmt: skip
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_the_fast_transposed_convolution_is_one():
    fast = ConvTranspose(4, 3, 3, 2, 1, 1).double()
    plain = nn.ConvTranspose2d(4, 3, 3, 2, 1, 1).double()
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(fast(x), plain(x))
