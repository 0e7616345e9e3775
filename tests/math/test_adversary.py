"""Critics: what they are judged by, whom each term moves, and that they do not stay idle."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.latents.point import StandardisedCode
from lemari.model import Autoencoder
from lemari.networks.critic import code_critic, example_critic
from lemari.optimise import Adam
from lemari.registry import VARIANTS
from lemari.sources import open_data
from lemari.terms.adversary import (
    FeatureError,
    Fool,
    Judge,
    LogRatio,
    examples_and_decoded,
    prior_and_codes,
)
from lemari.train import random_state, update
from lemari.types import Batch, Schema

IDLE = 2 * math.log(2)
GRAY = Schema("image", (1, 12, 10))
TABLE = Schema("table", (5,))


def constant(first, second):
    """A critic that is sure of both laws: their members are told apart by their first number."""

    class Sure(nn.Module):
        def forward(self, values):
            return torch.where(values.flatten(2)[..., 0] > 0, first, second)

    return Sure()


def judged(critic):
    """Judge's loss where the first law lies above 0 and the second below."""
    model = nn.Module()
    model.critic = critic
    judge = Judge(lambda t, m: (torch.ones(2, 7, 3), -torch.ones(2, 7, 3)))
    return judge(None, model)


def test_an_idle_critic_costs_twice_the_log_of_two_and_a_perfect_one_nothing():
    zero, sure = torch.tensor(0.0), torch.tensor(60.0)
    torch.testing.assert_close(judged(constant(zero, zero)), torch.full((7,), IDLE))
    torch.testing.assert_close(judged(constant(sure, -sure)), torch.zeros(7))
    assert float(judged(constant(-sure, sure)).min()) == pytest.approx(120)


def with_terms(variant, data, terms, **options):
    m = VARIANTS[variant](data, latent=3, **options)
    return Autoencoder(data, encoder=m.encoder, posterior=m.posterior, prior=m.prior,
                       decoder=m.decoder, terms=terms, critic=m.critic)  # fmt: skip


def moved_by(variant, data, terms):
    """The parts whose parameters one update with these terms changes."""
    model = with_terms(variant, data, terms)
    before = {name: p.clone() for name, p in model.named_parameters()}
    update(model, Adam(model, 1e-2), Batch(torch.rand(8, *data.shape)), 0)
    return {name.split(".")[0] for name, p in model.named_parameters()
            if not torch.equal(p, before[name])}  # fmt: skip


@pytest.mark.parametrize("data", [GRAY, TABLE], ids=["picture", "table"])
def test_each_term_moves_only_its_part(data):
    assert moved_by("aae", data, [Judge(prior_and_codes)]) == {"critic"}
    assert moved_by("aae", data, [LogRatio()]) == {"encoder"}
    assert moved_by("vae-gan", data, [Judge(examples_and_decoded)]) == {"critic"}
    assert moved_by("vae-gan", data, [Fool(examples_and_decoded)]) == {"decoder"}
    assert moved_by("vae-gan", data, [FeatureError()]) == {"encoder", "decoder"}


