"""A model file is data: damaged or forged, it is refused with one sentence and runs nothing."""

from __future__ import annotations

import builtins
import hashlib
import json
import pickle
import random
import re
import shutil
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from lemari.errors import ModelFileError
from lemari.store import PARTS, Fitted

NAME = "encoder.0.weight"


@pytest.fixture(scope="module")
def saved(cli, sets, tmp_path_factory) -> Path:
    """A small saved model. Not to be changed."""
    run, model = tmp_path_factory.mktemp("saved") / "run", tmp_path_factory.mktemp("saved") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lemari.tasks.finish.finish",
            lambda *given: {
                "scores": [],
                "findings": [],
                "seconds": 0.0,
                "floor": None,
                "terms": {},
            },
        )
        cli.done("train", sets / "d.npz", *cli.small, "--out", run)
    return Fitted.load(run).save(model)


@pytest.fixture
def model(saved, tmp_path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def nothing_runs(saved, monkeypatch):
    """Whatever could run code from a file fails the test."""
    Fitted.load(saved)  # what is imported late is imported now

    def fail(*given, **named):
        raise AssertionError("a loader that can run code was called")

    for owner, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load"),
                        (builtins, "eval"), (builtins, "exec")):  # fmt: skip
        monkeypatch.setattr(owner, name, fail)


def seal(folder: Path) -> None:
    """What a forger does: put the right sums into the index."""
    sums = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in PARTS}
    (folder / "index.json").write_text(json.dumps({"version": 1, "sha256": sums}))


def refuse(folder: Path) -> str:
    """The folder is refused, with a message of bounded length on one line."""
    with pytest.raises(ModelFileError) as caught:
        Fitted.load(folder)
    text = str(caught.value)
    assert len(text) < 900 and text.isprintable(), text
    return text


def edit(folder: Path, name: str, change) -> None:
    value = json.loads((folder / name).read_text())
    changed = change(value)
    (folder / name).write_text(changed if isinstance(changed, str) else json.dumps(value))
    seal(folder)


def put(*keys_and_value):
    """A change that sets value[k1][k2]... to something else."""
    *keys, last, new = keys_and_value

    def change(value):
        for key in keys:
            value = value[key]
        value[last] = new

    return change


def test_saving_and_loading(saved, nothing_runs):
    assert {path.name for path in saved.iterdir()} == {*PARTS, "index.json"}
    assert Fitted.load(saved).recipe.variant == "vae"


@pytest.mark.parametrize("name", [*PARTS, "index.json"])
def test_every_byte_counts(model, name):
    path, chance = model / name, random.Random(name)
    whole = path.read_bytes()
    places = range(len(whole)) if len(whole) < 500 else chance.sample(range(len(whole)), 500)
    for place in places:
        content = bytearray(whole)
        content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        if name == "index.json" and is_same(content, whole):
            continue
        refuse(model)
    for size in (0, 1, 7, 8, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        if name != "index.json" or size < len(whole) - 1:  # the last byte is a line's end
            refuse(model)
    path.write_bytes(whole + b"x")
    refuse(model)
    path.unlink()
    assert name in refuse(model) or "holds no finished model" in refuse(model)
    path.mkdir()
    refuse(model)


def is_same(content: bytes, whole: bytes) -> bool:
    """Whether two indexes say the same (a blank became another blank)."""
    try:
        return json.loads(bytes(content)) == json.loads(whole)
    except ValueError:
        return False


@pytest.mark.parametrize("name", PARTS)
def test_a_sealed_flip_is_refused_or_harmless(model, name, nothing_runs):
    path, chance = model / name, random.Random(name)
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0] if name.startswith("weights") else len(whole)
    for place in range(0, header, 2):
        content = bytearray(whole)
        content[place] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        seal(model)
        try:
            Fitted.load(model)
        except ModelFileError as fault:
            assert str(fault).isprintable()


