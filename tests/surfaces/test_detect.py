"""`lemari train --task detect`, `detect`, `threshold` and `update`, through the command."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # commands and trainings; the laws are quick

ROWS = 240
HEAD = ("amount", "city", "when", "vip", "fraud")
NASTY = '<script>alert("x")</script>'
FORMULA = "=HYPERLINK(1)"


def rows(count: int = ROWS, seed: int = 0, odd: float = 0.05, shift: float = 0.0) -> list[list]:
    """Payments: anomalies have amounts of 900 to 1,000, the others about 20 (plus `shift`)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        bad = rng.random() < odd
        amount = rng.uniform(900, 1000) if bad else 20 + rng.normal() + shift
        city = str(rng.choice(["Rome", "Paris"]))
        when = f"2024-0{rng.integers(1, 9)}-1{rng.integers(0, 9)}"
        found.append([f"{amount:.2f}", city, when, str(rng.choice(["yes", "no"])), int(bad)])
    return found


def table(path: Path, cells: list[list], head=HEAD) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *cells])
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return table(tmp_path_factory.mktemp("detect") / "pay.csv", rows())


@pytest.fixture(scope="module")
def run(data, cli) -> Path:
    """A detector of payments. Not to be changed."""
    folder = data.parent / "run"
    cli.done("train", data, "--task", "detect", "--label", "fraud", "--normal-only",
             "--alarm-rate", "0.05", "--out", folder)  # fmt: skip
    return folder


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_a_run_folder_is_complete_and_tells_what_was_learned(run):
    parts = "detector.json format.json weights.safetensors index.json threshold.json card.md"
    for name in (*parts.split(), "metrics/summary.json", "figures/threshold.png", "report.html"):
        assert (run / name).stat().st_size > 50, name
    assert not list(run.glob(".lemari-*")) and not (run / "lock").exists()
    told = json.loads((run / "metrics/summary.json").read_text())
    scores = {s["name"]: s["value"] for s in told["scores"]}
    assert scores["AUROC"] > 0.99 and scores["recall at the threshold"] == 1
    kinds = {c["name"]: c["kind"] for c in told["columns"]}
    assert kinds == {"amount": "numeric", "city": "category", "when": "date", "vip": "boolean"}
    assert told["data"]["trained_on"] < told["data"]["rows"] == ROWS
    assert told["split"] == "held-out normal rows and all anomalies"
    names = {b["name"] for s in told["scores"] for b in s["baselines"]}
    assert names == {"kNN", "PCA", "IForest"}
    worst = told["worst"][0]
    assert worst["flagged"] and worst["label"] == "anomalous"
    assert worst["reasons"][0]["column"] == "amount"


def test_held_out_rows_are_not_trained_on(data):
    from lemari.tasks.detecting import Order, measured_rows, training_rows

    y = np.array([0] * 30 + [1] * 5 + [-1] * 5)
    kept = training_rows(Order(str(data), "fraud", normal_only=True), y)
    assert kept is not None and len(kept) == 27 and (y[kept] == 0).all()
    used, _ = measured_rows(y, kept)
    assert not set(used) & set(kept) and sorted(y[used].tolist()) == [0] * 3 + [1] * 5
    series = training_rows(Order(str(data), "fraud", normal_only=True, window=5), y)
    assert series is not None and series.tolist() == list(range(27))


def test_detect_flags_the_planted_row_and_says_why(run, cli, tmp_path):
    cells = rows(60, seed=1, odd=0)
    cells[40][0] = "950.00"
    new = table(tmp_path / "new.csv", cells)
    told = cli.done("detect", run, new, "--json").json
    worst = told["worst"][0]
    assert (worst["row"], worst["flagged"]) == (41, True)
    assert worst["reasons"][0]["column"] == "amount"
    assert worst["reasons"][0]["low"] < 21 < 950 == worst["reasons"][0]["value"]
    assert told["rows"] == 60 and 1 <= told["flagged"] <= 15
    assert "amount 950" in cli.done("detect", run, new).out


