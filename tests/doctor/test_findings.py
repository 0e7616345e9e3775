"""Each finding with a training that provokes it, and one that must not."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from doctor_cases import Visit, digits, factors, table, trained, visit
from torch import Tensor, nn

from lemari.doctor import Evidence, Probe, Run, during, examine
from lemari.doctor.curves import CHANCE
from lemari.doctor.data import other_range
from lemari.doctor.latent import HOLE, energy
from lemari.doctor.probe import another_class, frozen_corruption
from lemari.formats import ImageFormat, TableFormat
from lemari.registry import VARIANTS
from lemari.tasks.examine import Watch
from lemari.terms.base import Term
from lemari.types import Batch, Schema, View

TOLD_OF_TRUE_THINGS = {"inactive-dimensions"}


@cache
def healthy(variant: str) -> Visit:
    return trained(variant, digits(), {"epochs": 12})


@pytest.mark.parametrize("variant", ["ae", "vae", "cvae"])
def test_a_healthy_training_has_no_findings(variant):
    assert set(healthy(variant).names) <= TOLD_OF_TRUE_THINGS


@pytest.mark.parametrize("variant", ["ae", "vae"])
def test_a_healthy_training_on_a_table_has_no_findings(variant):
    found = trained(variant, table(factors()), {"epochs": 12}, latent=2)
    assert found.names == []


def test_examining_leaves_the_model_as_it_was():
    found = healthy("cvae")
    before = {k: v.clone() for k, v in found.model.state_dict().items()}
    state = torch.get_rng_state()
    assert found.findings == found.findings
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, before[k]) for k, v in found.model.state_dict().items())


# The code.


def test_collapse():
    found = trained("beta-vae", digits(), {"epochs": 4}, beta=200.0)
    assert "posterior-collapse" in found.names and "inactive-dimensions" not in found.names
    assert "posterior-collapse" not in healthy("vae").names


def test_inactive_dimensions_are_named():
    found = trained("vae", table(factors()), {"epochs": 30, "lr": 1e-2}, latent=6, sigma=0.5)
    active = [i for i, v in enumerate(found_variance(found)) if v > 0.01]
    told = found.finding("inactive-dimensions")
    assert len(active) == 2 and "4 of 6" in told.evidence and "--latent 2" in told.remedy
    assert all((f"z{i}" in told.evidence) == (i not in active) for i in range(6))
    both = trained("vae", table(factors()), {"epochs": 30, "lr": 1e-2}, latent=2, sigma=0.5)
    assert "inactive-dimensions" not in both.names


def found_variance(found: Visit) -> np.ndarray:
    from lemari.metrics.likelihood import kl_profile

    return kl_profile(found.model, found.held)["variance"].numpy()  # pyright: ignore


@pytest.mark.parametrize(("usage", "dead"), [(0.3, True), (0.49, True), (0.51, False), (1, False)])
def test_dead_codes(usage, dead):
    history = [record(1, 5.0, measures={"usage": usage, "perplexity": 9.0})]
    found = examine(evidence(run=Run(history)))
    assert [f.name for f in found] == (["dead-codes"] if dead else [])
    assert all("perplexity is 9.0" in f.evidence for f in found)


def test_prior_hole():
    wide = trained("vae", digits(), {"epochs": 12}, sigma=0.01, beta=0.01)
    assert "prior-hole" in wide.names
    assert "prior-hole" not in healthy("vae").names


@pytest.mark.parametrize("width", [1, 3, 20])
def test_energy_of_normals(width):
    """Against the closed form for N(0, I) and N(0, 16 I), and 0 for equal laws."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(1000, width)) for _ in range(3))
    far, noise = energy(a, 4 * b)
    assert far == pytest.approx(HOLE, abs=0.015) and noise < 0.01
    near, noise = energy(a, c)
    assert abs(near) < HOLE / 20 and noise < HOLE / 20
    assert round(1 - 2**0.5 * 5 / (2 * 17**0.5), 4) == HOLE


def test_beta_that_leaves_nothing_worth_coding():
    """A linear VAE uses dimensions whose variance exceeds the effective beta (Lucas 2019)."""
    high = trained("vae", digits(), {"epochs": 3}, sigma=1.0, beta=2.0)
    told = high.finding("beta-too-high")
    largest = np.linalg.eigvalsh(np.cov(rows_of(high).T))[-1]
    assert largest < 2 and f"{largest:.2g}"[:3] in told.evidence and "--beta" in told.remedy
    assert "beta-too-high" not in trained("vae", digits(), {"epochs": 3}, sigma=0.5).names