FORGED_RECIPES = {
    "unknown key": put("x", 1),
    "unknown data key": put("data", "x", 1),
    "unknown option": put("options", "x", 1),
    "another version": put("version", 2),
    "code as variant": put("variant", "os:system"),
    "number as variant": put("variant", 3),
    "text as epochs": put("epochs", "3"),
    "fraction as epochs": put("epochs", 3.5),
    "huge seed": put("seed", 10**30),
    "a thousand million threads": put("threads", 10**9),
    "unknown precision": put("precision", "float16"),
    "endless rate": lambda value: json.dumps(value).replace("0.001", "1e400"),
    "NaN": lambda value: json.dumps(value).replace("0.001", "NaN"),
    "code as network": put("options", "network", "os:system"),
    "path as network": put("options", "network", "../../x"),
    "number as network": put("options", "network", 5),
    "null as network": put("options", "network", None),
    "200,000 layers": put("options", "network", "mlp:" + "-".join(["1"] * 200_000)),
    "huge layers": put("options", "network", "mlp:65536-65536-65536"),
    "huge latent": put("options", "latent", 10**9),
    "large latent": put("options", "latent", 65536),
    "true as latent": put("options", "latent", True),
    "text as latent": put("options", "latent", "2"),
    "negative latent": put("options", "latent", -1),
    "text as beta": put("options", "beta", "x"),
    "list as beta": put("options", "beta", [1]),
    "negative sigma": put("options", "sigma", -1.0),
    "unknown likelihood": put("options", "likelihood", "os:system"),
    "number as likelihood": put("options", "likelihood", 3),
    "fraction as warm-up": put("options", "warm_up", 1.5),
    "download by recipe": put("data", "options", "download", True),
    "split by recipe": put("data", "options", "split", "all"),
    "text as shape": put("data", "options", "shape", "x"),
    "text as data": put("data", "x"),
    "a list": lambda value: json.dumps([value]),
    "null": lambda value: "null",
    "nothing": lambda value: " ",
    "no text": lambda value: "\x00\x01",
    "deep": lambda value: "[" * 100_000 + "]" * 100_000,
    "deep inside": lambda value: json.dumps(value)[:-1] + ',"a":' + "[" * 900 + "]" * 900 + "}",
    "control characters": put("variant", "\x1b[31mred\nline"),
    "long text": put("variant", "x" * 100_000),
}


@pytest.mark.parametrize("what", FORGED_RECIPES)
def test_forged_recipes(model, nothing_runs, what):
    edit(model, "recipe.json", FORGED_RECIPES[what])
    tracemalloc.start()
    refuse(model)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


FORGED_FORMATS = {
    "huge shape": put("shape", [1, 10**9, 10**9]),
    "large shape": put("shape", [1, 16384, 16384]),
    "another shape": put("shape", [1, 9, 8]),
    "text in shape": put("shape", ["1", 8, 8]),
    "negative shape": put("shape", [1, -8, 8]),
    "another kind": put("kind", "table"),
    "code as kind": put("kind", "os:system"),
    "long class": put("classes", ["x" * 5000]),
    "text as classes": put("classes", "abc"),
    "unknown key": put("x", 1),
    "low above high": put("low", 300.0),
    "endless high": lambda value: json.dumps(value).replace("255.0", "1e999"),
    "objects": put("dtype", "object"),
    "list as layout": put("layout", [3]),
    "true as levels": put("levels", True),
    "true as version": put("version", True),
    "deep": lambda value: "[" * 100_000,
}


@pytest.mark.parametrize("what", FORGED_FORMATS)
def test_forged_formats(model, nothing_runs, what):
    edit(model, "format.json", FORGED_FORMATS[what])
    refuse(model)


def tensors(change):
    """A change of the weights' tensors."""

    def make(content: bytes) -> bytes:
        found = load(content)
        change(found)
        return save({name: tensor.clone() for name, tensor in found.items()})

    return make


def header(change):
    """A change of the weights' header, which leaves the numbers as they are."""

    def make(content: bytes) -> bytes:
        (length,) = struct.unpack("<Q", content[:8])
        rows = json.loads(content[8 : 8 + length])
        changed = change(rows)
        text = (changed if isinstance(changed, str) else json.dumps(rows)).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    return make


def twice(rows: dict) -> str:
    """The first name stands twice."""
    pairs = [f"{json.dumps(name)}:{json.dumps(row)}" for name, row in rows.items()]
    return "{" + ",".join([pairs[0], *pairs]) + "}"


def many(count: int):
    return lambda rows: json.dumps(
        {str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(count)}
    )