def test_results_hold_every_row_and_no_formula_or_html_runs(run, cli, tmp_path):
    cells = rows(50, seed=2, odd=0)
    cells[3][1], cells[4][1] = NASTY, FORMULA
    new, out = table(tmp_path / "new.csv", cells), tmp_path / "scores.csv"
    told = cli.done("detect", run, new, "-o", out, "--fdr", "0.1", "--json").json
    found = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [int(row["row"]) for row in found] == list(range(1, 51))
    assert found[4]["city"] == "'" + FORMULA
    assert all(0 < float(row["p_value"]) <= 1 for row in found)
    assert {"discovery", "reasons", "amount", "when"} <= set(found[0])
    flagged = [row for row in found if row["flagged"] == "true"]
    assert len(flagged) == told["flagged"] and all(row["reasons"] for row in flagged)
    page = Path(told["page"]).read_text()
    assert NASTY not in page and "&lt;script&gt;" in page
    again = cli.done("detect", run, new, "-o", out, "--json").json
    assert again["page"] != told["page"], "a page that is there is never overwritten"


def test_training_on_html_and_formulas_keeps_them_as_text(cli, tmp_path):
    cells = rows(60)
    for row in cells[:20]:
        row[1] = NASTY
    head = ("<b>amount</b>", *HEAD[1:])
    new = table(tmp_path / "new.csv", cells, head)
    cli.done("train", new, "--task", "detect", "--label", "fraud", "--out", tmp_path / "run")
    page = (tmp_path / "run/report.html").read_text()
    assert NASTY not in page and "<b>amount</b>" not in page and "&lt;script&gt;" in page


def test_several_files_and_parquet(run, cli, tmp_path):
    from pyarrow import parquet

    a, b = (table(tmp_path / f"{n}.csv", rows(30, seed=i)) for i, n in enumerate("ab"))
    cli.done("detect", run, a, b, "-o", tmp_path / "s.parquet")
    found = parquet.read_table(tmp_path / "s.parquet")
    assert found.column("file").to_pylist() == ["a.csv"] * 30 + ["b.csv"] * 30
    assert found.column("row").to_pylist() == [*range(1, 31)] * 2


def test_results_never_take_the_place_of_the_rows(run, data, cli):
    before = data.read_bytes()
    fault = cli.refused(2, "detect", run, data, "-o", data.parent / "." / data.name)
    assert "elsewhere" in fault and data.read_bytes() == before


def test_drift_is_found_at_its_row_and_not_without_it(cli, tmp_path):
    old = table(tmp_path / "old.csv", rows(600, seed=3, odd=0))
    cli.done("train", old, "--task", "detect", "--drop", "fraud", "--out", tmp_path / "run")
    changed = rows(500, seed=4, odd=0) + rows(500, seed=5, odd=0, shift=3.0)
    new = table(tmp_path / "new.csv", changed)
    told = cli.done("detect", tmp_path / "run", new, "--watch", "--json").json
    alarms = [a for a in told["drift"] if a["what"] == "amount"]
    assert alarms and 500 < alarms[0]["row"] <= 700
    assert [a for a in told["drift"] if a["row"] <= 500] == []
    edge = float(alarms[0]["statistic"].split()[2])
    assert 17 < edge < 24, "in the unit of the column"
    assert f"drift at row {alarms[0]['row']}" in cli.done("detect", tmp_path / "run", new,
                                                          "--watch").out  # fmt: skip
    same = table(tmp_path / "same.csv", rows(500, seed=6, odd=0))
    later = cli.done("detect", tmp_path / "run", same, new, "--watch", "--json").json["drift"][0]
    assert later["file"] == "new.csv" and 500 < later["row"] <= 700, "rows are those of its file"
    assert cli.done("detect", tmp_path / "run", same, "--watch", "--json").json["drift"] == []


def streamed(cli, monkeypatch, content: bytes, *words) -> list[dict]:
    import sys
    from types import SimpleNamespace

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    return [json.loads(line) for line in cli.done("detect", *words).out.splitlines()]