def rows_of(found: Visit) -> np.ndarray:
    return found.held.gather(np.arange(256)).x.flatten(1).numpy()


def test_beta_that_does_not_count():
    low = trained("vae", digits(), {"epochs": 3}, sigma=0.01, beta=0.1)
    told = low.finding("beta-too-low")
    assert "balance" in told.evidence and "--beta" in told.remedy
    assert "beta-too-low" not in healthy("vae").names


def test_the_setting_to_change_is_the_one_that_is_off():
    def told(beta, weights, name):
        (found,) = (f for f in examine(evidence(beta=beta, run=Run([], weights))) if f.name == name)
        return found.remedy

    error = float(np.square(0.1 * evidence().inputs).mean())
    assert told(1e-9, {"kl": 1.0}, "beta-too-low") == "Leave --sigma out, so that it is learned."
    small = told(error * 1e-3, {"kl": 1e-3}, "beta-too-low")
    assert small == "Raise beta (--beta 1)."
    assert told(0.0, {"kl": 0.0}, "beta-too-low") == "Raise beta (--beta 1)."
    assert "--beta" in told(1e4, {"kl_numbers": 1e4, "kl_categories": 1e4}, "beta-too-high")


def test_a_kl_in_parts_has_an_effective_beta():
    from lemari.model import effective_beta

    model = VARIANTS["joint-vae"](
        Schema("table", (5,)), network="mlp:4", beta=3.0, likelihood="mse"
    )
    assert effective_beta(model) == 3.0


# The course of a training.


def record(number: int, loss: float, held: float | None = None, measures=None, **terms) -> dict:
    valid = {} if held is None else {"loss": held}
    return {"number": number, "loss": loss, "valid": valid, "lr": 1e-2, "terms": terms,
            "measures": measures or {}}  # fmt: skip


def curve(*losses: float) -> Run:
    return Run([record(i + 1, v, recon=v) for i, v in enumerate(losses)], {"recon": 1.0})


def names(run: Run) -> list[str]:
    return [finding.name for finding in during(run)]


class Judge(Term):
    """Cross-entropy of a critic that tells codes from draws of the prior."""

    name = "judge"

    def __init__(self, weight: float) -> None:
        super().__init__(weight, ("critic",))

    def forward(self, t, model) -> Tensor:
        real, made = (model.critic(v.detach())[0, :, 0] for v in (t.prior.sample(), t.z))
        return nn.functional.softplus(-real) + nn.functional.softplus(made)


def judged(weight: float) -> Visit:
    train, held = digits()
    with random_start():
        model = VARIANTS["ae"](train.format.schema, network="mlp:32", latent=4)
        model.critic = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    model.critic[-1].weight.data.zero_()  # pyright: ignore
    model.critic[-1].bias.data.zero_()  # pyright: ignore
    model.terms.append(Judge(weight))  # pyright: ignore
    return visit(model, (train, held), epochs=20)


def random_start():
    from lemari.train import random_state

    return random_state(0)


@pytest.mark.slow
def test_a_critic_that_never_trains():
    stuck = judged(0.0)
    assert all(abs(r.terms["judge"] - 1.386) < 1e-3 for r in stuck.history)
    assert "1.386" in stuck.finding("critic-at-chance").evidence
    assert "unused-parameters" in stuck.names  # for the same reason
    assert not {"critic-at-chance", "unused-parameters"} & set(judged(1.0).names)


def test_a_critic_counts_as_stuck_after_some_steps_only():
    still = [record(i + 1, 3.0, judge=CHANCE, recon=3.0) for i in range(5)]
    assert names(Run(still, steps=100)) == ["critic-at-chance"]
    assert names(Run(still, steps=99)) == []
    once = [*still[:4], record(5, 3.0, judge=1.2, recon=3.0)]
    assert names(Run(once, steps=100)) == []


