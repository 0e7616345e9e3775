"""Every sampler against laws that are known: what it was fitted to, it must draw."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lemari.errors import ModelFileError, UsageError
from lemari.metrics.generation import frechet_distance
from lemari.registry import SAMPLERS
from lemari.samplers import flow, two_stage
from lemari.samplers.base import Codes, Parts
from lemari.samplers.kernel import chosen_width
from lemari.samplers.moments import cholesky
from lemari.samplers.sphere import from_tangent, to_tangent
from lemari.tasks.generate import prior_codes, truncated
from lemari.weights import pack

NETS = ("flow", "two-stage")
FITTED = [n for n in SAMPLERS if n not in ("normal", "prior", "tempered", "sequence")]
CONTINUOUS = [n for n in SAMPLERS if n != "sequence"]


def standard_normal(count, seed):
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


OWN = Parts(standard_normal)


def two_clusters(count: int, seed: int, scale: float = 1.0):
    """Codes at (-3, 0) and (3, 0), three quarters of them at the first; and which."""
    made = torch.Generator().manual_seed(seed)
    y = (torch.rand(count, generator=made) < 0.25).long()
    z = 0.5 * torch.randn(count, 2, generator=made)
    z[:, 0] += 6.0 * y - 3
    return scale * z, y


def codes(count: int = 2000, scale: float = 1.0) -> Codes:
    (z, y), (held, held_y) = two_clusters(count, 1, scale), two_clusters(count // 5, 2, scale)
    return Codes(z, held, y, held_y, torch.full_like(z, 0.2 * scale), OWN)


@cache
def fitted(name: str, steps: int | None = 60):
    """A sampler of the two clusters and their scale; nets learn for so many steps, or in full."""
    scale = 0.1 if name == "disk" else 1.0
    with pytest.MonkeyPatch.context() as patch:
        for module in (flow, two_stage):
            patch.setattr(module, "STEPS", steps or module.STEPS)
        patch.setattr(flow, "EVERY", 20)
        return SAMPLERS[name].fit(codes(scale=scale), 0), scale


SLOWLY = [pytest.param(n, marks=pytest.mark.slow) if n in NETS else n for n in FITTED]


@pytest.mark.parametrize("name", SLOWLY)
def test_a_law_of_two_clusters_is_found_again(name):
    sampler, scale = fitted(name, None)
    z = sampler.draw(4000, 5).double() / scale
    share = float((z[:, 0] > 0).double().mean())
    assert abs(share - 0.25) < (0.08 if name in NETS else 0.04)
    between = float((z[:, 0].abs() < 1.5).double().mean())
    assert between < (0.15 if name in NETS else 0.02)
    for side in (z[z[:, 0] > 1.5], z[z[:, 0] < -1.5]):
        assert abs(abs(float(side[:, 0].mean())) - 3) < 0.2
        assert torch.allclose(side.std(0), torch.tensor(0.5, dtype=torch.float64), atol=0.2)
    truth = two_clusters(4000, 9)[0].double().numpy()
    plain = SAMPLERS["normal"].fit(codes(), 0).draw(4000, 5).double().numpy()
    assert frechet_distance(z.numpy(), truth) < 0.1 * frechet_distance(plain, truth)


def test_a_mixture_finds_the_weights_means_and_covariances():
    law, _ = fitted("mixture")
    right = law.means[:, 0] > 0
    assert abs(float(law.weights[right].sum()) - 0.25) < 0.03
    for side, centre in ((right, 3.0), (~right, -3.0)):
        weights = law.weights[side] / law.weights[side].sum()
        mean = weights @ law.means[side]
        off = law.means[side] - mean
        inner = torch.einsum("k,kij,klj->il", weights, law.factors[side], law.factors[side])
        covariance = inner + torch.einsum("k,ki,kj->ij", weights, off, off)
        torch.testing.assert_close(mean, torch.tensor([centre, 0.0]), atol=0.1, rtol=0)
        torch.testing.assert_close(covariance, 0.25 * torch.eye(2), atol=0.05, rtol=0)


def test_one_normal_law_gets_one_component():
    z = torch.randn(4000, 3)
    assert len(SAMPLERS["mixture"].fit(Codes(z[:3000], z[3000:]), 0).weights) == 1


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_are_a_function_of_the_seed_and_leave_the_random_state(name):
    sampler, _ = fitted(name)
    before = torch.get_rng_state()
    first = sampler.draw(50, 3)
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (50, 2) and first.dtype == torch.float32
    assert torch.equal(first, sampler.draw(50, 3))
    assert not torch.equal(first, sampler.draw(50, 4))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_saved_sampler_draws_the_same(name):
    from safetensors.torch import load

    sampler, _ = fitted(name)
    tensors = load(pack(sampler.tensors()))
    again = SAMPLERS[name].from_tensors(tensors, OWN)
    assert torch.equal(sampler.draw(200, 7), again.draw(200, 7))


@pytest.mark.parametrize("name", ["mixture", "kernel", "walk", "class", "flow", "two-stage"])
def test_other_tensors_are_refused(name):
    with pytest.raises(ModelFileError):
        SAMPLERS[name].from_tensors({"centre": torch.zeros(2)}, OWN)


def test_classes_can_be_asked_for():
    law, _ = fitted("class")
    y = torch.arange(1000) % 2
    side = law.draw(1000, 0, y)[:, 0] > 0
    assert torch.equal(side, y == 1)
    with pytest.raises(UsageError, match="without this class"):
        law.draw(3, 0, torch.tensor([0, 1, 5]))


def test_the_kernel_width_is_the_likeliest_one():
    """Points of two values +-1 with noise sigma: the width of the kernel is that sigma."""
    made = torch.Generator().manual_seed(0)

    def points(count: int) -> torch.Tensor:
        signs = 2.0 * torch.randint(2, (count, 1), generator=made) - 1
        return signs.expand(count, 1) * torch.ones(1)

    sigma = 10**-0.5
    held = points(2000) + sigma * torch.randn(2000, 1, generator=made)
    assert math.isclose(chosen_width(points(2000), held), sigma, rel_tol=1e-6)


def test_the_covariance_factor_is_that_of_the_codes():
    z = torch.randn(5000, 3) @ torch.tensor([[1.0, 0.5, 0], [0, 1e-3, 0], [0, 0, 40.0]])
    factor = cholesky(z, ridge=1e-9)
    torch.testing.assert_close(factor @ factor.T, torch.cov(z.T), rtol=1e-3, atol=1e-5)


def test_the_sphere_keeps_lengths_and_the_disk_its_edge():
    z = F.normalize(torch.randn(500, 3))
    sphere = SAMPLERS["sphere"].fit(Codes(z[50:], z[:50]), 0).draw(300, 0)
    torch.testing.assert_close(sphere.norm(dim=1), torch.ones(300))
    ball = 0.999 * z * torch.rand(500, 1) ** 0.1
    torch.testing.assert_close(from_tangent(to_tangent(ball)), ball, rtol=1e-3, atol=1e-4)
    disk = SAMPLERS["disk"].fit(Codes(ball[50:], ball[:50]), 0).draw(300, 0)
    assert float(disk.norm(dim=1).max()) < 1


def test_a_walk_ends_between_training_codes():
    line = torch.linspace(0, 1, 200)[:, None] * torch.tensor([[3.0, 4.0]])
    law = SAMPLERS["walk"].fit(Codes(line[torch.randperm(200)], line[:10]), 0)
    z = law.draw(500, 0)
    torch.testing.assert_close(z[:, 1] * 3, z[:, 0] * 4)
    assert z.min() >= 0 and z[:, 0].max() <= 3.001


def test_a_mixture_of_posteriors_has_their_spread():
    """Means of -1 and 1 with sigma 0.1 and 2: each half has the spread of its own posterior."""
    z = 2.0 * (torch.arange(400) % 2)[:, None] - 1
    sigma = torch.where(z > 0, 2.0, 0.1)
    law = SAMPLERS["vamp"].fit(Codes(z, z[:20], sigma=sigma), 0)
    drawn = law.draw(20_000, 0)
    assert abs(float(drawn.var()) - (1 + (0.1**2 + 2.0**2) / 2)) < 0.1
    near = float(((drawn + 1).abs() < 0.2).double().mean())
    within_far = 0.5 * (math.erf(1.1 / math.sqrt(2)) - math.erf(0.9 / math.sqrt(2)))
    assert abs(near - (0.5 * math.erf(2 / math.sqrt(2)) + 0.5 * within_far)) < 0.02


def test_tempering_gives_the_prior_the_spread_of_the_codes():
    z = 0.5 * torch.randn(4000, 2)
    law = SAMPLERS["tempered"].fit(Codes(z[:3000], z[3000:], parts=OWN), 0)
    assert abs(float(law.temperature) - 0.5) < 0.03
    assert abs(float(law.draw(4000, 1).std()) - 0.5) < 0.03


def test_truncated_draws_follow_the_truncated_law():
    from lemari.laws import FullNormal, Normal

    zero = torch.zeros(40_000, 2)
    z = truncated(Normal(zero + 1, zero + math.log(2.0)), 1.0)
    assert float((z - 1).abs().max()) <= 2
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    variance = 4 * (1 - 2 * density / math.erf(1 / math.sqrt(2)))
    assert abs(float(z.var()) - variance) < 0.02
    factor = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    white = torch.linalg.solve(factor, truncated(FullNormal(zero, factor), 1.5).T)
    assert float(white.abs().max()) <= 1.5 + 1e-5
    assert abs(float(np.corrcoef(white.numpy())[0, 1])) < 0.02


def test_truncation_needs_a_normal_prior():
    from lemari.laws import Point

    class Model:
        prior = staticmethod(lambda c: Point(torch.zeros(len(c), 2)))

    with pytest.raises(UsageError, match="normal prior"):
        prior_codes(Model(), 3, truncation=1.0)  # pyright: ignore[reportArgumentType]


def wide(size: int) -> Codes:
    z = torch.randn(60, size)
    return Codes(z[10:], z[:10], sigma=None)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("vamp", wide(2), "posteriors with a spread"),
        ("class", wide(2), "needs classes"),
        ("disk", wide(2), "unit ball"),
        ("sphere", wide(1), "no direction"),
        ("prior", wide(2), "no prior"),
        ("sequence", wide(2), "discrete codes"),
        ("mixture", wide(300), "up to 256 numbers"),
        ("flow", wide(300), "up to 256 numbers"),
        ("two-stage", wide(300), "up to 256 numbers"),
    ],
)
def test_codes_that_do_not_suit_a_sampler_are_refused(name, given, words):
    with pytest.raises(UsageError, match=words):
        SAMPLERS[name].fit(given, 0)


@pytest.mark.parametrize("name", ["kernel", "walk", "sphere"])
def test_wide_codes_suit_the_others(name):
    assert SAMPLERS[name].fit(wide(300), 0).draw(4).shape == (4, 300)


def test_a_number_that_never_varies_does_no_harm(monkeypatch):
    monkeypatch.setattr(flow, "STEPS", 50)
    monkeypatch.setattr(two_stage, "STEPS", 50)
    z = torch.randn(400, 3)
    z[:, 1] = 2.0
    given = Codes(z[50:], z[:50])
    for name in ("mixture", "kernel", "flow", "two-stage", "walk"):
        drawn = SAMPLERS[name].fit(given, 0).draw(50)
        torch.testing.assert_close(drawn[:, 1], torch.full((50,), 2.0), atol=1e-2, rtol=0)


def test_too_few_codes_are_refused():
    with pytest.raises(UsageError, match="at least 20"):
        Codes(torch.zeros(5, 2), torch.zeros(1, 2))


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'mixture'"):
        SAMPLERS["mixtur"]


def test_an_estimator_draws_from_a_sampler_of_its_codes():
    from lemari import AE
    from lemari.samplers import fit

    x = np.random.default_rng(0).normal(size=(200, 4))
    model = AE(latent=2, network="mlp:8", epochs=1).fit(x)
    law = fit("kernel", model.transform(x))
    made = model.sample(30, sampler=law, random_state=4)
    np.testing.assert_array_equal(made, model.inverse_transform(law.draw(30, 4).numpy()))
    assert made.shape == (30, 4) and not np.array_equal(made, model.sample(30, random_state=4))
    with pytest.raises(UsageError, match="at least 20"):
        fit("kernel", model.transform(x[:5]))


@pytest.mark.slow
def test_a_law_of_sequences_draws_what_belongs_together():
    """Two positions that always hold the same of two codes: no draw mixes them."""
    table = torch.tensor([[0.0, 1.0], [5.0, 5.0]])

    class Book:
        codes, length = 2, 2

        def indices_of(self, z):
            return (z.view(len(z), 2, 2)[..., 0] > 2.5).long()

        def vectors(self, indices):
            return table[indices].flatten(1)

    z = table[torch.randint(2, (400,))].repeat(1, 2)
    given = Codes(z[40:], z[:40], parts=Parts(None, Book()))
    law = SAMPLERS["sequence"].fit(given, 0)
    drawn = law.draw(500, 1)
    assert float((drawn[:, :2] == drawn[:, 2:]).all(1).double().mean()) > 0.97
    again = SAMPLERS["sequence"].from_tensors(law.tensors(), given.parts)
    assert torch.equal(drawn, again.draw(500, 1))