def test_a_stream_answers_line_by_line_as_the_file_does(run, cli, tmp_path, monkeypatch):
    cells = rows(12, seed=7, odd=0)
    cells[5][0] = "990.00"
    new = table(tmp_path / "new.csv", cells)
    out = tmp_path / "s.csv"
    cli.done("detect", run, new, "-o", out)
    wanted = [float(row["score"]) for row in csv.DictReader(io.StringIO(out.read_text()))]
    found = streamed(cli, monkeypatch, new.read_bytes(), run, "-")
    assert [one["row"] for one in found] == list(range(1, 13))
    assert [one["score"] for one in found] == pytest.approx(wanted, abs=1e-5)
    assert found[5]["flagged"] and found[5]["reasons"][0].startswith("amount 990")
    lines = [json.dumps({k: (float(v) if k == "amount" else v) for k, v in zip(HEAD, row)})
             for row in cells]  # fmt: skip
    found = streamed(cli, monkeypatch, "\n".join(lines).encode(), run, "-")
    assert [one["score"] for one in found] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    "broken",
    [b"1,2\n", b"\xff\xfe,a,b,c,d\n", b'"20,Rome\n', b"1" * (1 << 21) + b"\n"],
    ids=["cells", "encoding", "quote", "endless"],
)
def test_a_broken_line_is_answered_and_the_stream_goes_on(run, cli, monkeypatch, broken):
    head = ",".join(HEAD).encode() + b"\n"
    good = b"20.1,Rome,2024-03-11,yes,0\n"
    found = streamed(cli, monkeypatch, head + good + broken + good, run, "-")
    assert [("error" in one, one["row"]) for one in found] == [(False, 1), (True, 2), (False, 3)]
    assert found[0]["score"] == found[2]["score"]


@pytest.mark.parametrize("broken", ["{", "[1]", '{"amount": [1]}', '{"amount": 20}', "7", "null"])
def test_a_broken_json_line_is_answered(run, cli, monkeypatch, broken):
    good = '{"amount": 20.1, "city": "Rome", "when": "2024-03-11", "vip": "yes"}'
    found = streamed(cli, monkeypatch, "\n".join([good, broken, good]).encode(), run, "-")
    assert [("error" in one, one["row"]) for one in found] == [(False, 1), (True, 2), (False, 3)]


def test_a_stream_tells_of_new_categories_but_not_of_further_columns(run, cli, monkeypatch):
    line = b"amount,city,when,vip,more\n20,Oslo,2024-01-11,yes,1\n"
    told = streamed(cli, monkeypatch, line, run, "-")[0]
    assert len(told["notes"]) == 1 and "not learned" in told["notes"][0]


def test_a_stream_stands_alone(run, cli):
    cli.refused(2, "detect", run, "-", "other.csv")
    cli.refused(2, "detect", run, "-", "-o", "x.csv")


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    """Two machines whose rows alternate; `speed` of b jumps at its rows 60 to 69."""
    rng = np.random.default_rng(0)
    cells = []
    for i in range(100):
        for name in "ab":
            odd = name == "b" and 60 <= i < 70
            cells.append([name, f"{5 * odd + rng.normal():.3f}", f"{rng.normal():.3f}", int(odd)])
    folder = tmp_path_factory.mktemp("series")
    return table(folder / "s.csv", cells, ("machine", "speed", "heat", "label"))


def test_windows_by_machine_report_the_last_row(series, cli, tmp_path, monkeypatch):
    cli.done("train", series, "--task", "detect", "--window", "8", "--by", "machine", "--label",
             "label", "--out", tmp_path / "run")  # fmt: skip
    told = cli.done("detect", tmp_path / "run", series, "-o", tmp_path / "s.csv", "--json").json
    assert told["rows"] == 2 * (100 - 8 + 1)
    worst = told["worst"][0]["row"]
    assert worst % 2 == 0 and 121 <= worst <= 154, "a window of b that holds the jump"
    scores = list(csv.DictReader(io.StringIO((tmp_path / "s.csv").read_text())))
    assert int(scores[0]["row"]) == 15 and scores[0]["machine"] == "a"
    found = streamed(cli, monkeypatch, series.read_bytes(), tmp_path / "run", "-")
    assert [one.get("waiting") for one in found[:16]] == [7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1,
                                                          1, None, None]  # fmt: skip
    answers = [one["score"] for one in found if "score" in one]
    assert answers == pytest.approx([float(row["score"]) for row in scores], abs=1e-4)
    other = table(tmp_path / "o.csv", [["a", "1"]] * 20, ("machine", "speed"))
    assert "heat" in cli.refused(1, "detect", tmp_path / "run", other)
    short = table(tmp_path / "short.csv", [["a", "1", "2"]] * 3, ("machine", "speed", "heat"))
    assert "window" in cli.refused(1, "detect", tmp_path / "run", short)