@pytest.mark.parametrize(
    ("variant", "options"),
    [("ae", {"likelihood": "gaussian", "network": "mlp-tanh:64"}), ("ae", {})],
)
def test_a_learning_rate_that_is_too_high(variant, options):
    wild = trained(variant, digits(), {"epochs": 12, "lr": 0.3, "schedule": "constant"}, **options)
    assert "--lr 0." in wild.finding("learning-rate-too-high").remedy
    assert "learning-rate-too-high" not in healthy(variant).names


def test_a_loss_that_jumps_up():
    jump = curve(20, 10, 6, 5, 8, 5, 4.9)
    assert names(jump) == ["learning-rate-too-high"]
    (told,) = during(jump)
    assert "epoch 5" in told.evidence and "60%" in told.evidence and "--lr 0.003" in told.remedy
    assert names(curve(20, 10, 6, 5, 5.2, 4.8, 4.9)) == []
    assert names(curve(5.0, 1.0, 0.9, 0.8, 0.95)) == []  # below half a nat all is noise
    assert names(curve(62.0, 61.2, 60.9, 60.54, 60.64, 60.54)) == []


def test_a_few_rows_say_nothing_of_the_rate():
    x = np.random.default_rng(0).random((60, 1, 4, 4))
    away = 1.4 * (x.mean(0) - x) + x
    run = Run([record(i + 1, 5.0, 5.0) for i in range(4)])
    found = lambda n: [f.name for f in examine(evidence(inputs=x[:n], outputs=away[:n], run=run))]  # noqa: E731
    assert "learning-rate-too-high" in found(60) and found(6) == []


def test_a_term_that_is_raised_on_purpose_is_no_jump():
    losses = (20.0, 10, 6, 5, 8, 9, 10)
    terms = [{"recon": 5.0 - i, "capacity": v - 5.0 + i} for i, v in enumerate(losses)]
    history = [record(i + 1, v, **t) for i, (v, t) in enumerate(zip(losses, terms, strict=True))]
    assert names(Run(history, {"recon": 1.0, "capacity": 1.0})) == []


def test_layers_that_died():
    dead = trained("vae", digits(), {"epochs": 4, "lr": 0.3, "schedule": "constant"})
    told = dead.finding("dead-layers")
    assert "before training" in told.evidence and "--lr 0.03" in told.remedy
    assert not {"dead-layers", "unused-parameters"} & set(healthy("vae").names)


