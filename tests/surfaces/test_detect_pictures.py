"""`lemari train FOLDER --task detect`: pictures, from training to the heat map of new ones."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from lemari.errors import DataError
from lemari.tasks.detect_data import anomalous

pytestmark = pytest.mark.slow  # commands; the laws of detectors of pictures are quick
SIDE = 24


def texture(rng, spot: tuple[int, int] | None = None) -> np.ndarray:
    """A soft wave with noise; with `spot` a bright square of 6 pixels there."""
    y, x = np.mgrid[:SIDE, :SIDE]
    v = 110 + 40 * np.sin(x / 3 + rng.uniform(0, 0.6)) + rng.normal(0, 6, (SIDE, SIDE))
    if spot:
        v[spot[0] : spot[0] + 6, spot[1] : spot[1] + 6] = 250
    return np.clip(v, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """train/normal and train/defect, and new pictures of which one is broken."""
    root, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for name in ("train/normal", "train/defect", "new"):
        (root / name).mkdir(parents=True)
    for i in range(240):
        Image.fromarray(texture(rng)).save(root / f"train/normal/{i}.png")
    for i in range(20):
        Image.fromarray(texture(rng, (3, 12))).save(root / f"train/defect/{i}.png")
    Image.fromarray(texture(rng)).save(root / "new/fine.png")
    Image.fromarray(texture(rng, (14, 4))).save(root / "new/=spot.png")
    (root / "new/broken.png").write_bytes(b"nonsense")
    return root


@pytest.fixture(scope="module")
def run(folders):
    from conftest import lemari

    done = lemari("train", folders / "train", "--task", "detect", "--normal-only",
                  "--threads", "1", "--out", folders / "run", "--json")  # fmt: skip
    assert done.code == 0, done.err
    return folders / "run", json.loads(done.out)


def test_training_measures_on_what_was_held_out(run):
    folder, told = run
    assert told["data"]["trained_on"] == 216 and told["data"]["rows"] == 260
    auroc = next(s for s in told["scores"] if s["name"] == "AUROC")
    assert auroc["value"] > 0.95 and auroc["rows"] == 44
    assert {b["name"] for b in auroc["baselines"]} == {"kNN", "PCA", "IForest"}
    assert all(w["label"] == "anomalous" for w in told["worst"])
    assert (folder / "figures/worst.png").stat().st_size > 2000
    page = (folder / "report.html").read_text()
    assert "Worst pictures" in page and "defect/" in page and page.count("data:image/png") == 2


def test_new_pictures_get_a_score_and_a_place(cli, run, folders, tmp_path):
    folder, _ = run
    found = cli.done("detect", folder, folders / "new", "-o", tmp_path / "s.csv", "--json").json
    first = found["worst"][0]
    assert first["name"] == "=spot.png" and first["flagged"]
    assert found["rows"] == 2 and found["flagged"] == 1 and "broken.png" in found["notes"][0]
    row, column = (int(w.strip(",")) for w in np.array(first["reasons"][0]["text"].split())[[4, 6]])
    assert 14 <= row <= 21 and 4 <= column <= 11
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [r["picture"] for r in rows] == ["'=spot.png", "fine.png"]
    assert (tmp_path / "s.png").is_file() and "=spot.png" in (tmp_path / "s.html").read_text()


def test_thresholds_and_measures_use_the_class_folders(cli, run, folders):
    folder, _ = run
    cli.done("threshold", folder, "--labels", folders / "train", "--goal", "f1")
    scores = cli.done("evaluate", folder, folders / "train", "--json").json["scores"]
    assert next(s["value"] for s in scores if s["name"] == "AUROC") > 0.95
    told = cli.done("threshold", folder, "--automatic", folders / "train", "--json").json
    assert told["threshold"]["rule"] == "automatic"
    cli.done("threshold", folder, "--alarm-rate", "0.02")
    assert cli.done("report", folder, "--json").json["report"].endswith("report.html")


def test_what_cannot_be_is_said_in_one_sentence(cli, run, folders, tmp_path):
    folder, out = run[0], tmp_path / "out"
    new, train = folders / "new", ("train", folders / "train", "--task", "detect", "--out", out)
    assert "detector of pictures" in cli.refused(1, "update", folder, new, "--out", out)
    assert "detector of pictures" in cli.refused(1, "serve", folder)
    assert "leave out --watch" in cli.refused(2, "detect", folder, new, "--watch")
    assert "no labels" in cli.refused(1, "evaluate", folder, new)
    assert "There is no class 'nope'" in cli.refused(2, *train, "--label", "nope")
    assert "leave out --window" in cli.refused(2, *train, "--window", "8")
    assert "broken.png" in cli.refused(1, "detect", folder, new / "broken.png")
    (tmp_path / "t.csv").write_text("a,b\nx,2\ny,4\n")
    assert "holds no pictures" in cli.refused(1, "detect", folder, tmp_path / "t.csv")
    assert not out.exists()


def test_classes_of_which_none_is_normal_are_not_labels(cli, folders, tmp_path):
    for name, source in (("a", "normal"), ("b", "normal"), ("c", "defect")):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(12):
            content = (folders / "train" / source / f"{i}.png").read_bytes()
            (tmp_path / "d" / name / f"{i}.png").write_bytes(content)
    words = ("train", tmp_path / "d", "--task", "detect", "--threads", "1", "--json", "--out")
    told = cli.done(*words, tmp_path / "run").json
    assert told["scores"] == [] and "--label" in told["data"]["notes"][0]
    told = cli.done(*words, tmp_path / "other", "--normal-only", "--label", "a").json
    assert told["data"]["trained_on"] == 11 and "all but 'a'" in told["labels"]


def test_of_two_classes_the_rarer_one_is_not_taken_for_the_anomalous_one():
    counts = Counter(cat=30, dog=10)
    assert anomalous(counts) == ({"dog"}, "the rarer value")
    with pytest.raises(DataError, match="called normal"):
        anomalous(counts, guess=False)
    assert anomalous(Counter(good=3, dog=10), guess=False)[0] == {"dog"}


def test_pages_speak_of_pictures(cli, run, folders, tmp_path):
    folder, _ = run
    page = (folder / "report.html").read_text()
    assert "216 pictures of train" in page and "rows of train" not in page
    assert "held-out normal pictures" in page and "new.csv" not in page
    cli.done("detect", folder, folders / "new", folders / "train" / "defect", "-o",
             tmp_path / "s.csv")  # fmt: skip
    page = (tmp_path / "s.html").read_text()
    assert "of 22 pictures are flagged" in page and "Pictures scored" in page
    assert "defect: 1.png" in page
