"""The public names, their docstrings, and the examples in them."""

import doctest
import inspect
import pkgutil
import re
from importlib import import_module

import pytest

import lemari
from lemari.assemble import options_of
from lemari.registry import NETWORKS, VARIANTS, Registry

NAMES = sorted(m.name for m in pkgutil.walk_packages(lemari.__path__, "lemari."))
WITH_EXAMPLES = [n for n in ["lemari", *NAMES] if ">>>" in inspect.getsource(import_module(n))]
PUBLIC = {
    "AE", "VAE", "BetaVAE", "CVAE", "DenoisingAE", "Detector", "SuperResolutionAE", "InpaintingAE",
    "Oversampler", "load", "open_data", "LemariError", "__version__",
}  # fmt: skip


def test_the_public_names_are_what_they_say():
    assert set(lemari.__all__) == PUBLIC
    assert len(lemari.__all__) == len(set(lemari.__all__)) <= 30
    assert dir(lemari) == sorted(lemari.__all__)
    for name in lemari.__all__:
        assert getattr(lemari, name) is not None


def test_a_star_import_gives_exactly_these():
    space: dict = {}
    exec("from lemari import *", space)
    space.pop("__builtins__")
    assert set(space) == PUBLIC


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Vae'"):
        lemari.Vae  # noqa: B018


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_each_public_name_has_a_docstring_and_so_have_its_methods(name):
    thing = getattr(lemari, name)
    assert thing.__doc__ and thing.__doc__.strip()
    if inspect.isclass(thing):
        for key, method in inspect.getmembers(thing, inspect.isfunction):
            if not key.startswith("_") and method.__module__.startswith("lemari"):
                assert method.__doc__, f"{name}.{key}"


@pytest.mark.parametrize("name", ["lemari", *NAMES])
def test_every_module_has_a_docstring(name):
    doc = import_module(name).__doc__
    assert doc and doc.strip().splitlines()[0].rstrip().endswith((".", ":", ";", ",", "?")), name


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_in_docstrings_are_true(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_variant_says_what_it_is_and_names_its_paper(name):
    function = VARIANTS[name]
    doc = inspect.getdoc(function)
    assert doc and len(doc.splitlines()[0]) > 30
    if not name.startswith(("chapter", "lesson")):
        assert re.search(r"\([^()]*\b(19|20)\d\d\b[^()]*\)", doc), "no paper with a year"
    assert function.__name__ == name.replace("-", "_")
    assert next(iter(inspect.signature(function).parameters)) == "data"
    for option in options_of(function).values():
        assert option.kind is inspect.Parameter.KEYWORD_ONLY
        assert option.default is not inspect.Parameter.empty
        assert option.annotation is not inspect.Parameter.empty


@pytest.mark.parametrize("registry", [VARIANTS, NETWORKS], ids=lambda r: r.what)
def test_the_registries_resolve_every_row(registry):
    assert len(registry) == len(list(registry)) > 0
    for name in registry:
        assert name in registry and callable(registry[name])
        assert registry[name].__doc__
    with pytest.raises(lemari.LemariError, match="Known: "):
        registry["no such thing"]
    assert "no such thing" not in registry


def test_a_wrong_name_is_answered_with_the_nearest_right_one():
    with pytest.raises(lemari.LemariError, match="did you mean 'beta-vae'"):
        VARIANTS["beta_vae"]


def test_an_installed_package_adds_names_but_replaces_none(monkeypatch):
    from importlib.metadata import EntryPoint

    import lemari.registry as module

    points = [
        EntryPoint("ae", "elsewhere:ae", "lemari.variants"),
        EntryPoint("mine", "lemari.variants.vae:vae", "lemari.variants"),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: points)
    registry = Registry("variant", "lemari.variants", {"ae": "lemari.variants.ae:ae"})
    assert list(registry) == ["ae", "mine"]
    assert registry["ae"] is VARIANTS["ae"] and registry["mine"] is VARIANTS["vae"]