def test_thresholds_by_every_rule_without_fitting_again(copy, data, cli):
    weights = (copy / "weights.safetensors").read_bytes()
    picture = (copy / "figures/threshold.png").read_bytes()
    shown = cli.done("threshold", copy, "--json").json
    rules = {
        ("--alarm-rate", "0.2"): "alarm-rate",
        ("--alarm-rate", "0.2", "--confidence", "0.9"): "alarm-rate",
        ("--miss-cost", "100", "--alarm-cost", "1", "--share", "0.02"): "costs",
        ("--labels", data, "--label", "fraud"): "labels",
        ("--labels", data, "--label", "fraud", "--goal", "recall=0.9"): "labels",
        ("--automatic", data): "automatic",
        ("--value", "2.5"): "fixed",
    }
    for words, rule in rules.items():
        told = cli.done("threshold", copy, *words, "--json").json
        assert told["threshold"]["rule"] == rule
        again = cli.done("threshold", copy, "--json").json
        assert again["threshold"]["value"] == told["threshold"]["value"]
    assert told["threshold"]["value"] == 2.5 != shown["threshold"]["value"]
    assert (copy / "weights.safetensors").read_bytes() == weights
    assert (copy / "figures/threshold.png").read_bytes() != picture
    assert "2.5" in (copy / "report.html").read_text()
    own = [row for row in told["errors"] if row["threshold"] == 2.5]
    assert len(own) == 1 and own[0]["recall"] is not None
    assert "per 10,000" in cli.done("threshold", copy).out


def test_a_lower_alarm_rate_flags_fewer_rows(copy, data, cli):
    counts = []
    for rate in ("0.3", "0.1", "0.05"):
        cli.done("threshold", copy, "--alarm-rate", rate)
        counts.append(cli.done("detect", copy, data, "--json").json["flagged"])
    assert counts[0] > counts[1] >= counts[2] > 0


def test_a_threshold_beyond_the_scores_is_said(copy, data, cli):
    told = cli.done("threshold", copy, "--value", "1e9")
    assert "Beyond all calibration scores" in told.out
    assert cli.done("detect", copy, data, "--json").json["flagged"] == 0


@pytest.mark.parametrize(
    "words",
    [("--alarm-rate", "0"), ("--alarm-rate", "2"), ("--miss-cost", "3"), ("--share", "0.1"),
     ("--value", "1", "--alarm-rate", "0.1"), ("--labels", "x.csv"), ("--confidence", "0.9"),
     ("--value", "nan"), ("--value", "1e308"), ("--goal", "f1"),
     ("--miss-cost", "0", "--alarm-cost", "1")],
)  # fmt: skip
def test_wrong_rules_are_refused_and_change_nothing(copy, cli, words):
    before = (copy / "threshold.json").read_bytes()
    cli.refused(2, "threshold", copy, *words)
    assert (copy / "threshold.json").read_bytes() == before


def test_labels_of_one_class_are_refused(copy, cli, tmp_path):
    one = table(tmp_path / "one.csv", rows(30, odd=0))
    assert "classes" in cli.refused(1, "threshold", copy, "--labels", one, "--label", "fraud")
    fault = cli.refused(1, "train", one, "--task", "detect", "--label", "fraud", "--out",
                        tmp_path / "run")  # fmt: skip
    assert "both classes" in fault and not (tmp_path / "run").exists()


def test_an_edited_threshold_counts_and_a_broken_one_is_refused(copy, data, cli):
    path = copy / "threshold.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"threshold": 0.0}))
    assert cli.done("detect", copy, data, "--json").json["threshold"] == 0
    cli.done("report", copy)
    assert "fixed" in (copy / "report.html").read_text()
    path.write_text(json.dumps(content | {"alarm_rate": "much"}))
    assert "alarm_rate" in cli.refused(1, "detect", copy, data)
    path.write_text("{")
    assert "JSON" in cli.refused(1, "detect", copy, data)


