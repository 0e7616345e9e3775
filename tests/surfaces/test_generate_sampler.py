"""`lemari generate --sampler`: the line-up, the kept sampler, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lemari.registry import SAMPLERS
from lemari.weights import read_tensors, write_tensors


@pytest.fixture
def quick(monkeypatch):
    """Nets learn for a few steps only."""
    monkeypatch.setattr("lemari.samplers.flow.STEPS", 20)
    monkeypatch.setattr("lemari.samplers.flow.EVERY", 10)
    monkeypatch.setattr("lemari.samplers.two_stage.STEPS", 20)
    monkeypatch.setattr("lemari.samplers.sequence.STEPS", 20)
    monkeypatch.setattr("lemari.metrics.features.STEPS", 20)


@pytest.fixture
def run(whole_run, tmp_path) -> Path:
    """A run that may be changed."""
    return Path(shutil.copytree(whole_run, tmp_path / "run"))


def codes(path: Path) -> np.ndarray:
    with np.load(path) as found:
        return found["codes"]


@pytest.mark.slow
def test_auto_ranks_keeps_and_shows(cli, run, quick, tmp_path):
    told = cli.done("generate", run, "--sampler", "auto", "-n", 7, "-o", tmp_path / "a.npz",
                    "--json").json  # fmt: skip
    table = told["samplers"]
    names = [row["sampler"] for row in table["rows"]]
    assert {*names, *table["left_out"]} == set(SAMPLERS) and table["best"] == names[0]
    assert told["sampler"] == names[0] and "3-layer" in table["features"]
    assert {"normal", "prior", "mixture", "kernel", "vamp", "class"} <= set(names)
    fair = [r["rank_frechet"] for r in table["rows"] if r["copies"] <= 0.5]
    assert fair == sorted(fair)
    assert json.loads((run / "samplers.json").read_text()) == table
    assert (run / "figures/samplers.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (run / "sampler").iterdir()} == {
        "sampler.json", "sampler.safetensors", "index.json"}  # fmt: skip
    assert "other samplers" in (run / "report.html").read_text()

    for name in ("kept", "auto", names[0]):  # all draw from what is kept, without a line-up
        if name != "prior":
            again = tmp_path / f"{name}.npz"
            told = cli.done("generate", run, "--sampler", name, "-n", 7, "-o", again,
                            "--json").json  # fmt: skip
            assert told["sampler"] == names[0] and told["samplers"] is None
            np.testing.assert_array_equal(codes(again), codes(tmp_path / "a.npz"))
    shown = cli.done("generate", run, "--sampler", "auto", "--refit", "-o", tmp_path / "b.png").out
    assert "Frechet" in shown and "training rows, rebuilt" in shown and "Kept" in shown


def test_the_default_stays_the_prior(cli, run, quick, tmp_path):
    cli.done("generate", run, "-n", 5, "-o", tmp_path / "before.npz")
    cli.done("generate", run, "--sampler", "auto", "-o", tmp_path / "x.npz")
    cli.done("generate", run, "-n", 5, "-o", tmp_path / "after.npz")
    np.testing.assert_array_equal(codes(tmp_path / "before.npz"), codes(tmp_path / "after.npz"))


def keep(run: Path, name: str) -> None:
    from lemari.store import Fitted
    from lemari.tasks.judge import feeds_for
    from lemari.tasks.sampler_folder import save_sampler
    from lemari.tasks.sampling import fit_sampler

    fitted = Fitted.load(run)
    train, *_ = feeds_for(fitted, None)
    save_sampler(run, name, fit_sampler(name, fitted.model, train, fitted.recipe.seed))


@pytest.mark.parametrize("name", [n for n in SAMPLERS if n != "sequence"])
def test_every_sampler_is_kept_and_read_back(cli, run, quick, tmp_path, name):
    cli.done("generate", run, "--sampler", name, "-n", 6, "--seed", 5, "-o", tmp_path / "a.npz")
    keep(run, name)
    cli.done("generate", run, "--sampler", "kept", "-n", 6, "--seed", 5, "-o", tmp_path / "b.npz")
    np.testing.assert_array_equal(codes(tmp_path / "a.npz"), codes(tmp_path / "b.npz"))


def test_a_class_of_a_model_that_was_never_told_classes(cli, run, tmp_path):
    cli.done("generate", run, "--sampler", "class", "--class", "3", "-n", 4,
             "-o", tmp_path / "threes.npz")  # fmt: skip
    fault = cli.refused(2, "generate", run, "--sampler", "class", "--class", "thre")
    assert "class" in fault
    fault = cli.refused(2, "generate", run, "--class", "3")
    assert "--sampler class" in fault


def test_truncation_keeps_codes_near(cli, run, tmp_path):
    path = tmp_path / "near.npz"
    cli.done("generate", run, "--truncation", 0.5, "-n", 300, "-o", path)
    assert np.abs(codes(path)).max() <= 0.5
    cli.done("generate", run, "-n", 300, "-o", path)
    assert np.abs(codes(path)).max() > 1.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sampler", "mixtur"), "did you mean 'mixture'"),
        (("--sampler", "kernel", "--mode", "grid"), "leave out --mode"),
        (("--sampler", "kernel", "--temperature", "0.5"), "of the prior, not of the sampler"),
        (("--sampler", "kernel", "--truncation", "1"), "of the prior, not of the sampler"),
        (("--truncation", "0"), "above 0"),
        (("--truncation", "nan"), "above 0"),
        (("--truncation", "1", "--mode", "grid"), "random codes"),
        (("--sampler", "mixture", "--class", "3"), "conditional model"),
    ],
)
def test_options_that_do_not_fit(cli, whole_run, tmp_path, words, said):
    assert said in cli.refused(2, "generate", whole_run, *words, "-o", tmp_path / "x.png")


def test_kept_without_one_says_how_to_get_one(cli, whole_run):
    assert "--sampler auto" in cli.refused(1, "generate", whole_run, "--sampler", "kept")


def test_a_sampler_of_other_weights_is_not_used(cli, run, quick):
    keep(run, "kernel")
    record = json.loads((run / "sampler/sampler.json").read_text())
    assert record["sampler"] == "kernel"
    weights = run / "weights.safetensors"
    write_tensors(weights, {n: t + 1 for n, t in read_tensors(weights).items()})
    from lemari.folder_index import write_index
    from lemari.store import PARTS

    write_index(run, PARTS)
    assert "present weights" in cli.refused(1, "generate", run, "--sampler", "kept")


def changed(run: Path, part: str) -> None:
    path = run / "sampler" / part
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("part", ["sampler.json", "sampler.safetensors", "index.json"])
def test_a_changed_sampler_is_refused(cli, run, part):
    keep(run, "mixture")
    changed(run, part)
    cli.refused(1, "generate", run, "--sampler", "kept")


def test_a_sampler_whose_numbers_do_not_fit_is_refused(cli, run):
    """Sums may be right and the content wrong all the same."""
    from lemari.folder_index import write_index

    keep(run, "walk")
    folder = run / "sampler"
    tensors = read_tensors(folder / "sampler.safetensors")
    changes = {"neighbours": tensors["neighbours"] + 9999, "codes": tensors["codes"][:, :1]}
    for name, value in changes.items():
        write_tensors(folder / "sampler.safetensors", tensors | {name: value})
        write_index(folder, ("sampler.json", "sampler.safetensors"))
        cli.refused(1, "generate", run, "--sampler", "kept")


def test_a_model_without_a_code_is_refused(cli, sets, tmp_path, no_finish):
    run = tmp_path / "skips"
    cli.done("train", sets / "pictures", "--task", "denoise", "--network", "unet:4", "--epochs", 1,
             "--threads", 1, "--out", run)  # fmt: skip
    assert "no code" in cli.refused(2, "generate", run, "--sampler", "auto")


def test_a_detector_is_refused(cli, tmp_path):
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "detector.json").write_text("{}")
    assert "detector" in cli.refused(2, "generate", tmp_path, "--sampler", "auto")


def test_tables_have_samplers_too(cli, sets, tmp_path, quick, no_pictures):
    run = tmp_path / "run"
    cli.done("train", sets / "d.parquet", "--variant", "ae", *cli.small, "--out", run)
    told = cli.done("generate", run, "--sampler", "auto", "-n", 5, "-o", tmp_path / "x.csv",
                    "--json").json  # fmt: skip
    assert "vamp" in told["samplers"]["left_out"]
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 6
    assert not (run / "figures/samplers.png").exists()


@pytest.mark.slow
def test_a_conditional_model_draws_its_class(cli, sets, tmp_path, quick, no_pictures):
    run = tmp_path / "run"
    cli.done("train", sets / "d.npz", "--variant", "cvae", *cli.small, "--out", run)
    for name in ("class", "mixture", "auto"):
        cli.done("generate", run, "--sampler", name, "--class", "3", "-n", 4,
                 "-o", tmp_path / "x.npz")  # fmt: skip


@pytest.mark.slow
def test_discrete_codes_are_drawn_as_sequences(cli, sets, tmp_path, quick, no_pictures):
    run = tmp_path / "run"
    cli.done("train", sets / "d.npz", "--variant", "vq-vae", "--codes", 8, "--latent", 4,
             "--network", "mlp:16", "--epochs", 1, "--threads", 1, "--out", run)  # fmt: skip
    draw = ("generate", run, "-n", 6, "--seed", 5, "-o")
    cli.done(*draw, tmp_path / "a.npz", "--sampler", "sequence")
    keep(run, "sequence")
    cli.done(*draw, tmp_path / "b.npz", "--sampler", "kept")
    found = codes(tmp_path / "a.npz")
    np.testing.assert_array_equal(found, codes(tmp_path / "b.npz"))
    told = cli.done(*draw, tmp_path / "c.npz", "--sampler", "auto", "--refit", "--json").json
    assert "sequence" in [row["sampler"] for row in told["samplers"]["rows"]]


def test_evaluate_measures_generation_beside_training_rows(cli, run, quick):
    scores = cli.done("evaluate", run, "--measures", "generation", "--json").json["scores"]
    first = scores[0]
    assert first["name"].startswith("Frechet distance (") and "3-layer" in first["name"]
    assert {b["name"] for b in first["baselines"]} == {"training rows", "training rows, rebuilt"}
    assert [s["name"] for s in scores[1:]] == [
        "kernel distance", "precision", "recall", "share of copies"]  # fmt: skip
    assert first["value"] > 0 and all(0 <= s["value"] <= 1 for s in scores[2:])
