"""Training that restores: every corruption, patches, pairs, resumes, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow  # many small trainings; the laws of restoring are quick

FAST = ("--epochs", "1", "--threads", "1", "--precision", "float32")
UNET = ("--network", "unet:4-8")
KINDS = {
    "gaussian": ("--noise", "0.3"),
    "blind range": ("--noise", "0:0.2"),
    "clipped": ("--kind", "clipped", "--noise", "0.3"),
    "lesson": ("--kind", "lesson", "--noise", "0.3"),
    "poisson": ("--kind", "poisson", "--noise", "30"),
    "salt-pepper": ("--kind", "salt-pepper", "--noise", "0.1"),
    "speckle": ("--kind", "speckle", "--noise", "0:0.3"),
    "jpeg": ("--kind", "jpeg", "--noise", "10:60"),
    "blur": ("--kind", "blur", "--noise", "1"),
    "blind-spot": ("--kind", "blind-spot"),
}


def waves(number: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    """A smooth picture of its own frequencies, as bytes (H, W) or (H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    a, b, phase = np.random.default_rng(number).uniform((0.03, 0.03, 0), (0.2, 0.2, 6))
    v = 0.5 + 0.4 * np.sin(a * x + b * y + phase) * np.cos(b * x - a * y)
    v = np.stack([v, 1 - v, v / 2], -1) if channels == 3 else v
    return (v * 255).round().astype(np.uint8)


def write_folder(folder: Path, pictures: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Folders of 6 pictures: small, large and their noisy twins, colour, and one broken file."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, size in (("small", (24, 24)), ("large", (80, 96))):
        clean = [waves(i, *size) for i in range(6)]
        noisy = [np.clip(p + rng.normal(0, 30, p.shape), 0, 255).astype(np.uint8) for p in clean]
        write_folder(root / name, clean)
        write_folder(root / f"{name}-noisy", noisy)
    write_folder(root / "colour", [waves(i, 40, 40, 3) for i in range(6)])
    shutil.copytree(root / "small", root / "mixed")
    (root / "mixed" / "broken.png").write_bytes(b"nonsense")
    (root / "empty").mkdir()
    head = ",".join(f"c{i}" for i in range(6))
    rows = [",".join(f"{v:.4f}" for v in row) for row in rng.normal(size=(40, 6))]
    (root / "table.csv").write_text("\n".join([head, *rows]) + "\n")
    return root


def recipe_of(run: Path) -> dict:
    return json.loads((run / "recipe.json").read_text())


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


def check_whole(run: Path, summary: dict, score: str = "restored PSNR") -> None:
    """A restoring run is complete, and no part of it speaks of a code that is not there."""
    names = {path.name for path in run.iterdir()}
    assert {"recipe.json", "format.json", "weights.safetensors", "index.json", "summary.json",
            "metrics.jsonl", "card.md", "report.html"} <= names  # fmt: skip
    assert summary["scores"][0]["name"] == score
    assert np.isfinite(summary["scores"][0]["value"])
    assert (run / "figures" / "restored.png").stat().st_size > 1000
    report, card = (run / "report.html").read_text(), (run / "card.md").read_text()
    assert "Restored pictures" in report and "data:image/png" in report
    assert score in card and score in report
    shown = re.sub(r'"data:[^"]*"', "", report)
    for text in (shown, card):
        assert "None numbers" not in text and "code of None" not in text and "nan" not in text
    assert summary["next"].startswith("lemari restore")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_noise_leaves_a_whole_run(cli, sets, tmp_path, kind):
    run = tmp_path / "run"
    words = ("train", sets / "d.npy", "--task", "denoise", *KINDS[kind], *UNET, *FAST)
    outcome = cli.done(*words, "--out", run)
    assert f"Next: lemari restore {run} FILES" in outcome.out and "skips for a code" in outcome.err
    summary = json.loads((run / "summary.json").read_text())
    check_whole(run, summary, "hidden-pixel PSNR" if kind == "blind-spot" else "restored PSNR")
    baselines = {b["name"] for b in summary["scores"][0]["baselines"]}
    assert baselines == {"degraded", "median"}


@pytest.mark.parametrize(
    ("data", "words", "patch", "baseline"),
    [
        ("large", ("--task", "denoise", *UNET), 64, "degraded"),
        ("small", ("--task", "denoise", *UNET), None, "degraded"),
        ("large", ("--task", "upscale", "--network", "upscale:4-4"), 64, "bicubic"),
        ("large", ("--task", "upscale", "--scale", "3", "--network", "upscale:4"), 78, "bicubic"),
        ("colour", ("--task", "upscale", "--scale", "4", "--down", "area", "--network",
                    "upscale:4-4"), None, "bicubic"),
        ("small", ("--task", "inpaint", "--mask", "0.25", "--block", "4", *UNET), None, "degraded"),
        ("large", ("--task", "inpaint", "--patch", "32", *UNET), 32, "degraded"),
    ],
)  # fmt: skip
def test_every_task_and_its_patches(cli, pictures, tmp_path, data, words, patch, baseline):
    run = tmp_path / "run"
    summary = cli.done("train", pictures / data, *words, *FAST, "--out", run, "--json").json
    check_whole(run, summary)
    recipe = recipe_of(run)
    assert recipe["data"]["options"].get("patch") == patch
    assert (recipe["batch_size"], recipe["augment"]) == (
        (16, "dihedral") if patch else (128, "none")
    )
    assert baseline in {b["name"] for b in summary["scores"][0]["baselines"]}
    assert cli.done("evaluate", run, "--json").json["scores"] == summary["scores"]


@pytest.mark.parametrize(
    ("task", "network"),
    [("denoise", "mlp:16"), ("inpaint", "residual:4-8"), ("upscale", "mlp:16")],
)
def test_a_bottleneck_has_a_code_as_well(cli, sets, tmp_path, no_pictures, task, network):
    """Codes, samples and reconstructions of a denoiser with a bottleneck are those of any model."""
    run = tmp_path / "run"
    words = ("train", sets / "d.npy", "--task", task, "--network", network, "--latent", "3")
    cli.done(*words, *FAST, "--out", run)
    summary = json.loads((run / "summary.json").read_text())
    names = [score["name"] for score in summary["scores"]]
    assert names[0] == "restored PSNR" and "MSE" in names and summary["latent"] == 3
    again = cli.done("evaluate", run, "--json").json["scores"]
    assert again[0] == summary["scores"][0]
    codes = tmp_path / "codes.csv"
    assert cli.done("embed", run, sets / "d.npy", "-o", codes, "--json").json["dimensions"] == 3
    cli.done("generate", run, "-n", 4, "-o", tmp_path / "s.npz")
    cli.done("reconstruct", run, sets / "d.npy", "-o", tmp_path / "made")


def test_the_network_of_the_lesson(cli, digits, tmp_path, no_pictures):
    """Pictures of 28x28, as in the lesson."""
    x = np.kron(digits[0][:24], np.ones((1, 4, 4), np.uint8))[:, 2:30, 2:30]
    np.save(tmp_path / "d.npy", x)
    run = tmp_path / "run"
    words = ("--task", "denoise", "--kind", "lesson", "--noise", "0.3", "--network", "lesson-conv")
    cli.done("train", tmp_path / "d.npy", *words, *FAST, "--out", run)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["scores"][0]["name"] == "restored PSNR"
    folder = write_folder(tmp_path / "noisy", list(x[:2]))
    cli.done("restore", run, folder, "-o", tmp_path / "out")
    assert np.asarray(Image.open(tmp_path / "out" / "p0.png")).shape == (28, 28)


def test_pairs_choose_the_kind_and_are_scored(cli, pictures, tmp_path):
    for size in ("small", "large"):
        run, noisy = tmp_path / size, pictures / f"{size}-noisy"
        words = ("--task", "denoise", "--degraded", noisy, *UNET, *FAST, "--out", run, "--json")
        summary = cli.done("train", pictures / size, *words).json
        check_whole(run, summary)
        assert recipe_of(run)["options"]["kind"] == "given"
        degraded = summary["scores"][0]["baselines"][0]
        assert degraded["name"] == "degraded" and 17 < degraded["value"] < 20  # sigma 30 of 255
        cli.done("restore", run, noisy, "-o", tmp_path / f"{size}-out")
        cli.done("evaluate", run)
        assert "leave out DATA" in cli.refused(2, "evaluate", run, noisy)


@pytest.mark.parametrize("size", ["small", "large"])
def test_pairs_that_do_not_match(cli, pictures, tmp_path, size):
    noisy = shutil.copytree(pictures / f"{size}-noisy", tmp_path / "noisy")
    words = ("train", pictures / size, "--task", "denoise", "--degraded", noisy, *UNET, *FAST)
    Image.fromarray(waves(3, 64, 72)).save(noisy / "p3.png")
    fault = cli.refused(1, *words, "--out", tmp_path / "a")
    assert "'p3'" in fault and "64x72" in fault and "same size" in fault
    (noisy / "p3.png").rename(noisy / "q3.png")
    fault = cli.refused(1, *words, "--out", tmp_path / "b")
    assert "'p3' has no partner" in fault
    (noisy / "q3.png").unlink()
    assert "'p3'" in cli.refused(1, *words, "--out", tmp_path / "c")
    shutil.copy(pictures / f"{size}-noisy" / "p3.png", noisy / "p3.png")
    Image.fromarray(waves(3, 80, 96)).save(noisy / "p9.png")
    assert "'p9'" in cli.refused(1, *words, "--out", tmp_path / "d")


def test_blind_spot_training_cleans_pictures_that_are_all_noisy(cli, tmp_path):
    rng = np.random.default_rng(1)
    clean = [waves(i % 8, 64, 64).astype(float) for i in range(48)]
    noisy = [np.clip(p + rng.normal(0, 40, p.shape), 0, 255).astype(np.uint8) for p in clean]
    run, folder = tmp_path / "run", write_folder(tmp_path / "noisy", noisy)
    words = ("--task", "denoise", "--kind", "blind-spot", "--network", "unet:8-16", "--epochs",
             "12", "--batch-size", "4", "--lr", "0.004", "--threads", "1")  # fmt: skip
    summary = cli.done("train", folder, *words, "--out", run, "--json").json
    score = summary["scores"][0]
    assert score["name"] == "hidden-pixel PSNR" and "noisy" in score["split"]
    neighbour = next(b["value"] for b in score["baselines"] if b["name"] == "degraded")
    assert score["value"] > neighbour + 1
    cli.done("restore", run, folder, "-o", tmp_path / "out")
    made = [np.asarray(Image.open(tmp_path / "out" / f"p{i}.png"), float) for i in range(48)]
    before = np.mean([np.square(a - b).mean() for a, b in zip(clean, noisy, strict=True)])
    after = np.mean([np.square(a - b).mean() for a, b in zip(clean, made, strict=True)])
    assert after < before / 2


@pytest.mark.parametrize("pairs", [False, True], ids=["noise", "pairs"])
def test_an_interrupted_patch_run_goes_on_to_the_same_weights(
    cli, pictures, tmp_path, monkeypatch, no_finish, pairs
):
    from contextlib import contextmanager

    from lemari.surfaces.cli import training

    more = ("--degraded", pictures / "large-noisy") if pairs else ("--noise", "0:0.2")
    words = ("train", pictures / "large", "--task", "denoise", *more, "--patch", "32", *UNET,
             "--augment", "dihedral", "--epochs", "2", "--threads", "1", "--seed", "4")  # fmt: skip
    cli.done(*words, "--out", tmp_path / "whole")
    run = tmp_path / "run"

    @contextmanager
    def stop_soon():
        asked = []
        yield lambda: len(asked) > 6 or asked.append(1)

    monkeypatch.setattr("lemari.train.PULSE_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(training, "stoppable", stop_soon)
        assert "Stopped in epoch 1 at step" in cli.refused(1, *words, "--out", run)
    assert not (run / "weights.safetensors").exists() and (run / "checkpoints").is_dir()
    fault = cli.refused(2, "train", "--resume", run, "--patch", "16")
    assert "patch" in fault and "new run" in fault
    fault = cli.refused(2, "train", "--resume", run, "--degraded", pictures / "small-noisy")
    assert "degraded" in fault
    if pairs:
        changed = pictures / "large-noisy" / "p0.png"
        kept = changed.read_bytes()
        Image.fromarray(255 - np.asarray(Image.open(changed))).save(changed)
        assert "not what this run was trained on" in cli.refused(1, "train", "--resume", run)
        changed.write_bytes(kept)
    cli.done("train", "--resume", run)
    assert weights(run) == weights(tmp_path / "whole")


DENOISE = ("--task", "denoise", *UNET)
REFUSED = {
    "scale 1": (2, "small", ("--task", "upscale", "--scale", "1"), "2, 3 or 4"),
    "scale 7": (2, "small", ("--task", "upscale", "--scale", "7"), "2, 3 or 4"),
    "a scale that does not divide": (2, "colour", ("--task", "upscale", "--scale", "3"), "39 x 39"),
    "a patch that it does not divide": (
        2, "large", ("--task", "upscale", "--scale", "3", "--patch", "32"), "--patch 30"),
    "a way to shrink": (2, "small", ("--task", "upscale", "--down", "nearest"), "bicubic or area"),
    "a task": (2, "small", ("--task", "nonsense"), "denoise, upscale, inpaint"),
    "another variant": (2, "small", ("--task", "denoise", "--variant", "vae"), "one of the two"),
    "another task's network": (2, "small", ("--task", "denoise", "--network", "upscale"), "unet"),
    "its code": (2, "small", (*DENOISE, "--latent", "7"), "--latent"),
    "negative noise": (2, "small", (*DENOISE, "--noise=-1"), "0:0.2"),
    "a word as noise": (2, "small", (*DENOISE, "--noise", "much"), "takes a number"),
    "reversed noise": (2, "small", (*DENOISE, "--noise", "0.3:0.1"), "0:0.2"),
    "a kind": (2, "small", (*DENOISE, "--kind", "fog"), "blind-spot"),
    "quality left out": (2, "small", (*DENOISE, "--kind", "jpeg"), "--noise"),
    "photons left out": (2, "small", (*DENOISE, "--kind", "poisson"), "--noise"),
    "noise of noisy data": (
        2, "small", (*DENOISE, "--kind", "blind-spot", "--noise", "0.1"), "leave out --noise"),
    "pairs of one": (2, "small", (*DENOISE, "--kind", "given"), "--degraded"),
    "a mask above 1": (2, "small", ("--task", "inpaint", "--mask", "1.5"), "below 1"),
    "no block": (2, "small", ("--task", "inpaint", "--block", "0"), "at least 1"),
    "a table": (2, "table.csv", ("--task", "denoise"), "table"),
    "a table with mlp": (2, "table.csv", ("--task", "denoise", "--network", "mlp:8"), "table"),
    "a table enlarged": (2, "table.csv", ("--task", "upscale"), "table"),
    "a table with holes": (2, "table.csv", ("--task", "inpaint"), "table"),
    "a table in patches": (1, "table.csv", ("--task", "denoise", "--patch", "16"), "no pictures"),
    "patches too large": (1, "small", (*DENOISE, "--patch", "32"), "--patch"),
    "patches too small": (2, "small", (*DENOISE, "--patch", "4"), "8 to 512"),
    "patches and a size": (2, "large", (*DENOISE, "--patch", "16", "--size", "16"), "leave out"),
    "an empty folder": (1, "empty", ("--task", "denoise"), "holds no picture"),
    "a loss for pixels in {0, 1}": (2, "small", (*DENOISE, "--likelihood", "bernoulli"), "mse"),
    "skips with a law": (2, "small", ("--variant", "vae", "--network", "unet"), "residual"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(cli, pictures, tmp_path, case):
    code, data, words, remedy = REFUSED[case]
    run = tmp_path / "run"
    assert remedy in cli.refused(code, "train", pictures / data, *words, *FAST, "--out", run)
    assert not (run / "weights.safetensors").exists()


@pytest.mark.parametrize(
    "words",
    [("--task", "upscale"), ("--task", "inpaint"), ("--variant", "vae"),
     (*DENOISE, "--kind", "blur")],
)  # fmt: skip
def test_pairs_are_for_denoising_alone(cli, pictures, tmp_path, words):
    more = ("--degraded", pictures / "small-noisy", *FAST, "--out", tmp_path / "run")
    assert "leave" in cli.refused(2, "train", pictures / "small", *words, *more)


@pytest.mark.parametrize("patch", [(), ("--patch", "16")])
def test_a_broken_file_among_good_ones_is_named(cli, pictures, tmp_path, no_finish, patch):
    words = ("train", pictures / "mixed", *DENOISE, *patch, *FAST, "--out", tmp_path / "run")
    assert "'broken.png'" in cli.done(*words).err
    stored = json.loads((tmp_path / "run" / "data.json").read_text())
    assert [item["file"] for item in stored["skipped"]] == ["broken.png"]


@pytest.fixture(scope="module")
def denoiser(cli, pictures, tmp_path_factory) -> Path:
    """A blind denoiser with skips, trained on patches."""
    run = tmp_path_factory.mktemp("runs") / "denoiser"
    words = ("--task", "denoise", "--noise", "0:0.2", "--patch", "16", *UNET, *FAST)
    cli.done("train", pictures / "small", *words, "--out", run)
    return run


def test_commands_that_need_a_code_say_what_to_use_instead(cli, pictures, denoiser, tmp_path):
    data = pictures / "small"
    for words in (
        ("embed", denoiser, data, "-o", tmp_path / "c.csv"),
        ("reconstruct", denoiser, data, "-o", tmp_path / "made"),
        ("morph", denoiser, data),
        ("generate", denoiser, "-o", tmp_path / "s.png"),
    ):
        assert "lemari restore" in cli.refused(2, *words)
    assert "--nll" in cli.refused(2, "evaluate", denoiser, "--nll", "5")


def test_a_restoring_run_is_judged_on_other_pictures(cli, pictures, denoiser):
    """Other pictures are cut into patches too, of which none is counted twice."""
    own = cli.done("evaluate", denoiser, pictures / "small", "--json").json
    assert own["split"] == "held out"
    other = cli.done("evaluate", denoiser, pictures / "large-noisy", "--json").json
    assert other["rows"] == 6 * 5 * 6 and other["split"] == "given data"
    assert [score["name"] for score in other["scores"]] == ["restored PSNR", "restored SSIM"]
    assert "32x32" not in cli.refused(1, "evaluate", denoiser, pictures / "empty")


def test_the_same_rows_are_always_degraded_alike(cli, denoiser):
    first, second = (cli.done("evaluate", denoiser, "--json").json["scores"] for _ in range(2))
    assert first == second


def test_report_and_lists_know_restoring_runs(cli, denoiser, tmp_path, monkeypatch):
    folder = shutil.copytree(denoiser, tmp_path / "runs" / "denoiser")
    monkeypatch.chdir(tmp_path)
    assert "Next: lemari restore denoiser FILES" in cli.done("report", "denoiser").out
    assert "Restored pictures" in (folder / "report.html").read_text()
    assert "denoiser" in cli.done("runs", "list").out
    shown = cli.done("models", "show", "denoising-ae", "--shape", "1,64,64", "--json").json
    listed = sum(layer["parameters"] for layer in shown["layers"])
    assert listed == shown["parameters"]["total"] > 500_000
