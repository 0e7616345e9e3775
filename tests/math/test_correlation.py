"""Total correlation: by the batch and by a critic, against the closed form of a Gaussian."""

import math
from itertools import combinations

import pytest
import torch
from torch import nn

from lemari.laws import Normal
from lemari.networks.critic import code_critic
from lemari.optimise import Adam
from lemari.registry import VARIANTS
from lemari.terms.adversary import Judge, LogRatio, shuffled_and_codes
from lemari.terms.correlation import TotalCorrelation, log_shares
from lemari.train import Plan, Training
from lemari.types import Batch, Schema, Trace, View

F64 = torch.float64
SPREAD = 0.5  # sigma of each posterior
MEANS = torch.tensor([[1.0, 0.7], [0.7, 1.0]], dtype=F64)  # covariance of the posteriors' means
WHOLE = MEANS + SPREAD**2 * torch.eye(2, dtype=F64)
TRUTH = float(0.5 * (WHOLE.diagonal().log().sum() - torch.logdet(WHOLE)))  # nats


def trace_of(mean, k=1, z=None):
    """A trace whose posteriors are normals around the given means (B, D)."""
    q = Normal(mean, torch.full_like(mean, math.log(SPREAD)))
    z = q.rsample(k) if z is None else z
    batch = Batch(mean)
    return Trace(batch, View(mean), mean[:, :0], q, z, q, q, 0)  # pyright: ignore


def means(rows):
    return torch.randn(rows, 2, dtype=F64) @ torch.linalg.cholesky(MEANS).T


def counted(rows):
    term = TotalCorrelation()
    term.rows.fill_(rows)
    return term.double()


def test_a_batch_of_all_rows_gives_the_closed_form():
    with torch.no_grad():
        found = counted(1500)(trace_of(means(1500), 2), nn.Module())
    assert found.shape == (1500,)
    assert float(found.mean()) == pytest.approx(TRUTH, abs=4 * float(found.std()) / 38 + 0.01)
    assert TRUTH > 0.15


def test_independent_dimensions_have_none():
    with torch.no_grad():
        found = counted(1500)(trace_of(torch.randn(1500, 2, dtype=F64)), nn.Module())
    assert abs(float(found.mean())) < 0.03


def test_small_batches_of_many_rows_come_near():
    whole = means(4000)
    with torch.no_grad():
        parts = [counted(4000)(trace_of(part), nn.Module()) for part in whole.split(250)]
    assert float(torch.cat(parts).mean()) == pytest.approx(TRUTH, abs=0.05)


def test_a_batch_that_stands_for_the_set_charges_narrow_posteriors_too_much():
    plain = TotalCorrelation(stratified=False).double()
    plain.rows.fill_(4000)
    narrow = Normal(means(50), torch.full((50, 2), -3.0, dtype=F64))
    code = narrow.rsample()
    t = Trace(Batch(code), View(code), code, narrow, code, narrow, narrow, 0)  # pyright: ignore
    over, near = (float(term(t, nn.Module()).mean()) for term in (plain, counted(4000)))
    assert over > near + 1 and over > TRUTH + 1


def test_the_estimate_of_the_aggregate_density_has_no_bias():
    """The mean over every batch of 3 of 6 rows that holds row 0 is the sum over all six."""
    mean = torch.randn(6, 2, dtype=F64)
    q = Normal(mean, torch.full_like(mean, math.log(SPREAD)))
    z = mean[0] + 0.3
    density = q.log_prob(z).exp()
    own = log_shares(3, torch.tensor(6.0, dtype=F64)).exp()[0]
    found = [(density[[0, *others]] * own).sum() for others in combinations(range(1, 6), 2)]
    torch.testing.assert_close(torch.stack(found).mean(), density.mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("batch", "rows"), [(1, 0), (1, 50), (2, 2), (5, 0), (5, 3), (7, 1000)])
