"""Laws of augmentation: only symmetries, all of them, equally often, and only in training."""

import numpy as np
import pytest
import torch
from law_cases import SCHEMAS, Case, differing, feed_of, run, training_of, weights

import lemari.train
from lemari.augment import AUGMENTATIONS, augment, check_augment
from lemari.checkpoint import restore, save_checkpoint
from lemari.errors import UsageError
from lemari.store import Recipe
from lemari.tasks.finish import command
from lemari.tasks.plan import Request, recipe_for
from lemari.train import Plan, Training
from lemari.types import Batch, Schema

SQUARE = torch.arange(18.0).view(1, 2, 3, 3)


def symmetries(x: torch.Tensor) -> list[torch.Tensor]:
    """The 8 symmetries of (1, C, N, N), by turning and mirroring."""
    turned = [x.rot90(k, (2, 3)) for k in range(4)]
    return turned + [t.flip(3) for t in turned]


def counts(name: str, draws: int = 8000) -> list[int]:
    """How often each of the 8 symmetries comes, in the order of `symmetries`."""
    torch.manual_seed(1)
    out = augment(name, Batch(SQUARE.expand(draws, -1, -1, -1))).x
    return [int((out == other).flatten(1).all(1).sum()) for other in symmetries(SQUARE)]


def test_a_flip_is_drawn_for_half_of_the_pictures():
    same, mirrored = (found := counts("flip"))[0], found[4]
    assert same + mirrored == 8000 and abs(mirrored - 4000) < 4 * 45  # sigma = sqrt(n / 4) = 45


def test_all_eight_symmetries_of_a_square_are_equally_likely():
    found = counts("dihedral")
    assert sum(found) == 8000
    assert all(abs(count - 1000) < 4 * 30 for count in found), found  # sqrt(n * 7 / 64) = 30


def test_none_is_the_batch_itself_and_draws_nothing():
    batch = Batch(SQUARE)
    torch.manual_seed(2)
    want = torch.rand(1)
    torch.manual_seed(2)
    assert augment("none", batch) is batch
    assert torch.equal(torch.rand(1), want)


@pytest.mark.parametrize("name", ["flip", "dihedral"])
def test_weights_and_degraded_inputs_go_with_their_picture(name):
    torch.manual_seed(3)
    x = torch.rand(64, 2, 4, 4)
    small = x[:, :, ::3, ::3]  # its corners: another size, the same symmetry
    out = augment(name, Batch(x, torch.arange(64), w=x + 1, given=small))
    assert torch.equal(out.w, out.x + 1)
    assert torch.equal(out.given, out.x[:, :, ::3, ::3])
    assert torch.equal(out.y, torch.arange(64))
    assert not torch.equal(out.x, x)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("flip", SCHEMAS["table"], "the data is a table"),
        ("dihedral", SCHEMAS["table"], "the data is a table"),
        ("dihedral", Schema("image", (3, 12, 20)), "12x20"),
        ("turn", SCHEMAS["gray"], "none, flip, dihedral"),
    ],
)
def test_what_does_not_fit_is_refused(name, data, says):
    with pytest.raises(UsageError, match=says):
        check_augment(name, data)
    with pytest.raises(UsageError):
        recipe_for(data, Request("ae", {"network": "mlp:4"}, augment=name))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_recipe_and_command_keep_it(name):
    recipe = recipe_for(SCHEMAS["gray"], Request("ae", {"network": "mlp:4"}, augment=name))
    assert Recipe.model_validate(recipe.model_dump(), strict=True).plan.augment == name
    assert (f"--augment {name}" in command(recipe)) == (name != "none")


def test_with_flips_mirrored_pictures_are_rebuilt_as_well_as_those_trained_on():
    case = Case("ae", "mlp", "gray")
    feed = feed_of(case, 32)
    mirrored = feed_of(case, 32)
    mirrored.x[:] = mirrored.x[..., ::-1].copy()
    ends = []
    for rows in (feed, mirrored):
        plan = Plan(epochs=30, batch_size=8, lr=3e-3, augment="flip")
        training = Training(case.build(0), rows, plan, feed)
        run(training)
        both = [lemari.train.measure(training.model, f, plan)["mse"] for f in (feed, mirrored)]
        ends.append(both)
    plain = Training(case.build(0), feed, Plan(epochs=30, batch_size=8, lr=3e-3))
    run(plain)
    own, other = (lemari.train.measure(plain.model, f, plain.plan)["mse"] for f in (feed, mirrored))
    assert other > 2 * own  # without flips, mirrored pictures are foreign
    for one, two in ends:
        assert max(one, two) < 1.5 * min(one, two)


@pytest.mark.parametrize("name", ["flip", "dihedral"])
def test_an_interrupted_training_goes_on_bit_for_bit(name, tmp_path, monkeypatch):
    case = Case("vae", "mlp", "gray")
    whole = training_of(case, 25, seed=3, epochs=2, augment=name)
    run(whole)
    plain = training_of(case, 25, seed=3, epochs=2)
    run(plain)
    assert differing(weights(whole.model), weights(plain.model))
    monkeypatch.setattr(lemari.train, "PULSE_SECONDS", -1.0)
    for after in range(1, 2 * whole.steps + 1):
        first = training_of(case, 25, seed=3, epochs=2, augment=name)
        for n, _ in enumerate(first.run(), 1):
            if n == after:
                save_checkpoint(tmp_path / str(after), first)
                break
        training = training_of(case, 25, seed=3, epochs=2, augment=name)
        assert restore(tmp_path / str(after), training)
        run(training)
        assert not differing(weights(training.model), weights(whole.model)), after


def test_the_measured_rows_are_not_augmented():
    case = Case("ae", "mlp", "gray")
    feed, model = feed_of(case, 12), case.build()
    plain = lemari.train.measure(model, feed, Plan())
    assert plain == lemari.train.measure(model, feed, Plan(augment="flip"))


def test_a_feed_gives_the_order_of_its_rows():
    feed = feed_of(Case("ae", "mlp", "gray"), 9)
    order = feed.order(np.random.default_rng(4))
    assert np.array_equal(order, np.random.default_rng(4).permutation(9))
