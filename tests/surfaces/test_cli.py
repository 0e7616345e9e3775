"""Every command on data as people have it, and the run folder that training leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from lemari.registry import VARIANTS as REGISTERED

KINDS = ("pictures", "d.zip", "d.npy", "d.npz", "d.csv", "d.parquet")
VARIANTS = ("ae", "vae", "beta-vae", "cvae", "chapter-ae", "chapter-vae", "chapter-faces-vae",
            "lesson-conv-ae", "lesson-mlp-vae", "lesson-conv-vae")  # fmt: skip
VARIANTS += ("iwae", "miwae", "piwae", "ciwae", "beta-tc-vae", "factor-vae", "aae", "vae-gan",
             "lesson-aae")  # fmt: skip
RESTORING = ("denoising-ae", "super-resolution-ae", "inpainting-ae")  # see test_train_restoring
FILES = {"recipe.json", "format.json", "env.json", "weights.safetensors", "index.json",
         "metrics.jsonl", "embeddings.parquet", "summary.json", "card.md", "report.html",
         "figures", "checkpoints", "data.json", "log.txt"}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names_of(summary: dict) -> set[str]:
    return {finding["name"] for finding in summary["findings"]}


def test_the_run_folder_is_whole(whole_run):
    assert {path.name for path in whole_run.iterdir()} == FILES
    assert len(list((whole_run / "figures").glob("*.png"))) >= 8
    summary = json.loads((whole_run / "summary.json").read_text())
    assert summary["variant"] == "vae" and summary["data"]["examples"] == 54
    lines = (whole_run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1]
    told = (whole_run / "log.txt").read_text().splitlines()
    assert "starts vae on 54 of" in told[0] and any(" epoch 1: loss " in line for line in told)
    assert told[-1].split(" ", 2)[2].startswith("finished: 1 epochs")


def test_no_folder_of_the_user_is_in_what_is_passed_on(whole_run, sets):
    shown = ("env.json", "summary.json", "card.md", "metrics.jsonl", "format.json", "index.json")
    for name in shown:
        assert str(sets.parent) not in (whole_run / name).read_text(), name
    env = json.loads((whole_run / "env.json").read_text())
    assert set(env) == {"python", "system", "cores", "device", "fast_bfloat16", "packages"}


def test_a_run_is_never_overwritten(cli, whole_run, sets):
    before = contents(whole_run)
    fault = cli.refused(1, "train", sets / "d.npy", *cli.small, "--out", whole_run)
    assert "never overwritten" in fault and "--resume" in fault
    assert contents(whole_run) == before


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data(cli, sets, tmp_path, no_pictures, kind):
    data, run = sets / kind, tmp_path / "run"
    summary = cli.done("train", data, *cli.small, "--out", run, "--json").json
    assert summary["data"]["examples"] == 54 and Path(summary["run"]) == run

    codes = tmp_path / "codes.parquet"
    told = cli.done("embed", run, data, "-o", codes, "--json").json
    assert (told["rows"], told["dimensions"]) == (60, 2)
    table = parquet.read_table(codes)
    label = [] if kind == "d.npy" else ["label"]
    assert table.column_names == ["id", "z0", "z1", *label] and table.num_rows == 60
    assert len(set(table["id"].to_pylist())) == 60

    made = tmp_path / "made"
    told = cli.done("reconstruct", run, data, "-o", made, "--json").json
    table_data = kind == "d.parquet"
    assert {p.name for p in made.iterdir()} == set(told["files"])
    assert len(told["files"]) == (1 if table_data else 61)

    for given in ([], [data]):
        scores = cli.done("evaluate", run, *given, "--json").json["scores"]
        assert scores[0]["name"] == "MSE" and scores[0]["rows"] == 6  # only held-out rows
    samples = tmp_path / "samples.npz"
    assert cli.done("generate", run, "-n", 5, "-o", samples, "--json").json["count"] == 5
    with np.load(samples) as found:
        assert len(found["x"]) == 5 and found["codes"].shape == (5, 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains(cli, sets, tmp_path, no_finish, variant):
    size = ("--size", "32") if variant.startswith(("chapter", "lesson-conv")) else ()
    small = () if variant.startswith(("chapter", "lesson")) else cli.small[:4]
    run = tmp_path / "run"
    cli.done("train", sets / "pictures", "--variant", variant, *small, *size, "--epochs", 1,
             "--batch-size", 32, "--lr", 1e-3, "--seed", 1, "--threads", 1,
             "--out", run)  # fmt: skip
    assert cli.done("embed", run, sets / "pictures", "-o", tmp_path / "c.csv", "--json").json


def test_the_test_lists_every_variant(cli):
    listed = set(cli.done("models", "--json").json["variants"])
    assert {*VARIANTS, *RESTORING} <= listed == set(REGISTERED)


@pytest.mark.parametrize("how", ["linear", "slerp"])
@pytest.mark.parametrize("name", ["m.png", "m.gif"])
def test_morph(cli, whole_run, sets, tmp_path, how, name):
    told = cli.done("morph", whole_run, sets / "d.npy", "--path", how, "--steps", 5, "-o",
                    tmp_path / name, "--json").json  # fmt: skip
    assert (told["steps"], told["path"]) == (5, how) and (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("mode", ["random", "grid", "traversal"])
def test_generate_draws(cli, whole_run, tmp_path, mode):
    path = tmp_path / "samples.png"
    cli.done("generate", whole_run, "-n", 9, "--mode", mode, "-o", path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_generate_is_a_function_of_the_seed(cli, whole_run, tmp_path):
    def codes(name: str, seed: int) -> np.ndarray:
        cli.done("generate", whole_run, "-n", 4, "--seed", seed, "-o", tmp_path / name)
        return np.load(tmp_path / name)["codes"]

    first = codes("a.npz", 1)
    assert np.array_equal(first, codes("b.npz", 1)) and not np.array_equal(first, codes("c.npz", 2))


def test_a_conditional_model_generates_a_class(cli, sets, tmp_path, no_finish):
    run, path = tmp_path / "run", tmp_path / "x.npz"
    cli.done("train", sets / "pictures", "--variant", "cvae", *cli.small, "--out", run)
    cli.done("generate", run, "-n", 3, "--class", "class1", "-o", path)
    assert "class1" in cli.refused(2, "generate", run, "--class", "clas1", "-o", path)


def test_models_show(cli):
    told = cli.done("models", "show", "chapter-vae", "--shape", "1,32,32", "--latent", 2,
                    "--json").json  # fmt: skip
    counts = told["parameters"]
    assert counts["encoder"] + counts["decoder"] == counts["total"]
    assert told["effective_beta"] > 0 and told["code"] == [2] and told["layers"]
    plain = cli.done("models", "show", "ae", "--network", "mlp:16", "--latent", 2, "--shape",
                     "1,8,8", "--json").json  # fmt: skip
    assert plain["parameters"]["encoder"] == 64 * 16 + 16 + 16 * 2 + 2
    assert plain["effective_beta"] is None


def test_data_inspect(cli, sets, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "good.png").write_bytes((sets / "pictures/class0/0.png").read_bytes())
    told = cli.done("data", "inspect", tmp_path, "--json").json
    assert (told["kind"], told["examples"], told["shape"]) == ("image", 1, [1, 8, 8])
    assert [item["file"] for item in told["skipped"]] == ["bad.png"] and told["skipped"][0][
        "reason"
    ]
    whole = cli.done("data", "inspect", sets / "pictures", "--json").json
    assert whole["classes"] == ["class0", "class1", "class2"] and whole["skipped"] == []


def test_runs_and_compare(cli, whole_run, sets, tmp_path, no_finish):
    listed = cli.done("runs", "--folder", whole_run.parent, "--json").json["runs"]
    assert [(row["run"], row["state"]) for row in listed] == [("whole", "finished")]
    other = tmp_path / "other"
    cli.done("train", sets / "d.npz", *cli.small, "--lr", 0.01, "--out", other)
    differ = cli.done("runs", "compare", whole_run, other, "--json").json["differ"]
    assert set(differ) == {"lr", "seed"} and differ["lr"] == [0.001, 0.01]
    assert "lr" in cli.done("runs", "compare", whole_run, other).out


def test_report_writes_the_report_again(cli, sets, tmp_path, no_pictures):
    run = tmp_path / "run"
    cli.done("train", sets / "d.npz", *cli.small, "--out", run)
    weights = (run / "weights.safetensors").read_bytes()
    (run / "report.html").unlink()
    (run / "metrics.jsonl").write_text('{"number": 1, "loss": 1.0, "sec')  # half a line
    assert cli.done("report", run, "--json").json["report"] == str(run / "report.html")
    assert (run / "report.html").is_file()
    assert (run / "weights.safetensors").read_bytes() == weights


def test_doctor(cli, monkeypatch):
    from lemari import machine

    monkeypatch.setattr(machine, "speed", lambda: {"gflops": 1.0, "rows_per_second": 1.0})
    told = cli.done("doctor", "--json").json
    assert told["threads"] >= 1 and "torch" in told["packages"]
    assert "Next: lemari demo" in cli.done("doctor").out


def test_demo(cli, tmp_path, no_finish):
    told = cli.done("demo", "--epochs", 1, "--out", tmp_path / "demo", "--json").json
    assert Path(told["run"]) == tmp_path / "demo"


def test_options_of_the_variant_stand_anywhere(cli, sets, tmp_path, no_finish):
    run, data = tmp_path / "run", sets / "d.npy"
    words = ("--beta", "2", "--likelihood=mse", data, *cli.small, "--out", run)
    cli.done("train", *words)
    options = json.loads((run / "recipe.json").read_text())["options"]
    assert options["beta"] == 2.0 and options["likelihood"] == "mse"


def test_a_command_says_what_to_try_next(cli, whole_run, sets, tmp_path):
    for words in (
        ("models",),
        ("data", "inspect", sets / "d.npy"),
        ("runs", "--folder", whole_run.parent),
        ("embed", whole_run, sets / "d.npy", "-o", tmp_path / "c.parquet"),
        ("reconstruct", whole_run, sets / "d.npy", "-n", 3, "-o", tmp_path / "made"),
        ("evaluate", whole_run),
    ):
        assert re.search(r"\nNext: lemari \w+", cli.done(*words).out), words


def test_latest_and_names_under_runs(cli, sets, tmp_path, monkeypatch, no_finish):
    monkeypatch.chdir(tmp_path)
    assert "lemari demo" in cli.refused(1, "embed", "latest", sets / "d.npy")
    cli.done("train", sets / "d.npy", *cli.small)
    (run,) = Path("runs").iterdir()
    for name in ("latest", run.name, run):
        cli.done("embed", name, sets / "d.npy")
    assert Path("codes.parquet").is_file()


@pytest.mark.parametrize(
    ("change", "data", "finding"),
    [
        (("--beta", "1e6"), "d.npy", "posterior-collapse"),
        (("--beta", "1e6"), "d.npy", "constant-output"),
        (("--variant", "ae", "--lr", "1e-12"), "symmetric", "pixel-range"),
        ((), "equal", "constant-data"),
    ],
)
def test_findings(cli, sets, digits, tmp_path, no_pictures, change, data, finding):
    made = {"symmetric": digits[0] / np.float32(127.5) - 1, "equal": digits[0][[0] * 30]}
    path = sets / data
    if data in made:
        path = tmp_path / "data.npy"
        np.save(path, made[data].astype(np.float32) if data == "symmetric" else made[data])
    told = cli.done("train", path, *cli.small, *change, "--out", tmp_path / "run", "--json").json
    assert finding in names_of(told)
    assert all(f["evidence"] and f["remedy"] for f in told["findings"])


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_examples(cli, digits, tmp_path, no_pictures, count):
    np.save(tmp_path / "d.npy", digits[0][:count])
    told = cli.done("train", tmp_path / "d.npy", *cli.small, "--batch-size", 1000, "--out",
                    tmp_path / "run", "--json").json  # fmt: skip
    assert told["data"]["examples"] == 1
    # A perfect baseline has no finite PSNR: shown as "-", in both forms.
    assert "MSE" in cli.done("evaluate", tmp_path / "run").out


def test_one_example_with_all_pictures(cli, digits, tmp_path):
    np.save(tmp_path / "d.npy", digits[0][:1])
    out = cli.done("train", tmp_path / "d.npy", *cli.small, "--out", tmp_path / "run").out
    assert "mean example -" in out and (tmp_path / "run/report.html").is_file()


def test_help_is_quick_and_needs_no_torch():
    code = (
        "import sys\nfrom lemari.surfaces.cli.main import run\n"
        "assert run(['--help'], False) == 0\nassert 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_installed_command():
    command = Path(sys.executable).with_name("lemari")
    told = subprocess.run([command, "models", "show", "nope"], capture_output=True, text=True)
    assert told.returncode == 2 and told.stdout == "" and "Known: ae, linear-ae" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    shown = subprocess.run([command, "--version"], capture_output=True, text=True)
    assert shown.returncode == 0 and shown.stdout.strip()


def test_debug_shows_the_fault():
    command = Path(sys.executable).with_name("lemari")
    words = [command, "data", "inspect", "--debug", os.devnull + "x/y"]
    assert "Traceback" in subprocess.run(words, capture_output=True, text=True).stderr


def test_classes_that_a_conditional_model_does_not_know_are_refused(cli, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    for name, labels in (("seen", y), ("unseen", np.where(y, 7, 0)), ("none", None)):
        np.savez(tmp_path / f"{name}.npz", x=x, **({} if labels is None else {"y": labels}))
    for variant, code in (("cvae", 2), ("vae", 0)):
        run = tmp_path / variant
        cli.done("train", tmp_path / "seen.npz", "--variant", variant, "--label", "y",
                 "--network", "mlp:4", "--latent", 2, "--epochs", 1, "--out", run)  # fmt: skip
        for verb, *further in (("evaluate",), ("embed", "-o", tmp_path / f"{variant}.csv")):
            told = cli.run(verb, run, tmp_path / "unseen.npz", *further)
            assert told.code == code and "7" in told.err
            assert ("no class '7'" in told.err) == (variant == "cvae")
    assert "told no class" in cli.done("evaluate", tmp_path / "cvae", tmp_path / "none.npz").err


def test_all_examples_are_rebuilt_unless_fewer_are_asked_for(cli, whole_run, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (1100, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "many.npy", x)
    words = ("reconstruct", whole_run, tmp_path / "many.npy", "--json")
    told = json.loads(cli.done(*words, "-o", tmp_path / "all").out)
    assert (
        told["rows"] == told["of"] == 1100 and len(list((tmp_path / "all").glob("*.png"))) == 1101
    )
    few = json.loads(cli.done(*words, "-o", tmp_path / "few", "-n", 3).out)
    assert few["rows"] == 3 and few["of"] == 1100