FORGED_WEIGHTS = {
    "NaN": tensors(lambda found: found[NAME].view(-1)[:1].fill_(float("nan"))),
    "infinity": tensors(lambda found: found[NAME].view(-1)[:1].fill_(float("inf"))),
    "a missing tensor": tensors(lambda found: found.pop(NAME)),
    "another tensor": tensors(put("x", torch.zeros(2))),
    "a long name": tensors(put("x" * 100_000, torch.zeros(2))),
    "control characters": tensors(put("\x1b[31m\nline", torch.zeros(2))),
    "another shape": tensors(put(NAME, torch.zeros(3))),
    "a turned shape": tensors(put(NAME, torch.zeros(64, 16))),
    "a pickle": lambda content: pickle.dumps(list(range(1000))),
    "nothing": lambda content: b"",
    "eight bytes": lambda content: content[:8],
    "endless header": lambda content: struct.pack("<Q", 2**63) + content[8:],
    "short header": lambda content: struct.pack("<Q", 5) + content[8:],
    "a list": header(lambda rows: json.dumps([rows])),
    "a number": header(lambda rows: "5"),
    "null": header(lambda rows: "null"),
    "200,000 empty tensors": header(many(200_000)),
    "a name twice": header(twice),
    "deep": header(lambda rows: "[" * 200_000 + "]" * 200_000),
    "huge side": header(put(NAME, "shape", ["9" * 5000])),
    "infinite side": header(lambda rows: json.dumps(rows).replace("[16, 64]", "[1e999, 64]")),
    "negative sides": header(put(NAME, "shape", [-16, -64])),
    "huge shape": header(put(NAME, "shape", [2**40, 2**40])),
    "unknown type": header(put(NAME, "dtype", "OBJECT")),
    "list as type": header(put(NAME, "dtype", ["F32"])),
    "no offsets": header(lambda rows: rows[NAME].pop("data_offsets") and None),
    "offsets before the start": header(put(NAME, "data_offsets", [-4096, 0])),
    "offsets beyond the end": header(put(NAME, "data_offsets", [10**9, 10**9 + 4096])),
    "a tensor over another": header(put(NAME, "data_offsets", [0, 4096])),
    "a row that is a list": header(put(NAME, [1])),
    "more at the end": lambda content: content + b"\0" * 64,
}


@pytest.mark.parametrize("what", FORGED_WEIGHTS)
def test_forged_weights(model, nothing_runs, what):
    path = model / "weights.safetensors"
    content = FORGED_WEIGHTS[what](path.read_bytes())
    assert content != path.read_bytes()
    path.write_bytes(content)
    seal(model)
    refuse(model)


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "5", "{}", '{"version": 1}', '{"version": 1, "sha256": []}',
     '{"version": 2, "sha256": {}}', '{"version": 1, "sha256": {"../../x": "a"}}',
     '{"version": 1, "sha256": {"recipe.json": "a"}}', '{"a":' * 50_000, "NaN"],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_forged_indexes(model, nothing_runs, text):
    (model / "index.json").write_text(text)
    refuse(model)


@pytest.mark.parametrize("name", [*PARTS, "index.json"])
def test_a_huge_part_is_not_read(model, name):
    with (model / name).open("r+b") as file:
        file.truncate(70 << 20 if name.endswith("json") else 9 << 30)  # sparse: takes no disk
    tracemalloc.start()
    refuse(model)
    assert tracemalloc.get_traced_memory()[1] < 30e6
    tracemalloc.stop()


def test_weights_of_another_model(model, cli, sets, tmp_path, no_finish):
    cli.done("train", sets / "d.npz", *cli.small, "--network", "mlp:17", "--out", tmp_path / "b")
    shutil.copy(tmp_path / "b/weights.safetensors", model)
    assert "is not the file that was saved" in refuse(model)
    seal(model)
    assert "does not hold the weights that its recipe asks for" in refuse(model)


@pytest.mark.parametrize(
    "verb", ["embed", "reconstruct", "evaluate", "generate", "morph", "report"]
)
def test_commands_refuse_forged_files(cli, model, sets, verb):
    edit(model, "recipe.json", put("options", "network", "os:system"))
    data = [sets / "d.npy"] if verb in ("embed", "reconstruct", "evaluate", "morph") else []
    assert "os:system" in cli.refused(1, verb, model, *data)
    (model / "weights.safetensors").write_bytes(b"")
    assert "was changed" in cli.refused(1, verb, model, *data)


@pytest.mark.parametrize("name", ["recipe.json", "format.json"])
@pytest.mark.parametrize("text", ["", "[]", "null", '{"version": 1}', "[" * 10_000])
def test_a_resume_refuses_forged_files(cli, model, name, text):
    (model / name).write_text(text)
    cli.refused(1, "train", "--resume", model)


@pytest.mark.parametrize("text", ["", "[]", "5", '{"scores": 3, "data": []}', "[" * 10_000])
def test_a_list_of_runs_survives_damage(cli, model, text):
    (model / "summary.json").write_text(text)
    (model / "report.html").write_text("")
    (row,) = cli.done("runs", "--folder", model.parent, "--json").json["runs"]
    assert row["state"] == "damaged"
    cli.done("runs", "--folder", model.parent)


FORBIDDEN = (
    r"allow_pickle=True|torch\.load\b|\bpickle\.\w|\bimport pickle|joblib|"
    r"\bimport yaml|\byaml\.|(?<![.\w])(eval|exec)\("
)


def test_the_source_has_no_loader_that_runs_code():
    import lemari

    files = list(Path(lemari.__file__).parent.rglob("*.py"))
    assert len(files) > 50
    found = [f"{path}: {line}" for path in files for line in path.read_text().splitlines()
             if re.search(FORBIDDEN, line)]  # fmt: skip
    assert not found
