"""Laws of the scikit-learn estimators: the library's own checks, and arrays that come back."""

import inspect

import numpy as np
import pytest
from law_cases import PICTURES_ONLY, PRESETS
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import lemari
from lemari.assemble import options_of
from lemari.errors import LemariError, ModelFileError
from lemari.registry import VARIANTS
from lemari.surfaces.estimator import CLASSES, estimator, load
from lemari.surfaces.estimator.naming import estimator_of
from lemari.tasks.plan import variant_options

QUICK = {"epochs": 2, "batch_size": 16, "threads": 1, "network": "mlp:16"}


@parametrize_with_checks([cls(**QUICK) for cls in CLASSES.values()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


TABLES_TOO = [v for v in VARIANTS if v not in PICTURES_ONLY and v not in PRESETS | CLASSES.keys()]


@pytest.mark.slow
@pytest.mark.parametrize("variant", TABLES_TOO)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks_of_every_variant(variant):
    """In one test a variant, so that a new row in the registry is checked as it is."""
    options = {k: v for k, v in QUICK.items() if k != "network" or k in variant_options(variant)}
    checked = check_estimator(estimator_of(variant)(**options), on_fail=None, on_skip=None)
    failed = [(c["check_name"], str(c["exception"])) for c in checked if c["status"] == "failed"]
    assert len(checked) > 40 and not failed


@pytest.fixture(params=list(CLASSES), ids=str)
def quick(request):
    """A short training of each variant; `labels` when it needs them."""
    made = CLASSES[request.param](**QUICK)
    made.labels = np.arange(12) % 3 if made.conditional else None
    return made


def table() -> np.ndarray:
    return np.random.default_rng(0).normal([0, 5, -3, 100, 0], [1, 2, 0.1, 30, 1], (12, 5))


# Layout as given, and the shape (C, H, W) that must be told for flat rows.
LAYOUTS = {
    "hw": ((12, 9, 10), None),
    "hwc": ((12, 9, 10, 3), None),
    "hwc4": ((12, 9, 10, 4), None),
    "chw": ((12, 3, 9, 10), None),
    "flat": ((12, 90), (1, 9, 10)),
    "flat colour": ((12, 270), (3, 9, 10)),
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_come_back_in_the_layout_and_range_they_were_given(quick, layout, dtype):
    size, shape = LAYOUTS[layout]
    x = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    top = 255 if dtype == np.uint8 else 1
    x = x if top == 255 else (x / 255).astype(dtype)
    quick.set_params(shape=shape)
    y = getattr(quick, "labels", None)
    codes = quick.fit(x, y).transform(x)
    assert codes.shape == (12, 2) and np.isfinite(codes).all()
    ask = None if y is None else y[:4]
    for back in (
        quick.reconstruct(x),
        quick.inverse_transform(codes, y),
        np.concatenate([quick.sample(4, y=ask, random_state=s) for s in range(3)]),
    ):
        assert back.shape == x.shape
        assert back.min() >= 0 and back.max() <= top
        assert back.max() > 0.2 * top and back.mean() == pytest.approx(0.5 * top, abs=0.3 * top)
    one = quick.reconstruct(x[:1])
    np.testing.assert_allclose(one[0], quick.reconstruct(x)[0], atol=1e-4 * top)


@pytest.mark.parametrize("network", ["chapter", "lesson-conv"])
def test_a_network_of_other_sides_gives_pictures_back_at_theirs(network):
    latent = None if network == "lesson-conv" else 2
    x = np.random.default_rng(1).integers(0, 256, (12, 9, 10, 3)).astype(np.uint8)
    made = lemari.VAE(**QUICK | {"network": network, "latent": latent}).fit(x)
    assert made.reconstruct(x).shape == made.sample(12).shape == x.shape


def test_each_layout_gives_the_same_codes():
    x = np.random.default_rng(1).integers(0, 256, (12, 9, 10, 3)).astype(np.uint8)
    first = lemari.AE(**QUICK).fit(x).transform(x)
    moved = np.moveaxis(x, 3, 1)
    assert np.array_equal(lemari.AE(**QUICK).fit(moved).transform(moved), first)
    flat = moved.reshape(12, -1)
    made = lemari.AE(**QUICK, shape=(3, 9, 10)).fit(flat)
    assert np.array_equal(made.transform(flat), first)


def test_tables_come_back_on_their_own_scale(quick):
    x, y = table(), quick.labels
    quick.fit(x, y)
    back = quick.inverse_transform(quick.transform(x), y)
    assert back.shape == x.shape and back.dtype == np.float64
    assert np.abs(back.mean(0) - x.mean(0)).max() < 30
    assert quick.sample(7, random_state=1).shape == (7, 5)
    assert not np.array_equal(quick.sample(7, random_state=1), quick.sample(7, random_state=2))
    if y is None:
        np.testing.assert_allclose(back, quick.reconstruct(x), rtol=1e-12)
    assert quick.score_samples(x).shape == (12,)
    assert quick.score(x) == pytest.approx(quick.score_samples(x).mean())
    assert list(quick.get_feature_names_out()) == [f"{type(quick).__name__.lower()}{i}"
                                                   for i in range(2)]  # fmt: skip


@pytest.mark.parametrize("kind", ["table", "gray", "colour", "flat"])
def test_load_of_save_transforms_exactly_alike(quick, kind, tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (12, 8, 9, 3)).astype(np.uint8)
    x = {"table": table(), "gray": x[..., 0], "colour": x, "flat": x[..., 0].reshape(12, -1)}[kind]
    y, shape = quick.labels, (1, 8, 9) if kind == "flat" else None
    quick.set_params(shape=shape, latent=3).fit(x, y)
    again = lemari.load(quick.save(tmp_path / "model"))
    assert np.array_equal(again.transform(x), quick.transform(x))
    assert np.array_equal(again.score_samples(x), quick.score_samples(x))
    assert np.array_equal(again.reconstruct(x), quick.reconstruct(x))
    assert np.array_equal(again.sample(5), quick.sample(5))
    assert type(again) is type(quick)
    kept = ("latent", "network", "epochs", "batch_size", "threads")
    assert {k: again.get_params()[k] for k in kept} == {k: quick.get_params()[k] for k in kept}


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_loaded_estimator_has_the_options_of_its_run_and_can_be_fitted_anew(variant, tmp_path):
    """Also of a variant that has no class of its own, with every choice left to the variant."""
    from law_cases import FORMATS, Case, stored

    from lemari.store import Fitted, Recipe, build

    kind = {"lesson": "colour", "chapter": "alpha"}.get(variant.split("-")[0], "gray")
    recipe = Recipe(variant=variant, options={}, epochs=1)
    model = build(FORMATS[kind].schema, recipe)
    Fitted(model.eval(), FORMATS[kind], recipe).save(tmp_path)
    made = load(tmp_path)
    x, y = stored(Case(variant, None, kind).data, 12)
    x = {"gray": x[:, 0], "colour": np.moveaxis(x, 1, 3), "alpha": x}[kind]
    code = int(np.prod(model.code))
    if hasattr(made, "restore"):
        return
    assert made.transform(x).shape == (12, code)
    again = clone(made).fit(x, y)
    assert again.transform(x).shape == (12, code)
    assert again.fitted_.recipe.options.get("latent") in (None, code)


def test_the_constructor_is_the_variants_signature():
    for variant, cls in CLASSES.items():
        own = set(options_of(VARIANTS[variant]))
        assert own <= set(inspect.signature(cls).parameters)
        assert cls.__doc__.startswith(VARIANTS[variant].__doc__.splitlines()[0])
        with pytest.raises(TypeError):
            cls(no_such_option=1)
    assert "beta" not in inspect.signature(estimator("X", "ae")).parameters


def test_equal_seeds_give_equal_estimators_and_others_do_not():
    x = table()
    a, b, c = (lemari.VAE(**QUICK, random_state=s).fit(x).transform(x) for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.slow
def test_a_conditional_model_answers_for_the_class_that_is_asked():
    x = np.zeros((30, 8, 8), np.uint8)
    y = np.array(["dark", "light"] * 15)
    x[y == "light"] = 255
    x[0, 0, 0] = 9
    made = lemari.CVAE(**QUICK | {"epochs": 500, "lr": 1e-2}).fit(x, y)
    dark, light = (made.sample(5, y=name).mean() for name in ("dark", "light"))
    assert dark < 60 and light > 190


def test_folders_that_hold_no_model_are_refused(tmp_path):
    made = lemari.AE(**QUICK).fit(table())
    folder = made.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="does not exist"):
        lemari.load(tmp_path / "none")
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    with pytest.raises(ModelFileError, match="truncated or was changed"):
        lemari.load(folder)
    weights.write_bytes(content)
    (folder / "index.json").unlink()
    with pytest.raises(ModelFileError, match="no finished model"):
        lemari.load(folder)


def test_rows_of_another_width_are_refused_in_a_sentence():
    x = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    made = lemari.AE(**QUICK).fit(x)
    with pytest.raises(LemariError, match="this model needs"):
        made.transform(np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(LemariError, match="rows of 2 numbers"):
        made.inverse_transform(np.zeros((2, 5)))


@pytest.mark.parametrize(
    ("variant", "options", "said"),
    [
        ("iwae", {"doubly": "false"}, "doubly is true or false"),
        ("vae", {"beta": "3"}, "beta is a number"),
        ("vae", {"latent": 2.5}, "latent is a whole number"),
        ("vae", {"beta": float("nan")}, "0 or more"),
    ],
)
def test_options_of_another_type_are_refused_before_training(variant, options, said):
    with pytest.raises(LemariError, match=said):
        estimator_of(variant)(epochs=1, network="mlp:4", **options).fit(np.eye(6))


def test_numpys_numbers_are_numbers():
    made = CLASSES["vae"](epochs=1, network="mlp:4", beta=np.float64(2), latent=np.int64(1))
    assert made.fit(np.eye(6)).transform(np.eye(6)).shape == (6, 1)


def test_classes_that_do_not_fit_get_a_sentence():
    x, y = np.eye(6), list("aabbab")
    made = CLASSES["cvae"](epochs=1, network="mlp:4", latent=1).fit(x, y)
    for wrong, said in (("nope", "no class 'nope'"), (["a", "b"], "one for each of 3 rows")):
        with pytest.raises(LemariError, match=said):
            made.sample(3, y=wrong)
    with pytest.raises(LemariError, match="this model knows none"):
        CLASSES["vae"](epochs=1, network="mlp:4").fit(x).sample(3, y="a")


def test_a_conditional_model_is_told_the_classes_of_what_it_rebuilds():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = np.where(y[:, None], 1.0, -1.0) + 0.01 * rng.normal(size=(200, 4))
    quick = {**QUICK, "epochs": 20}
    told = lemari.CVAE(latent=1, beta=50.0, **quick).fit(X, y)
    error = lambda made: float(np.square(made - X).mean())  # noqa: E731
    assert error(told.reconstruct(X, y)) < 0.5 * error(told.reconstruct(X, 1 - y))
    assert told.score_samples(X, y).mean() > told.score_samples(X, 1 - y).mean()
    assert told.transform(X, y).shape == (200, 1)
    with pytest.raises(LemariError, match="no class '7'"):
        told.reconstruct(X, np.full(200, 7))
    plain = lemari.VAE(latent=1, **quick).fit(X)
    np.testing.assert_array_equal(plain.reconstruct(X, y), plain.reconstruct(X))
