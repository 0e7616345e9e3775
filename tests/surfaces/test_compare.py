"""`lemari evaluate --measures` and `lemari compare`."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lemari.tasks import finish
from lemari.tasks.evaluate import CHEAP, MEASURES

BESIDE = {"k-means accuracy": 2, "linear probe accuracy": 2, "trustworthiness": 1, "SSIM": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cli, sets):
    """Small runs: two on the same rows, one of another seed, an autoencoder, one of a table."""
    folder = tmp_path_factory.mktemp("compare")
    common = (*cli.small, "--held-out", 0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finish, "draw_all", lambda *given: None)
        patch.setattr(finish, "diagnosis", lambda *given: {})
        for name, data, *more in (
            ("first", "d.npz", "--seed", 1),
            ("second", "d.npz", "--seed", 1, "--lr", 0.01),
            ("third", "d.npz", "--seed", 2),
            ("plain", "d.npz", "--seed", 1, "--variant", "ae"),
            ("table", "d.parquet", "--seed", 1),
            ("table-ae", "d.parquet", "--seed", 1, "--variant", "ae"),
            ("unheld", "d.npz", "--seed", 1, "--held-out", 0),
            ("patient", "d.npz", "--seed", 1, "--patience", 1),
        ):
            cli.done("train", sets / data, *common, *more, "--out", folder / name)
    return folder


def scores(told):
    return {score["name"]: score for score in told["scores"]}


@pytest.mark.slow
def test_all_measures_are_taken_each_beside_its_baselines(cli, runs):
    told = cli.done("evaluate", runs / "first", "--measures", "all", "--nll", 5, "--json").json
    found = scores(told)
    for name in ("MSE", "MS-SSIM", "NLL (5 draws)", "bits per dimension", "mutual information",
                 "accuracy with 10 labels", "k-means NMI", "continuity"):  # fmt: skip
        assert name in found and np.isfinite(found[name]["value"])
    for name, count in BESIDE.items():
        assert len(found[name]["baselines"]) == count, name
    assert {s["split"] for s in found.values()} == {"held out"}
    assert set(told["left_out"]) == {"disentanglement"}
    shares = [s["value"] for n, s in found.items() if "accuracy" in n]
    assert all(0 <= value <= 1 for value in shares)


def test_only_quick_measures_are_taken_unasked_and_only_the_named_ones_when_asked(cli, runs):
    quick = scores(cli.done("evaluate", runs / "first", "--json").json)
    assert "SSIM" in quick and "linear probe accuracy" not in quick and len(CHEAP) < len(MEASURES)
    one = scores(cli.done("evaluate", runs / "first", "--measures", "map", "--json").json)
    assert set(one) == {"trustworthiness", "continuity"}
    assert all(s["baselines"][0]["name"] == "PCA-2" for s in one.values())


@pytest.mark.slow
def test_measures_that_do_not_fit_are_refused_by_name_and_left_out_of_all(cli, runs):
    fault = cli.refused(2, "evaluate", runs / "plain", "--measures", "nll")
    assert "density" in fault and "leave it out" in fault
    assert "density" in cli.refused(2, "evaluate", runs / "plain", "--nll", 5)
    assert "did you mean 'probe'" in cli.refused(
        2, "evaluate", runs / "first", "--measures", "prob"
    )
    told = cli.done("evaluate", runs / "plain", "--measures", "all", "--json").json
    assert set(told["left_out"]) == {"nll", "information", "disentanglement"}
    assert "Left out: nll" in cli.done("evaluate", runs / "plain", "--measures", "all").out


def test_rows_that_were_trained_on_are_never_scored_silently(cli, runs, sets, tmp_path, digits):
    train = cli.done("evaluate", runs / "first", sets / "d.npz", "--json").json
    assert (train["rows"], train["split"]) == (18, "held out")
    held = np.sort(np.random.default_rng(0).permutation(60)[:40])
    np.savez(tmp_path / "some.npz", x=digits[0][held], y=digits[1][held])
    some = cli.done("evaluate", runs / "first", tmp_path / "some.npz", "--json").json
    assert some["rows"] < 40 and "without" in some["split"]


def test_rows_that_early_stopping_looked_at_are_not_scored_either(cli, runs, tmp_path, digits):
    np.savez(tmp_path / "turned.npz", x=digits[0][::-1], y=digits[1][::-1])
    told = cli.done("evaluate", runs / "patient", tmp_path / "turned.npz", "--json").json
    assert told["rows"] == 18 and "without 42 training rows" in told["split"]


def test_compare_shows_runs_side_by_side_on_the_same_rows(cli, runs, tmp_path):
    out = tmp_path / "side"
    told = cli.done("compare", runs / "first", runs / "second", runs / "plain", "-o", out,
                    "--json").json  # fmt: skip
    assert told["rows"] == 18 and told["runs"] == ["first", "second", "plain"]
    assert set(told["differ"]) == {"variant", "lr"}
    rows = {row["name"]: row for row in told["scores"]}
    for i, name in enumerate(told["runs"]):
        own = scores(cli.done("evaluate", runs / name, "--json").json)
        assert rows["MSE"]["values"][i] == pytest.approx(own["MSE"]["value"], rel=1e-5)
    assert rows["MSE"]["best"] == told["runs"][int(np.argmin(rows["MSE"]["values"]))]
    assert rows["KL"]["values"][2] is None and rows["loss"]["best"] is None
    assert len(rows["MSE"]["baselines"]["PCA of equal width"]) == 3
    assert json.loads((out / "comparison.json").read_text())["scores"] == told["scores"]
    lines = list(csv.reader((out / "comparison.csv").read_text().splitlines()))
    assert lines[0] == ["score", "better", "first", "second", "plain"] and lines[1][0] == "MSE"
    with Image.open(out / "comparison.png") as picture:
        assert picture.width > 1000 and picture.height > 1000


def test_compare_scores_runs_of_several_seeds_on_the_rows_that_all_held_out(cli, runs, tmp_path):
    words = ("compare", runs / "first", runs / "third", "--measures", "reconstruction")
    told = cli.done(*words, "-o", tmp_path / "a", "--json").json
    assert 2 <= told["rows"] < 18
    assert {row["name"] for row in told["scores"]} == {"MSE", "PSNR", "SSIM", "MS-SSIM"}
    text = cli.done(*words, "-o", tmp_path / "b").out
    assert "MSE" in text and "mean example" in text and "held out by all" in text


def test_compare_shows_tables_too(cli, runs, tmp_path):
    told = cli.done("compare", runs / "table", runs / "table-ae", "-o", tmp_path / "t",
                    "--json").json  # fmt: skip
    assert "comparison.png" in told["files"]


def test_compare_refuses_what_does_not_compare(cli, runs, tmp_path):
    out = ("-o", tmp_path / "no")
    assert "two runs" in cli.refused(2, "compare", runs / "first", *out)
    fault = cli.refused(1, "compare", runs / "first", runs / "table", *out)
    assert "table was not trained on the data of first" in fault and "leave it out" in fault
    fault = cli.refused(1, "compare", runs / "first", runs / "unheld", *out)
    assert "--held-out" in fault
    assert "did you mean" in cli.refused(2, "compare", runs / "first", runs / "second",
                                         "--measures", "maps", *out)  # fmt: skip
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "mine.txt").write_text("mine")
    assert "another" in cli.refused(1, "compare", runs / "first", runs / "second", *out)