@pytest.mark.parametrize("content", ["{", '{"version": 1, "rule": "fixed"}', None])
def test_a_new_rule_mends_a_broken_threshold(copy, data, cli, content):
    path = copy / "threshold.json"
    path.write_text(content) if content else path.unlink()
    cli.refused(1, "threshold", copy)
    cli.done("threshold", copy, "--alarm-rate", "0.05")
    assert json.loads(path.read_text())["alarm_rate"] == 0.05
    cli.done("detect", copy, data)


def test_update_learns_new_rows_and_leaves_the_old_run(run, cli, tmp_path):
    before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
    new = table(tmp_path / "new.csv", rows(120, seed=8, odd=0, shift=40))
    was = cli.done("detect", run, new, "--json").json["flagged"]
    told = cli.done("update", run, new, "--out", tmp_path / "next", "--json").json
    assert told["updated_from"] == "run" and told["detector"]["rows"] > 120
    now = cli.done("detect", tmp_path / "next", new, "--json").json["flagged"]
    assert was > 60 > 30 > now
    assert {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()} == before
    assert "never overwritten" in cli.refused(1, "update", run, new, "--out", tmp_path / "next")


def test_without_memory_there_is_no_update(data, cli, tmp_path):
    cli.done("train", data, "--task", "detect", "--drop", "fraud", "--no-memory", "--out",
             tmp_path / "run")  # fmt: skip
    assert "memory" in cli.refused(2, "update", tmp_path / "run", data, "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert "flagged" in cli.done("detect", tmp_path / "run", data).out


def test_other_commands_know_detectors(run, data, cli):
    listed = cli.done("runs", "list", "--folder", run.parent, "--json").json["runs"]
    assert [(r["run"], r["variant"], r["state"]) for r in listed] == [("run", "detector",
                                                                       "finished")]  # fmt: skip
    assert "AUROC" in cli.done("runs", "--folder", run.parent).out
    told = cli.done("evaluate", run, data, "--label", "fraud", "--json").json
    assert {s["name"]: s["value"] for s in told["scores"]}["AUROC"] > 0.98
    cli.refused(2, "evaluate", run)
    cli.refused(2, "runs", "compare", run, run)
    assert "is a detector" in cli.refused(1, "embed", run, data)


def test_the_same_seed_gives_the_same_detector(data, cli, tmp_path):
    sums = []
    for name in ("a", "b"):
        cli.done("train", data, "--task", "detect", "--drop", "fraud", "--seed", "4", "--out",
                 tmp_path / name)  # fmt: skip
        sums.append(json.loads((tmp_path / name / "index.json").read_text())["sha256"])
    assert sums[0] == sums[1]


def test_inspect_shows_typed_columns(data, cli):
    told = cli.done("data", "inspect", data, "--label", "fraud", "--json").json
    assert {c["name"]: c["kind"] for c in told["columns"]}["when"] == "date"
    out = cli.done("data", "inspect", data).out
    assert "category" in out and "2 levels" in out and "--task detect" in out


def test_inspect_of_pixel_tables_is_as_before(sets, cli):
    for name in ("d.csv", "d.parquet", "d.npz"):
        assert "examples of" in cli.done("data", "inspect", sets / name).out


def test_types_can_be_corrected(cli, tmp_path):
    cells = [[f"{i % 3:03d}", i % 7, i * 0.5] for i in range(60)]
    new = table(tmp_path / "new.csv", cells, ("code", "level", "size"))
    cli.done("train", new, "--task", "detect", "--types", "code=category", "level=category",
             "--types=size=ignored", "--out", tmp_path / "run")  # fmt: skip
    told = json.loads((tmp_path / "run/metrics/summary.json").read_text())
    assert "000 (20)" in (tmp_path / "run/report.html").read_text()
    kinds = {c["name"]: c["kind"] for c in told["columns"]}
    assert kinds == {"code": "category", "level": "category", "size": "ignored"}


BAD_TABLES = {
    "no rows": ("amount,city\n", 1, "no rows"),
    "one row": ("amount,city\n1,a\n", 1, "two different rows"),
    "equal rows": ("amount,city\n" + "1,a\n" * 20, 1, "equal"),
    "all missing": ("amount,city\n" + ",\n" * 20, 1, "learned from"),
    "twice": ("amount,amount\n1,2\n2,3\n3,1\n", 1, "amount"),
    "infinite": ("amount,size\n1,2\ninf,3\n3,1\n4,2\n", 1, "infinit"),
    "empty": ("", 1, "empty"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables_are_refused_in_training(cli, tmp_path, name):
    content, code, words = BAD_TABLES[name]
    (tmp_path / "bad.csv").write_text(content)
    fault = cli.refused(code, "train", tmp_path / "bad.csv", "--task", "detect", "--out",
                        tmp_path / "run")  # fmt: skip
    assert words in fault and not (tmp_path / "run").exists()


BAD_NEW = {
    "no rows": (",".join(HEAD) + "\n", "no rows"),
    "missing column": ("amount,city,vip\n1,Rome,yes\n2,Rome,no\n", "'when'"),
    "another table": ("a,b,c\n1,2,3\n4,5,6\n", "amount"),
    "twice": ("amount,amount,city,when,vip\n1,1,Rome,2024-01-01,no\n", "amount"),
}


@pytest.mark.parametrize("name", BAD_NEW)
def test_tables_that_do_not_fit_are_refused(run, cli, tmp_path, name):
    content, words = BAD_NEW[name]
    (tmp_path / "bad.csv").write_text(content)
    assert words in cli.refused(1, "detect", run, tmp_path / "bad.csv")


STRANGE = {
    "a new category": (1, "Atlantis", "not learned"),
    "text in a number": (0, "much", "not a number"),
    "infinity": (0, "inf", "infinite"),
    "a gap": (0, "", "missing"),
    "no date": (2, "soon", "not a date"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_cells_are_scored_by_a_stated_rule(run, cli, tmp_path, name):
    place, cell, words = STRANGE[name]
    cells = rows(40, seed=9, odd=0)
    cells[10][place] = cell
    found = cli.done("detect", run, table(tmp_path / "new.csv", cells), "--json").json
    assert any(words in note for note in found["notes"]), found["notes"]
    assert found["worst"][0]["row"] == 11 and found["worst"][0]["flagged"]
    json.dumps(found, allow_nan=False)


def test_extra_columns_are_ignored_with_a_warning(run, cli, tmp_path):
    cells = [[*row, "x"] for row in rows(20)]
    outcome = cli.done("detect", run, table(tmp_path / "new.csv", cells, (*HEAD, "more")))
    assert "'more' was not there in training" in outcome.err and "fraud" not in outcome.err


def test_a_label_left_among_the_features_is_warned_of(cli, tmp_path):
    new = table(tmp_path / "new.csv", rows(60), (*HEAD[:4], "label"))
    outcome = cli.done("train", new, "--task", "detect", "--out", tmp_path / "run")
    assert "looks like a label" in outcome.err


@pytest.mark.parametrize(
    "words",
    [("--epochs", "3"), ("--normal_onl",), ("--window", "x"), ("--window", "1"), ("--by", "city"),
     ("--types", "city"), ("--types", "city=colour"), ("--types", "town=category"),
     ("--alarm-rate", "5"), ("--resume", "x"), ("second.csv",), ("--variant", "ae")],
)  # fmt: skip
def test_wrong_options_of_training_are_refused(data, cli, tmp_path, words):
    cli.refused(2, "train", data, "--task", "detect", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_labels_and_missing_files_are_refused(data, run, cli, tmp_path):
    words = ("--task", "detect", "--out", tmp_path / "run")
    assert "nearest" in cli.refused(2, "train", data, *words, "--label", "frodo")
    assert "no file" in cli.refused(1, "train", tmp_path / "none.csv", *words)
    assert "different values" in cli.refused(1, "train", data, *words, "--label", "when")
    assert "no file" in cli.refused(1, "detect", run, tmp_path / "none.csv")
    cli.refused(2, "detect", run, data, "-o", tmp_path / "x.txt")
    cli.refused(2, "detect", run, data, "--fdr", "2")
    cli.refused(2, "train", "--task", "detect")


def test_a_run_that_is_no_detector_is_refused(data, cli, tmp_path):
    (tmp_path / "empty").mkdir()
    for words in (("detect", tmp_path / "empty", data), ("threshold", tmp_path / "empty")):
        assert "detector" in cli.refused(1, *words)
    assert "no run" in cli.refused(1, "detect", tmp_path / "none", data)


def test_tampered_files_are_refused(copy, data, cli):
    for name in ("weights.safetensors", "format.json", "detector.json"):
        old = (copy / name).read_bytes()
        (copy / name).write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
        assert name in cli.refused(1, "detect", copy, data)
        (copy / name).write_bytes(old)
    (copy / "metrics/labelled.parquet").write_bytes(b"PAR1")
    assert "labelled.parquet" in cli.refused(1, "threshold", copy, "--value", "1")
    (copy / "metrics/summary.json").write_text("[]")
    (copy / "metrics/labelled.parquet").unlink()
    assert "summary.json" in cli.refused(1, "report", copy)


@pytest.mark.slow
def test_twenty_thousand_columns(cli, tmp_path, monkeypatch):
    from lemari.detect import denoising

    monkeypatch.setattr(denoising, "STEPS", 3)
    x = np.random.default_rng(0).normal(size=(12, 20_000)).astype(np.float32)
    np.save(tmp_path / "wide.npy", x)
    outcome = cli.done("train", tmp_path / "wide.npy", "--task", "detect", "--normal-only", "--out",
                       tmp_path / "run", "--json")  # fmt: skip
    assert outcome.json["columns_left_out"] == 19_500
    out = tmp_path / "s.csv"
    told = cli.done("detect", tmp_path / "run", tmp_path / "wide.npy", "-o", out, "--json").json
    assert any("20,000 input columns" in note for note in told["notes"])
    assert out.read_text().count("\n") == 13


def test_a_stop_leaves_no_folder_behind(data, cli, tmp_path, monkeypatch):
    from lemari.tasks.detector import FittedDetector

    def stop(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(FittedDetector, "fit", stop)
    outcome = cli.run("train", data, "--task", "detect", "--out", tmp_path / "run")
    assert outcome.code == 1 and "Stopped" in outcome.err and not (tmp_path / "run").exists()


def test_the_page_and_report_load_nothing(run):
    page = (run / "report.html").read_text()
    assert "default-src 'none'" in page and "http://" not in page and "https://" not in page
    assert page.count("<img") == page.count('src="data:image/png') == 1


LABELS = [
    ([0, 1, 0, 0], [0, 1, 0, 0]),
    ([0.0, 1.0, 1.0, 1.0], [0, 1, 1, 1]),
    ([-1, 1, 1, 1], [1, 0, 0, 0]),
    (["normal", "dos", "probe", None], [0, 1, 1, -1]),
    (["ok", "weird", "weird", "weird"], [0, 1, 1, 1]),
    (["a", "b", "a", "a"], [0, 1, 0, 0]),
    ([True, False, False, float("nan")], [1, 0, 0, -1]),
]


@pytest.mark.parametrize(("labels", "wanted"), LABELS)
def test_which_label_is_anomalous(labels, wanted):
    from lemari.tasks.detect_data import marks

    assert marks(labels)[0].tolist() == wanted


def test_card_fraud_stands_out(cli, tmp_path):
    root = os.environ.get("LEMARI_DATA")
    path = Path(root or "") / "creditcard/creditcard_subset.csv.gz"
    if not root or not path.is_file():
        pytest.skip("needs the card payments in LEMARI_DATA")
    told = cli.done("train", path, "--task", "detect", "--label", "Class", "--drop", "sampling",
                    "--normal-only", "--out", tmp_path / "run", "--json").json  # fmt: skip
    assert {s["name"]: s["value"] for s in told["scores"]}["AUROC"] > 0.93
