"""`lemari oversample`: what it writes, and what it says when it cannot."""

import json

import numpy as np
import pytest

from lemari.mixed.frame import read_frame
from lemari.surfaces.cli.main import run
from lemari.tasks import rare_rows

pytestmark = pytest.mark.slow  # commands and trainings; the laws are quick


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr(rare_rows, "STEPS", 60)


def table(tmp_path, rows=120, rare=20):
    """A CSV file whose first rows are of the rare class."""
    rng = np.random.default_rng(0)
    path = tmp_path / "data.csv"
    lines = ["amount,age,color,day,kind"]
    for i in range(rows):
        color = rng.choice(["red", "=green", "blue"])
        day = f"2020-01-{rng.integers(1, 29):02d}"
        kind = "rare" if i < rare else "common"
        lines.append(f"{rng.lognormal(3, 1):.2f},{rng.integers(18, 80)},{color},{day},{kind}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command_writes_given_and_new_rows(tmp_path, capsys):
    path, out = table(tmp_path), tmp_path / "more.csv"
    assert run(["oversample", str(path), "--label", "kind", "-o", str(out), "--json"], False) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["classes"][0]["made"] == 80
    lines = out.read_text().splitlines()
    assert lines[0] == '"amount","age","color","day","kind","synthetic"'
    assert len(lines) == 1 + 200 and sum(line.endswith(",1") for line in lines) == 80
    assert "=green" in path.read_text() and ',"=green' not in out.read_text()
    ages = [line.split(",")[1] for line in lines[1:]]
    assert all(age.isdigit() for age in ages)


def test_the_command_writes_new_rows_alone(tmp_path, capsys):
    path, out = table(tmp_path), tmp_path / "new.parquet"
    words = ["oversample", str(path), "--label", "kind", "-o", str(out), "--only-new"]
    assert run([*words, "--target", "0.5", "--class", "rare"], False) == 0
    frame = read_frame(out)
    assert len(frame) == 30 and frame.names == ("amount", "age", "color", "day", "kind")
    assert set(frame.column("kind").cells()) == {"rare"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--label", "knd"], "There is no column 'knd'; the nearest are 'kind'"),
        ([], "name the column with --label COLUMN"),
        (["--label", "kind", "--class", "x"], "There is no class 'x'"),
        (["--label", "kind", "--target", "much"], "The target is 'much'"),
        (["--label", "kind", "-o", "data.csv"], "exists already and is not overwritten"),
        (["--label", "kind", "-o", "data.txt"], "choose a name in .csv or .parquet"),
    ],
)
def test_the_command_explains_faults(tmp_path, capsys, monkeypatch, words, said):
    path = table(tmp_path)
    before = path.read_bytes()
    monkeypatch.chdir(tmp_path)
    out = [] if "-o" in words else ["-o", "more.csv"]
    assert run(["oversample", "data.csv", *words, *out], False) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and len(error.splitlines()) == 1
    assert path.read_bytes() == before and not (tmp_path / "more.csv").exists()
