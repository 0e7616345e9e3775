"""`lemari doctor RUN`, and what `lemari train` tells while it goes on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest


def findings(run) -> list[dict]:
    return json.loads((run / "summary.json").read_text())["findings"]


def test_a_run_is_examined_again(cli, whole_run):
    told = cli.done("doctor", whole_run, "--json").json
    assert told["findings"] == findings(whole_run) and told["run"] == str(whole_run)
    out = cli.done("doctor", whole_run).out
    assert all(f["name"] in out and f["remedy"] in out for f in told["findings"])
    assert f"Next: lemari report {whole_run}" in out


def test_without_findings_it_says_so(cli, whole_run, monkeypatch):
    from lemari.tasks import examine

    monkeypatch.setattr(examine, "examine_run", lambda *given: [])
    assert "Nothing is wrong" in cli.done("doctor", whole_run).out


def test_new_data_of_another_range(cli, whole_run, sets, tmp_path):
    same = cli.done("doctor", whole_run, sets / "d.npy", "--json").json["findings"]
    assert "other-range" not in [f["name"] for f in same]
    np.save(tmp_path / "wide.npy", np.load(sets / "d.npy").astype(np.float32) * 4 - 300.5)
    wide = cli.done("doctor", whole_run, tmp_path / "wide.npy", "--json").json["findings"]
    (told,) = [f for f in wide if f["name"] == "other-range"]
    assert "-300.5" in told["evidence"]


def test_a_run_that_diverged_keeps_its_finding(cli, whole_run, tmp_path):
    run = shutil.copytree(whole_run, tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    left = {"name": "diverged", "severity": "error", "evidence": "It did.", "remedy": "Lower lr."}
    (run / "summary.json").write_text(json.dumps(summary | {"findings": [left]}))
    assert cli.done("doctor", run, "--json").json["findings"][0] == left


def test_what_is_no_run_is_refused(cli, tmp_path):
    assert "no run" in cli.refused(1, "doctor", tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "holds no model" in cli.refused(1, "doctor", tmp_path / "empty")


@pytest.mark.slow
def test_findings_are_told_while_training_goes_on(cli, sets, tmp_path, no_finish):
    words = ("train", sets / "d.npy", "--variant", "ae", "--network", "mlp:16", "--latent", 2)
    words += ("--threads", 1, "--schedule", "constant", "--batch-size", 10, "--held-out", 0.5)
    run = tmp_path / "over"
    err = cli.done(*words, "--epochs", 60, "--lr", 0.02, "--likelihood", "bernoulli",
                   "--out", run).err  # fmt: skip
    lines = err.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("warning: over-fitting: "))
    assert lines[at - 1].startswith("epoch ") and at < len(lines) - 1
    calm = cli.done(*words, "--epochs", 3, "--out", tmp_path / "calm").err
    assert "warning" not in calm and "error" not in calm


@pytest.mark.parametrize("variant", ["VAE", "AE"])
def test_estimators_ask_the_same_doctor(variant, sets):
    import lemari

    with np.load(sets / "d.npz") as file:
        x = file["x"]
    stuck = getattr(lemari, variant)(network="mlp:16", epochs=30, lr=5.0).fit(x)
    assert {f.name for f in stuck.findings_} & {"constant-output", "saturated-sigmoid"}