@pytest.mark.parametrize("variant", ["aae", "factor-vae", "vae-gan", "lesson-aae"])
def test_the_critic_follows_its_judge_alone(variant):
    """Its gradient is that of Judge by itself, whatever else the variant trains."""
    model, batch = VARIANTS[variant](GRAY), Batch(torch.rand(8, *GRAY.shape))
    torch.manual_seed(4)
    update(model, Adam(model, 0.0), batch, 0)
    found = [p.grad.clone() for p in model.critic.parameters()]
    torch.manual_seed(4)
    t = model(batch)
    values = {term.name: term(t, model).mean() for term in model.terms}
    want = torch.autograd.grad(values["judge"], list(model.critic.parameters()))
    for a, b in zip(found, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_judging_sends_nothing_to_what_is_judged():
    for variant in ("aae", "vae-gan"):
        model = VARIANTS[variant](GRAY)
        t = model(Batch(torch.rand(4, *GRAY.shape)))
        judge = next(term for term in model.terms if term.name == "judge")
        others = [p for n, p in model.named_parameters() if not n.startswith("critic")]
        slopes = torch.autograd.grad(judge(t, model).sum(), others, allow_unused=True)
        assert all(slope is None for slope in slopes)


def test_a_judge_needs_a_critic():
    m = VARIANTS["ae"](TABLE)
    with pytest.raises(UsageError, match="trains \\['critic'\\]"):
        Autoencoder(TABLE, encoder=m.encoder, posterior=m.posterior, prior=m.prior,
                    decoder=m.decoder, terms=[Judge(prior_and_codes)])  # fmt: skip


def test_features_of_an_example_have_one_scale_whatever_the_critic_learned():
    x = torch.rand(2, 6, *GRAY.shape)
    critic = example_critic(GRAY)
    with torch.no_grad():
        for p in critic.body.parameters():
            p.mul_(20)
        features = critic.features(x)
    assert features.shape[:2] == (2, 6) and critic(x).shape == (2, 6)
    torch.testing.assert_close(features.mean(-1), torch.zeros(2, 6), rtol=0, atol=1e-4)
    torch.testing.assert_close(features.square().mean(-1), torch.ones(2, 6), rtol=0, atol=0.01)


def test_a_perfect_copy_has_no_feature_error_and_the_input_error_is_logged():
    model = VARIANTS["vae-gan"](GRAY)
    batch = Batch(torch.rand(4, *GRAY.shape))
    values = update(model, Adam(model, 1e-3), batch, 0)
    assert set(values) == {"features", "kl", "recon", "fool", "judge"}
    assert next(t for t in model.terms if t.name == "recon").weight(0) == 0
    t = model(batch)
    copy = type("Copy", (), {"mean": batch.x.unsqueeze(0)})()
    fields = (t.batch, t.view, t.c, t.q, t.z, t.prior, copy, 0)
    assert float(FeatureError()(type(t)(*fields), model).detach().abs().max()) == 0


@pytest.mark.parametrize("code", [(3,), (2, 4, 5)])
def test_critics_take_codes_of_any_shape(code):
    assert code_critic(*code)(torch.randn(3, 6, *code)).shape == (3, 6)
    assert code_critic(*code, widths=(7, 5)).head.in_features == 5


def test_the_lessons_layers():
    model = VARIANTS["lesson-aae"](Schema("image", (1, 28, 28)))
    sizes = [[layer.out_features for layer in net.modules() if isinstance(layer, nn.Linear)]
             for net in (model.encoder, model.decoder.net, model.critic)]  # fmt: skip
    assert sizes == [[1000, 1000, 1000, 150], [1000, 1000, 1000, 784], [500, 500, 500, 500, 1]]
    assert model.code == (150,)


def standardised(*code):
    posterior = StandardisedCode()
    posterior.shape_to(*code)
    return posterior


def test_standardised_codes_have_mean_0_and_variance_1_in_training_and_in_use():
    posterior, law = standardised(3), torch.distributions.Normal(5.0, 0.02)
    for _ in range(300):
        z = posterior(law.sample((64, 3))).mean
        torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
        torch.testing.assert_close(z.var(0, correction=0), torch.ones(3), rtol=0, atol=0.1)
    alone = posterior(law.sample((1, 3))).mean
    used = posterior.eval()(law.sample((5000, 3))).mean
    assert float(alone.abs().max()) < 5
    assert float(used.mean().abs()) < 0.1 and float(used.var()) == pytest.approx(1, abs=0.1)
    one = law.sample((1, 3))
    torch.testing.assert_close(posterior(one).mean, posterior(one.expand(7, 3)).mean[:1])


def distance_from_prior(model, batch):
    """Energy distance of the codes from as many draws of N(0, I); 0 only for equal laws."""
    with torch.no_grad():
        z = model.eval().encode(model.corrupt(batch), model.condition(batch)).mean
    model.train()
    p = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    return float(2 * torch.cdist(z, p).mean() - torch.cdist(z, z).mean() - torch.cdist(p, p).mean())


def after_200_steps(weight):
    """The losses of the critic, and how far the codes end from the prior, on digits."""
    source = open_data("digits")
    format = source.learn()
    rows = source.load(format)
    feed = Feed(rows.x, rows.y, format)
    with random_state(0):
        model = VARIANTS["aae"](format.schema, latent=2, network="mlp:64", weight=weight)
        optimiser, judged, rng = Adam(model, 3e-3), [], np.random.default_rng(0)
        for step in range(200):
            batch = feed.gather(rng.integers(0, len(feed), 128))
            judged.append(float(update(model, optimiser, batch, step)["judge"]))
    return judged, distance_from_prior(model, feed.gather(np.arange(1000)))


@pytest.mark.slow
def test_the_critic_of_an_adversarial_autoencoder_works_and_its_codes_move_to_the_prior():
    judged, distance = after_200_steps(3.0)
    unopposed, without = after_200_steps(0.0)
    assert min(judged) < IDLE - 0.05 and min(unopposed) < IDLE - 0.1
    assert np.mean(judged[-50:]) > np.mean(unopposed[-50:]) + 0.02
    assert distance < 0.5 * without
