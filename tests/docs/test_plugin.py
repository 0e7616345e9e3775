"""The example package of CONTRIBUTING.md works, as if it were installed."""

from __future__ import annotations

import doctest
import importlib
import io
import json
import re
import shutil
import sys
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "lemari-cyclic-vae"
SMALL = ("--network", "mlp:16", "--latent", "2", "--threads", "1")


def lemari(*words: str) -> str:
    from lemari.surfaces.cli.main import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(list(words), debug=False)
    assert code == 0, err.getvalue()
    return out.getvalue()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package and its metadata on sys.path, which is all that an installation is."""
    from lemari.registry import VARIANTS

    site = tmp_path / "site"
    shutil.copytree(EXAMPLE / "lemari_cyclic", site / "lemari_cyclic")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = site / "lemari_cyclic_vae-0.1.0.dist-info"
    info.mkdir()
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {at}" for name, at in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    VARIANTS.__dict__.pop("rows", None)
    yield site
    VARIANTS.__dict__.pop("rows", None)
    for name in [n for n in sys.modules if n.split(".")[0] == "lemari_cyclic"]:
        del sys.modules[name]


def test_the_variant_is_listed_and_shown(installed):
    assert "cyclic-vae" in json.loads(lemari("models", "--json"))["variants"]
    shown = json.loads(lemari("models", "show", "cyclic-vae", "--json"))
    assert shown["options"]["cycle_steps"] == 200
    assert shown["effective_beta"] == 1.0


def test_the_schedule_does_what_its_doctest_says(installed):
    module = importlib.import_module("lemari_cyclic.cyclic_vae")
    assert doctest.testmod(module).failed == 0


def test_the_variant_takes_25_lines():
    text = (EXAMPLE / "lemari_cyclic" / "cyclic_vae.py").read_text()
    code = re.sub(r'""".*?"""', "", text.split("def cyclic_vae")[1], flags=re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 25


def test_contributing_shows_the_same_code():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    text = (EXAMPLE / "lemari_cyclic" / "cyclic_vae.py").read_text()
    body = text.split("    terms = [Recon()")[1].strip()
    assert body in page


@pytest.mark.slow
def test_the_variant_trains_saves_and_loads(installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lemari("train", "digits", "--variant", "cyclic-vae", "--cycles", "2", "--cycle-steps", "5",
           "--epochs", "2", *SMALL, "--out", "runs/cyclic")  # fmt: skip
    recipe = json.loads(Path("runs/cyclic/recipe.json").read_text())
    assert recipe["options"]["cycles"] == 2
    lemari("embed", "cyclic", "digits", "-o", "codes.csv")
    assert len(Path("codes.csv").read_text().splitlines()) == 1798


@pytest.mark.parametrize("at", ["nothere:f", "json", "json:nothing", "json:dumps [extra]"])
def test_a_broken_package_spoils_nothing_else(tmp_path, monkeypatch, at):
    from lemari.errors import UsageError
    from lemari.registry import VARIANTS

    info = tmp_path / "bad-0.1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[lemari.variants]\nbro-ken = {at}\n")
    (info / "METADATA").write_text("Name: bad\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    VARIANTS.__dict__.pop("rows", None)
    try:
        variants = json.loads(lemari("models", "--json"))["variants"]
        assert "vae" in variants
        if "[extra]" in at:
            assert VARIANTS["bro-ken"] is json.dumps
            return
        assert "of bad" in variants["bro-ken"] and "cannot be loaded" in variants["bro-ken"]
        with pytest.raises(UsageError, match="uninstall"):
            VARIANTS["bro-ken"]
    finally:
        VARIANTS.__dict__.pop("rows", None)