def test_shares_add_up_to_one(batch, rows):
    shares = log_shares(batch, torch.tensor(float(rows))).exp()
    torch.testing.assert_close(shares.sum(1), torch.ones(batch))
    assert float(shares[0, 0]) == pytest.approx(1 / max(rows, batch) if batch > 1 else 1)


def test_an_example_alone_has_none():
    found = counted(100)(trace_of(means(1), 3), nn.Module())
    torch.testing.assert_close(found, torch.zeros(1, dtype=F64), rtol=0, atol=1e-12)


def test_the_number_of_rows_is_counted_before_training_and_kept():
    from test_linear import Identity

    from lemari.feed import Feed

    x = torch.randn(23, 4).numpy()
    model = VARIANTS["beta-tc-vae"](Schema("table", (4,)), network="mlp:4")
    Training(model, Feed(x, None, Identity()), Plan(epochs=1))
    name = "terms.2.rows"
    assert int(model.state_dict()[name]) == 23


def test_maps_of_codes_count_each_number():
    mean = torch.randn(5, 2, 3, dtype=F64)
    q = Normal(mean, torch.full_like(mean, -0.3), event=2)
    t = Trace(Batch(mean), View(mean), mean[:, :0, 0], q, q.rsample(2), q, q, 0)  # pyright: ignore
    flat = Normal(mean.flatten(1), torch.full((5, 6), -0.3, dtype=F64))
    s = Trace(t.batch, t.view, t.c, flat, t.z.flatten(2), flat, flat, 0)  # pyright: ignore
    torch.testing.assert_close(counted(9)(t, nn.Module()), counted(9)(s, nn.Module()))


class Exact(nn.Module):
    """The critic that a Gaussian's codes deserve: log of the shuffled density over the joint."""

    def forward(self, z):
        joint = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=F64), WHOLE)
        single = torch.distributions.Normal(0, WHOLE.diagonal().sqrt())
        return single.log_prob(z).sum(-1) - joint.log_prob(z)


def with_critic(critic):
    model = nn.Module()
    model.critic = critic
    return model


def test_the_exact_critic_gives_the_total_correlation():
    t = trace_of(means(20_000))
    found = LogRatio()(t, with_critic(Exact()))
    assert float(found.mean()) == pytest.approx(TRUTH, abs=4 * float(found.std()) / 141)


def test_the_exact_critic_is_judged_best():
    t, exact = trace_of(means(20_000)), Exact()
    best = float(Judge(shuffled_and_codes)(t, with_critic(exact)).mean())
    for wrong in (lambda z: 0 * exact(z), lambda z: 0.5 * exact(z), lambda z: 2 * exact(z)):
        assert float(Judge(shuffled_and_codes)(t, with_critic(wrong)).mean()) > best + 0.005
    assert best < 2 * math.log(2)


def test_a_critic_learns_the_total_correlation():
    model = with_critic(code_critic(2, widths=(64, 64)))
    optimiser = Adam(model, 3e-3)
    for _ in range(400):
        t = trace_of(means(256))
        t = Trace(t.batch, t.view, t.c, t.q, t.z.float(), t.prior, t.p, 0)
        optimiser.clear()
        Judge(shuffled_and_codes)(t, model).mean().backward()
        optimiser.step()
    with torch.no_grad():
        t = trace_of(means(10_000))
        found = LogRatio()(t, model.double())
    assert float(found.mean()) == pytest.approx(TRUTH, abs=0.07)


def test_shuffling_keeps_each_dimension_and_breaks_their_bond():
    t = trace_of(means(4000), 2)
    shuffled, codes = shuffled_and_codes(t, nn.Module())
    assert torch.equal(codes, t.z) and shuffled.shape == codes.shape
    torch.testing.assert_close(shuffled.sort(1).values, codes.sort(1).values, rtol=0, atol=0)
    assert abs(float(torch.corrcoef(shuffled[0].T)[0, 1])) < 0.06
    assert float(torch.corrcoef(codes[0].T)[0, 1]) > 0.5