def test_a_warm_up_is_not_a_learning_rate():
    """The loss rises as the weight of the KL does, until that is final."""
    terms = [{"recon": value, "kl": 30.0} for value in (90.0, 60.0, 30.0, 24.0, 22.0, 21.0, 20.0)]
    weights = [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    losses = [t["recon"] + w * t["kl"] for t, w in zip(terms, weights, strict=True)]
    history = [record(i + 1, v, **t) for i, (v, t) in enumerate(zip(losses, terms, strict=True))]
    assert names(Run(history, {"recon": 1.0, "kl": 1.0})) == []
    assert names(Run(history)) == ["learning-rate-too-high"]  # where the weights are not known


def test_over_fitting():
    few = digits(rows=60)
    plan = {"epochs": 40, "batch_size": 10, "lr": 5e-3, "schedule": "constant"}
    options = {"network": "mlp:128", "latent": 16, "likelihood": "bernoulli"}
    over = trained("ae", few, plan, **options)
    told = over.finding("over-fitting")
    held = [r.valid["loss"] for r in over.history]
    assert f"epoch {int(np.argmin(held)) + 1} " in told.evidence and "--patience" in told.remedy
    assert "over-fitting" not in healthy("ae").names


def test_over_fitting_needs_both_curves():
    def held(*values, train=(9, 8, 7, 6, 5, 4)):
        return Run(
            [record(i + 1, t, v) for i, (t, v) in enumerate(zip(train, values, strict=True))]
        )

    assert names(held(10, 7, 6, 7, 8, 9)) == ["over-fitting"]
    assert names(held(10, 7, 6, 5.9, 5.8, 5.9)) == []
    assert names(held(10, 7, 6, 6.1, 6.1, 6.1)) == []
    assert names(held(10, 7, 6, 7, 8, 9, train=(9, 8, 7, 7, 7, 7))) == []
    kept = held(10, 7, 6, 7, 8, 9).history
    kept[2]["best"] = True  # pyright: ignore
    assert names(Run(kept)) == []  # patience has kept the best epoch


def test_what_shows_during_training_is_told_once():
    losses = (20, 10, 5, 9, 5, 9)
    whole, watch = curve(*losses), Watch(Run(weights={"recon": 1.0}))
    told = [[f.name for f in watch(whole.history[: i + 1])] for i in range(len(losses))]
    assert told == [[], [], [], ["learning-rate-too-high"], [], []]
    resumed = Watch(Run(whole.history[:4], {"recon": 1.0}))
    assert resumed(whole.history) == []


def test_a_collapse_under_way():
    flat = [record(i + 1, 5.0, recon=4.9, kl=0.1 * 0.9) for i in range(6)]
    assert names(Run(flat, steps=100)) == ["posterior-collapse"]
    assert names(Run(flat[:4], steps=100)) == []
    assert names(Run([*flat, record(7, 5.0, recon=4.0, kl=1.0)], steps=100)) == []
    assert names(Run(flat, {"recon": 1.0, "kl": 0.0}, 100)) == []  # nothing draws it to the prior


# What the decoder gives.


def evidence(**given) -> Evidence:
    inputs = np.random.default_rng(0).random((60, 1, 4, 4))
    plain = {"kl": None, "variance": None, "outputs": 0.9 * inputs, "inputs": inputs}
    return Evidence(**plain | given)


def test_saturated_sigmoid():
    train, held = digits()
    with random_start():
        model = VARIANTS["ae"](train.format.schema, network="mlp:32", latent=4)
    model.decoder.net.register_forward_hook(lambda net, given, out: out - 30)
    black = visit(model, (train, held), epochs=2)
    assert "saturated-sigmoid" in black.names
    assert "saturated-sigmoid" not in healthy("ae").names


def test_outputs_may_saturate_where_the_data_does():
    inputs = (np.random.default_rng(0).random((60, 1, 4, 4)) > 0.5).astype(float)
    outputs = np.clip(inputs, 0.001, 0.999)
    outputs[:, :, 0, 0] = 0.5
    squashed = Probe(bounded=True, squashed=True)
    assert examine(evidence(inputs=inputs, outputs=outputs, probe=squashed)) == []


def test_a_condition_that_is_ignored():
    labels = np.random.default_rng(0).integers(0, 10, 1797)
    deaf = trained("cvae", digits(y=labels), {"epochs": 12})
    assert "condition-ignored" in deaf.names
    assert "condition-ignored" not in healthy("cvae").names


def test_another_class():
    assert another_class(torch.tensor([0, 5, 2, 5])).tolist() == [2, 0, 5, 0]  # pyright: ignore
    assert another_class(torch.tensor([3, 3])) is None


# The data.


class Bare:
    """A format that forgets to bring bytes to 0..1."""

    schema = ImageFormat((1, 8, 8), layout="hw", native=(8, 8)).schema

    def unit(self, x: Tensor) -> Tensor:
        return x.float()


@pytest.mark.parametrize("likelihood", ["mse", "bernoulli"])
def test_data_outside_of_what_the_model_can_give(likelihood):
    feeds = digits()
    for feed in feeds:
        feed.format = Bare()
    found = trained("ae", feeds, {"epochs": 1}, likelihood=likelihood)
    assert "255" in found.finding("outside-support").evidence
    assert "outside-support" not in healthy("ae").names
    tables = trained("ae", table(factors()), {"epochs": 1}, latent=2)
    assert tables.held.gather(np.arange(50)).x.min() < 0 and tables.names == []


def test_a_column_whose_scale_a_few_rows_set():
    x = factors()
    x[:, 3] = np.exp(3.5 * np.random.default_rng(1).normal(size=len(x)))
    found = trained("ae", table(x), {"epochs": 2}, latent=2)
    assert "'c3'" in found.finding("column-scale").evidence
    x[:, 3] = np.exp(np.random.default_rng(1).normal(size=len(x)))  # skewed, but bearable
    x[:, 4] *= 1e9  # large numbers alone are no fault: columns are standardised
    assert "column-scale" not in trained("ae", table(x), {"epochs": 2}, latent=2).names


def test_rows_in_another_unit_than_in_training():
    x = factors()
    x[600:, 2] = 1000 * x[600:, 2] + 5000
    found = trained("ae", table(x), {"epochs": 1}, latent=2)
    assert "'c2'" in found.finding("other-range").evidence


@pytest.mark.parametrize(
    ("low", "high", "layout", "told"),
    [
        (0.0, 255.0, "hw", False),
        (0.0, 240.0, "hw", False),
        (0.0, 1.0, "hw", True),
        (-300.0, 255.0, "hw", True),
        (0.0, 65535.0, "files", False),
    ],
)
def test_new_pictures_of_another_range(low, high, layout, told):
    known = ImageFormat((1, 8, 8), layout="hw", native=(8, 8))
    new = ImageFormat((1, 8, 8), layout=layout, native=(8, 8), low=low, high=high)
    assert [f.name for f in other_range(known, new)] == ["other-range"] * told


def test_new_rows_of_another_range():
    def fmt(mean, scale, names=("u", "v")):
        return TableFormat(names, (0.0, mean), (1.0, scale), (0.0, 0.0))

    assert not list(other_range(fmt(0.0, 1.0), fmt(5.0, 3.0)))
    for mean, scale in ((50.0, 1.0), (0.0, 20.0), (0.0, 0.01)):
        (found,) = other_range(fmt(0.0, 1.0), fmt(mean, scale))
        assert "'v'" in found.evidence
    assert not list(other_range(fmt(0.0, 1.0), fmt(50.0, 1.0, ("u", "w"))))


# The parts.


def test_a_parameter_that_nothing_trains():
    train, held = digits()
    with random_start():
        model = VARIANTS["vae"](train.format.schema, network="mlp:32", latent=4)
        model.posterior.spare = nn.Linear(3, 3)
    found = visit(model, (train, held), epochs=1)
    told = found.finding("unused-parameters").evidence
    assert (
        "2 trainable parameters" in told and "posterior.spare.weight, posterior.spare.bias" in told
    )
    model.posterior.spare.requires_grad_(False)
    assert "unused-parameters" not in found.names


def test_a_weight_that_rises_from_0_is_not_unused():
    found = trained("vae", digits(), {"epochs": 1}, warm_up=500)
    assert "unused-parameters" not in found.names


class Frozen(nn.Module):
    """Noise that was drawn once: for each place of the batch, one for all, or for each row."""

    planes = 0

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.noise = how, torch.randn(2000, 1, 8, 8)

    def shape_of(self, shape):
        return shape

    def forward(self, batch: Batch) -> View:
        at = {"place": torch.arange(len(batch.x)), "row": batch.rows,
              "one": torch.zeros(len(batch.x), dtype=torch.int64)}[self.how]  # fmt: skip
        return View(batch.x + self.noise[at])

    def given(self, x, level=None, seen=None) -> View:
        return View(x)


@pytest.mark.parametrize("how", ["place", "one", "row"])
def test_corruption_that_stays_the_same(how):
    train, held = digits()
    with random_start():
        model = VARIANTS["ae"](train.format.schema, network="mlp:32", latent=4)
        model.corrupt = Frozen(how)
    assert "frozen-corruption" in visit(model, (train, held), epochs=1).names


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("ae", {}),
        ("denoising-ae", {"network": "unet:4-8"}),
        ("denoising-ae", {"network": "unet:4-8", "kind": "blur", "noise": 1.0}),
        ("denoising-ae", {"network": "unet:4-8", "kind": "jpeg", "noise": 50}),
        ("super-resolution-ae", {"network": "upscale:4-4"}),
        ("inpainting-ae", {"network": "unet:4-8"}),
    ],
)
def test_fresh_noise_and_functions_of_the_picture_are_right(variant, options):
    train, _ = digits()
    model = VARIANTS[variant](train.format.schema, **options)
    assert not frozen_corruption(model, train.gather(np.arange(20)))


def test_the_page_lists_every_finding():
    root = Path(__file__).parents[2]
    code = "".join(p.read_text() for p in (root / "src/lemari/doctor").glob("*.py"))
    code += (root / "src/lemari/tasks/fit.py").read_text()
    told = set(re.findall(r'Finding\(\s*"([a-z-]+)"', code))
    rows = re.findall(r"^\| `([a-z-]+)` \|", (root / "docs/doctor.md").read_text(), re.M)
    assert len(told) > 15 and set(rows) == told and len(rows) == len(told)
