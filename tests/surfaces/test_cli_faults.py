"""Wrong words and wrong data: one sentence on stderr that says what to do, exit 1 or 2."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lemari.registry import VARIANTS
from lemari.store import Fitted, read_recipe

READERS = ("train", "inspect", "embed", "reconstruct", "evaluate", "morph")


@pytest.fixture
def bad(tmp_path, digits) -> Path:
    """A folder with data that cannot be used."""
    x = digits[0]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for i in range(3):
        (tmp_path / f"broken/{i}.png").write_bytes(b"no picture")
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps([1, 2]))
    missing = x.astype(np.float32) / 255
    missing[3] = np.nan
    np.save(tmp_path / "nan.npy", missing)
    (tmp_path / "text.csv").write_text("a,b\nhello,1\nworld,2\nagain,3\n")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "nan.npy").read_bytes()[:-50])
    (tmp_path / "zero.npy").write_bytes(b"")
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 and no more")
    return tmp_path


FAULTS = {
    "nowhere.npy": (1, "does not exist"),
    "nowhere": (1, "does not exist"),
    "empty": (1, "holds no picture"),
    "broken": (1, "0.png"),
    "objects.npy": (1, "Python objects"),
    "pickle.npy": (1, "cannot be read"),
    "nan.npy": (1, "Row 3"),
    "text.csv": (1, "Column 'a'"),
    "cut.npy": (1, "cut.npy"),
    "zero.npy": (1, "zero.npy"),
    "cut.zip": (1, "cut.zip"),
}


def words_for(verb: str, run: Path, data: Path | str, out: Path) -> list:
    return {
        "train": ["train", data, "--network", "mlp:16", "--epochs", 1, "--out", out / "new"],
        "inspect": ["data", "inspect", data],
        "embed": ["embed", run, data, "-o", out / "new.parquet"],
        "reconstruct": ["reconstruct", run, data, "-o", out / "new"],
        "evaluate": ["evaluate", run, data],
        "morph": ["morph", run, data, "-o", out / "new.png"],
    }[verb]


# Text in a table is no fault for `data inspect`, which shows the kinds of its columns.
CASES = [(n, v) for n in FAULTS for v in READERS if (n, v) != ("text.csv", "inspect")]


@pytest.mark.parametrize(("name", "verb"), CASES)
def test_bad_data(cli, bad, whole_run, verb, name):
    code, said = FAULTS[name]
    words = words_for(verb, whole_run, bad / name, bad)
    assert said in cli.refused(code, *words)
    fault = json.loads(cli.refused(code, *words, "--json"))
    assert said in fault["error"] and fault["exit"] == code
    assert not list(bad.glob("new*"))


def test_a_table_with_text_is_shown_column_by_column(cli, bad):
    found = cli.done("data", "inspect", bad / "text.csv", "--json").json
    kinds = {c["name"]: c["kind"] for c in found["columns"]}
    assert kinds == {"a": "category", "b": "numeric"}


@pytest.mark.parametrize("verb", READERS)
def test_a_misspelt_name_is_answered_with_the_right_one(cli, whole_run, tmp_path, verb):
    words = words_for(verb, whole_run, "digit", tmp_path)
    assert "did you mean 'digits'" in cli.refused(2, *words)


WRONG = {
    ("--variant", "vea"): "did you mean 'vae'",
    ("--network", "mpl"): "did you mean 'mlp'",
    ("--network", "mlp:0"): "mlp:300-200",
    ("--network", "mlp:65536-65536-65536"): "more than 500,000,000",
    ("--network", "mlp:" + "-".join(["2"] * 150)): "200 characters",
    ("--bta", "4"): "did you mean '--beta'",
    ("--beta", "x"): "takes a number",
    ("--beta", "nan"): "takes a number",
    ("--beta",): "needs a value",
    ("another",): "another",
    ("--likelihood", "gausian"): "gaussian",
    ("--sigma", "0"): "above 0",
    ("--latent", "0"): "1 to 65536",
    ("--latent", "-3"): "1 to 65536",
    ("--latent", "1000000000"): "1 to 65536",
    ("--latent", "two"): "--latent",
    ("--epochs", "-1"): "at least 1",
    ("--epochs", "0"): "at least 1",
    ("--batch-size", "0"): "at least 1",
    ("--lr", "0"): "above 0",
    ("--lr", "nan"): "above 0",
    ("--lr", "inf"): "above 0",
    ("--threads", "999"): "on this machine",
    ("--threads", "0"): "on this machine",
    ("--precision", "f16"): "bfloat16",
    ("--schedule", "cos"): "cosine",
    ("--held-out", "1"): "held-out",
    ("--seed", "9" * 30): "--seed",
    ("--size", "x"): "--size",
    ("--fit", "x"): "crop",
    ("--channels", "2"): "1, 3, 4",
    ("--variant", "cvae"): "needs labels",
    ("--warm-up", "-1"): "0 steps or more",
    ("--variant", "ae", "--beta", "2"): "no option --beta, but vae, beta-vae",
    ("--variant", "linear-ae", "--network", "mlp"): "no option --network, but ae",
    ("--variant", "iwae", "--doubly=maybe"): "--doubly is true or false",
    ("--variant", "iwae", "--draws", "6000"): "at most 5000",
    ("--variant", "beta-tc-vae", "--beta", "0.5"): "beta of 1",
    ("--variant", "dip-vae", "--diagonal", "-1"): "the diagonal must be 0 or more",
    ("--variant", "vq-vae", "--commitment", "-1"): "'commitment' must be 0 or more",
    ("--variant", "factor-vae", "--gamma", "-1"): "'tc' must be 0 or more",
    ("--variant", "capacity-vae", "--capacity", "-1"): "capacity must be 0 or more",
    ("--variant", "flow-prior-vae", "--latent", "5000"): "autoregressive maps of 5000",
    ("--variant", "masked-ae", "--mask", "0"): "between 0 and 1",
    ("--variant", "masked-ae", "--block", "0"): "at least 1 pixel wide",
}


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:30])
def test_wrong_options_of_train(cli, sets, tmp_path, words):
    out = tmp_path / "run"
    fault = cli.refused(2, "train", sets / "d.npy", *cli.small, "--out", out, *words)
    assert WRONG[words] in fault
    assert not out.exists()  # nothing is left behind that a second try would stumble over


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "RUN", "-n", "0"], "-n is 1 to"),
        (["generate", "RUN", "--mode", "x"], "traversal"),
        (["generate", "RUN", "-o", "x.txt"], ".npz"),
        (["generate", "RUN", "-o", "x.csv"], ".npz"),
        (["generate", "RUN", "--class", "3"], "cvae"),
        (["generate", "RUN", "--temperature", "nan"], "--temperature"),
        (["generate", "RUN", "--seed", "9" * 30], "--seed"),
        (["evaluate", "RUN", "--nll", "-1"], "--nll"),
        (["embed", "RUN", "DATA", "-o", "codes.txt"], ".parquet"),
        (["reconstruct", "RUN", "DATA", "-n", "0"], "-n is at least 1"),
        (["morph", "RUN", "DATA", "-o", "m.txt"], ".gif"),
        (["morph", "RUN", "DATA", "--from", "99"], "0 to 59"),
        (["morph", "RUN", "DATA", "--steps", "1"], "at least 2"),
        (["morph", "RUN", "DATA", "--path", "x"], "slerp"),
        (["models", "show", "vea"], "did you mean 'vae'"),
        (["models", "show", "vae", "--latent", "1000000000"], "65536"),
        (["models", "show", "vae", "--shape", "1,99999,99999"], "--shape"),
        (["models", "show", "vae", "--shape", "0,2,2"], "--shape"),
        (["models", "show", "vae", "--network", "mlp:65536-65536-65536"], "500,000,000"),
        (["runs", "compare", "RUN"], "two runs"),
        (["data", "inspect"], "DATA"),
        (["train"], "lemari train DATA"),
        (["embd", "RUN", "DATA"], "'embed'"),
        (["embed", "RUN"], "DATA"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_words(cli, whole_run, sets, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    places = {"RUN": whole_run, "DATA": sets / "d.npy"}
    assert said in cli.refused(2, *(places.get(word, word) for word in words))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "want"),
    [(["--doubly"], True), (["--doubly", "yes"], True), (["--doubly=false"], False), ([], None)],
    ids=str,
)
def test_switches_are_kept_as_true_and_false(cli, sets, tmp_path, no_finish, words, want):
    out = tmp_path / "run"
    data, small = sets / "d.npy", [*cli.small, "--network", "mlp:8", "--out", out]
    cli.done("train", "--variant", "iwae", *words, data, *small)
    assert read_recipe(out / "recipe.json").options.get("doubly") is want
    Fitted.load(out)


def test_every_variant_can_be_shown(cli):
    for variant in VARIANTS:
        layers = cli.done("models", "show", variant, "--json").json["layers"]
        names = [row["name"] for row in layers]
        assert len(names) == len(set(names)), variant


@pytest.mark.parametrize("run", ["nowhere", "empty", "", "\0"])
def test_what_is_no_run(cli, sets, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    data = sets / "d.npy"
    for words in (
        ("embed", run, data), ("reconstruct", run, data), ("evaluate", run), ("generate", run),
        ("morph", run, data), ("report", run), ("runs", "compare", run, run),
    ):  # fmt: skip
        assert "run" in cli.refused(1, *words) or "recipe.json" in cli.refused(1, *words)
    if run:
        assert "run" in cli.refused(1, "train", "--resume", run)
    assert [p.name for p in tmp_path.iterdir()] == ["empty"] and not list(
        (tmp_path / "empty").iterdir()
    )


@pytest.mark.parametrize("verb", ["embed", "reconstruct", "evaluate", "morph"])
@pytest.mark.parametrize("shape", [(5, 30, 30), (5, 8, 8, 3), (5, 10)])
def test_data_of_another_shape(cli, whole_run, tmp_path, verb, shape):
    data = tmp_path / "other.npy"
    np.save(data, np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8))
    fault = cli.refused(1, *words_for(verb, whole_run, data, tmp_path))
    assert "needs (N, 8, 8)" in fault


def test_data_of_another_kind(cli, whole_run, sets, tmp_path, no_finish):
    assert "(60, 10)" in cli.refused(1, "embed", whole_run, sets / "d.parquet")
    run = tmp_path / "table"
    cli.done("train", sets / "d.parquet", *cli.small, "--out", run)
    for data in ("d.npy", "pictures", "d.zip", "d.csv"):
        cli.refused(1, "embed", run, sets / data, "-o", tmp_path / "codes.parquet")
    assert "table" in cli.refused(2, "morph", run, sets / "d.parquet")
    assert "table" in cli.refused(2, "generate", run, "-o", tmp_path / "x.png")


@pytest.mark.parametrize("verb", ["train", "embed", "reconstruct", "generate", "morph"])
def test_a_file_in_the_way(cli, whole_run, sets, tmp_path, verb):
    way = tmp_path / "way"
    way.write_text("here first")
    data = sets / "d.npy"
    words = {
        "train": ["train", data, *cli.small, "--out", way / "run"],
        "embed": ["embed", whole_run, data, "-o", way / "c.parquet"],
        "reconstruct": ["reconstruct", whole_run, data, "-o", way / "made"],
        "generate": ["generate", whole_run, "-n", 2, "-o", way / "s.png"],
        "morph": ["morph", whole_run, data, "-o", way / "m.png"],
    }[verb]
    assert "Cannot" in cli.refused(1, *words) and way.read_text() == "here first"
    cli.refused(1, "train", data, *cli.small, "--out", way)
    cli.refused(1, "reconstruct", whole_run, data, "-o", way)
    assert way.read_text() == "here first"


def test_a_folder_with_files_is_left_alone(cli, whole_run, sets, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    fault = cli.refused(1, "reconstruct", whole_run, sets / "d.npy", "-o", tmp_path)
    assert "not empty" in fault and [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def picture(digits, i: int) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(digits[0][i]).save(content, "PNG")
    return content.getvalue()


ODD = ("ünï.png", "a\nb.png", "\x1b[31mred.png", "字" * 80 + ".png", "-rf.png", "a;b$(x).png",
       "__.png", "...png", " .png")  # fmt: skip


def test_odd_file_names(cli, whole_run, digits, tmp_path, no_finish):
    folder, made = tmp_path / "data", tmp_path / "made"
    folder.mkdir()
    for i, name in enumerate(ODD):
        (folder / name).write_bytes(picture(digits, i))
    (folder / "bad\nname.png").write_bytes(b"no picture")
    told = cli.done("data", "inspect", folder)
    assert "'bad\\nname.png'" in told.out  # shown on one line
    assert (
        cli.done("data", "inspect", folder, "--json").json["skipped"][0]["file"] == "bad\nname.png"
    )
    assert cli.done("embed", whole_run, folder, "-o", tmp_path / "c.csv", "--json").json["rows"]
    files = cli.done("reconstruct", whole_run, folder, "-o", made, "--json").json["files"]
    usable = [name for name in ODD if not name.startswith(".")]
    assert len(files) == len(set(files)) >= len(usable)
    assert sorted(files) == sorted(p.name for p in made.iterdir())
    assert all(name.isprintable() and not name.startswith((".", " ")) for name in files)
    cli.done("train", folder, *cli.small, "--out", tmp_path / "run")


OUT = ("../../evil.png", "/etc/evil.png", "a/../../../b.png", "C:\\evil.png", "字" * 120 + ".png",
       "d" * 5000 + ".png", "..png", "....//x.png", "A.png", "a.png", "_strip.png",
       "x/../a.png", "\\\\host\\share.png", "b/c.png", "b_c.png", "CON.png")  # fmt: skip


def test_names_in_an_archive_cannot_leave_the_folder(cli, whole_run, digits, tmp_path):
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for i, name in enumerate(OUT):
            archive.writestr(name, picture(digits, i))
    told = cli.done("reconstruct", whole_run, tmp_path / "d.zip", "-o", inner / "made", "--json")
    files = told.json["files"]
    assert {p.name for p in (inner / "made").iterdir()} == set(files) and len(files) >= 4
    everything = {p for p in tmp_path.rglob("*") if p.is_file()} - {tmp_path / "d.zip"}
    assert all(p.parent == inner / "made" for p in everything)


@pytest.mark.parametrize("text", ["../../x", "/etc/passwd", "..", "", "a/b\\c", "字" * 500, "nul\0",
                                  "x" * 999, ".hidden", "\u202egnp", "a" * 199 + "é"])  # fmt: skip
def test_safe_name(text):
    from lemari.tasks.rebuild import safe_name

    name = safe_name(text)
    assert name and len(name.encode()) <= 200 and not name.startswith(".")
    assert not set(name) & set('/\\\0\n:*?"<>|') and name.isprintable()


def test_a_batch_larger_than_the_data(cli, sets, tmp_path, no_finish):
    cli.done("train", sets / "d.npy", *cli.small, "--batch-size", 10**6, "--out", tmp_path / "r")


def test_labels_for_only_some_rows(cli, sets, tmp_path, no_pictures):
    lines = (sets / "d.csv").read_text().splitlines()
    some = [line if i % 3 else "," + line.split(",", 1)[1] for i, line in enumerate(lines[1:])]
    data, run = tmp_path / "some.csv", tmp_path / "run"
    data.write_text("\n".join([lines[0], *some]) + "\n")
    outcome = cli.run("train", data, *cli.small, "--out", run)
    assert outcome.code in (0, 1)
    if outcome.code == 0:
        from pyarrow import parquet

        cli.done("embed", run, data, "-o", tmp_path / "c.parquet")
        labels = parquet.read_table(tmp_path / "c.parquet")["label"]
        assert labels.null_count == sum(1 for line in some if line.startswith(","))
        cli.done("evaluate", run, "--json")


DIVERGING = {
    "in the first epoch": ("--batch-size", "16", "--epochs", "1"),
    "by its last step": ("--batch-size", "100", "--epochs", "1"),
    "in the second epoch": ("--batch-size", "100", "--epochs", "2"),
}


@pytest.mark.parametrize("when", DIVERGING)
def test_divergence(cli, sets, tmp_path, no_finish, when):
    from lemari.store import Fitted

    run, data = tmp_path / "run", sets / "d.npy"
    words = ("train", data, *cli.small, *DIVERGING[when], "--lr", "1e30", "--out", run)
    fault = cli.refused(1, *words)
    assert "The term '" in fault and "Lower the learning rate" in fault
    assert Fitted.load(run)  # the weights of the last good epoch: whole, and finite
    cli.done("embed", run, data, "-o", tmp_path / "codes.parquet")
    assert "Lower the learning rate" in cli.refused(1, "train", "--resume", run)


def test_a_fault_of_ours_is_one_sentence_too(whole_run, monkeypatch, capsys):
    from lemari.surfaces.cli.main import run
    from lemari.tasks import create

    def fail(*given):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(create, "create", fail)
    assert run(["generate", str(whole_run)], debug=False) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: A fault in Lemari (ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        run(["generate", str(whole_run)], debug=True)


@pytest.mark.parametrize("fault", [MemoryError(), KeyboardInterrupt(), OSError(28, "No space")])
def test_faults_of_the_machine(cli, whole_run, monkeypatch, fault):
    from lemari.tasks import create

    def fail(*given):
        raise fault

    monkeypatch.setattr(create, "create", fail)
    cli.refused(1, "generate", whole_run)
