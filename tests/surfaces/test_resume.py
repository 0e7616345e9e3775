"""Stops, kills, full disks, second owners: training goes on to the same bytes, or says why not."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from lemari.latents.codebook import Codebook

PLANS = {
    "mlp": ("--network", "mlp:16", "--epochs", "15", "--batch-size", "2"),
    "residual": ("--network", "residual", "--epochs", "3", "--batch-size", "8"),
}
REST = ("--latent", "2", "--threads", "1", "--seed", "5")
SHORT = ("--network", "mlp:16", "--epochs", "2", "--batch-size", "16")


def finish(folder, fitted, job, history, say=None):
    """The end of a run without scores and pictures."""
    (folder / "report.html").write_text("<html></html>")
    return {"scores": [], "findings": [], "seconds": 0.0, "floor": None, "terms": {}}


def child(words: list[str], log: str, ignore: bool = False) -> None:
    """The command as a process of its own, without the pictures."""
    import torch

    from lemari.surfaces.cli.main import main
    from lemari.tasks import finish as module

    torch.set_num_threads(1)
    module.finish = finish
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    Path(log).with_suffix(".ready").touch()
    main(words)


@pytest.fixture(scope="module")
def processes():
    """Processes that start at once, for the imports are done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["lemari.tasks.finish", "lemari.tasks.fit", "lemari.surfaces.cli.main"]
    )
    return context


@pytest.fixture
def begin(processes, tmp_path):
    """Start a command; returns its process and the file with what it printed."""
    started = []

    def start(*words) -> tuple:
        log = tmp_path / f"log{len(started)}.txt"
        process = processes.Process(target=child, args=([str(w) for w in words], str(log)))
        process.start()
        started.append(process)
        wait_for(log.with_suffix(".ready"), process)
        return process, log

    yield start
    for process in started:
        if process.is_alive():
            process.kill()
        process.join()


def wait_for(path: Path, process) -> None:
    limit = time.monotonic() + 60
    while not path.exists() and process.is_alive() and time.monotonic() < limit:
        time.sleep(0.002)


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


def state(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(cli, sets, tmp_path_factory):
    """The weights of a training that nothing interrupted, by network."""
    found = {}

    def make(name: str) -> bytes:
        if name not in found:
            run = tmp_path_factory.mktemp("whole") / name
            plan = PLANS.get(name, SHORT)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("lemari.tasks.finish.finish", finish)
                cli.done("train", sets / "d.npy", *plan, *REST, "--out", run)
            found[name] = weights(run)
        return found[name]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("network", PLANS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_answered_and_goes_on(
    begin, whole, cli, sets, tmp_path, no_finish, network, number
):
    run = tmp_path / "run"
    process, log = begin("train", sets / "d.npy", *PLANS[network], *REST, "--out", run)
    wait_for(run / "checkpoints", process)
    os.kill(process.pid, number)
    process.join(60)
    said = log.read_text()
    assert process.exitcode == 1 and "Traceback" not in said, said
    assert "all is saved" in said and f"lemari train --resume {run}" in said
    assert not (run / "lock").exists() and not (run / "report.html").exists()
    cli.done("train", "--resume", run)
    assert weights(run) == whole(network)
    told = (run / "log.txt").read_text()
    assert told.index("Stopped in epoch") < told.index("goes on in epoch")


@pytest.mark.slow
@pytest.mark.parametrize("network", PLANS)
def test_any_number_of_kills_leads_to_the_same_weights(
    begin, whole, cli, sets, tmp_path, no_finish, network
):
    run, chance = tmp_path / "run", random.Random(network)
    process, _ = begin("train", sets / "d.npy", *PLANS[network], *REST, "--out", run)
    wait_for(run / "recipe.json", process)
    for _ in range(5):
        time.sleep(chance.uniform(0.0, 0.25))
        process.kill()
        process.join()
        process, log = begin("train", "--resume", run)
    process.join(120)
    assert process.exitcode == 0, log.read_text()
    assert weights(run) == whole(network)
    assert not list(run.rglob(".lemari-*")) and not (run / "lock").exists()
    numbers = [
        json.loads(line)["number"] for line in (run / "metrics.jsonl").read_text().splitlines()
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_second_ctrl_c_stops_at_once(begin, cli, whole, sets, tmp_path, no_finish):
    run = tmp_path / "run"
    process, log = begin("train", sets / "d.npy", *PLANS["mlp"], *REST, "--out", run)
    wait_for(run / "checkpoints", process)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.005)
    process.join(60)
    assert process.exitcode == 1 and "Traceback" not in log.read_text()
    assert "topped" in log.read_text()
    cli.done("train", "--resume", run)
    assert weights(run) == whole("mlp")


def test_the_second_ctrl_c_is_not_waited_for():
    from lemari.surfaces.cli.training import stoppable

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Killed(BaseException):
    """As if the process had ended here: no handler of Lemari's may catch it."""


@contextmanager
def failing(monkeypatch, name: str, at: int, fault: BaseException):
    """`os.NAME` fails the `at`-th time; yields how often it was called."""
    calls, real = [0], getattr(os, name)

    def stand_in(*given, **named):
        calls[0] += 1
        if calls[0] == at:
            raise fault
        return real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, stand_in)
        yield calls


def train_words(data: Path, run: Path) -> list[str]:
    return [str(word) for word in ("train", data, *SHORT, *REST, "--out", run)]


def test_a_kill_at_any_write(cli, whole, sets, tmp_path, monkeypatch, no_finish):
    from lemari.surfaces.cli.main import run as command

    expected = whole("short")
    with failing(monkeypatch, "replace", 0, Killed()) as calls:
        cli.done(*train_words(sets / "d.npy", tmp_path / "all"))
    assert calls[0] >= 14  # 4 before, 2 checkpoints of 2, 2 lines, 4 at the end
    for at in range(1, calls[0] + 1):
        run = tmp_path / str(at)
        with failing(monkeypatch, "replace", at, Killed()), pytest.raises(Killed):
            command(train_words(sets / "d.npy", run), debug=False)
        assert list(run.rglob(".lemari-*"))
        if not (run / "recipe.json").exists():
            assert "start a new run" in cli.refused(1, "train", "--resume", run)
            continue
        if not (run / "index.json").exists():  # the last file: no model before it
            assert "--resume" in cli.refused(1, "generate", run)
        cli.done("train", "--resume", run)
        assert weights(run) == expected, at
        assert not list(run.rglob(".lemari-*"))


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk(cli, whole, sets, tmp_path, monkeypatch, no_finish, name, number):
    fault = OSError(number, os.strerror(number))
    with failing(monkeypatch, name, 0, fault) as calls:
        cli.done(*train_words(sets / "d.npy", tmp_path / "all"))
    for at in range(1, calls[0] + 1, 3):
        run = tmp_path / str(at)
        with failing(monkeypatch, name, at, fault):
            outcome = cli.run(*train_words(sets / "d.npy", run))
        if outcome.code == 0:  # a folder that cannot be flushed is no reason to stop
            assert name == "fsync" and weights(run) == whole("short")
            continue
        assert os.strerror(number) in outcome.err and "Cannot write" in outcome.err
        assert not list(run.rglob(".lemari-*")) and not (run / "lock").exists()
        if (run / "recipe.json").exists():
            cli.done("train", "--resume", run)
            assert weights(run) == whole("short")


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written(cli, whole_run, sets, tmp_path, monkeypatch, number):
    import tempfile

    def fail(*given, **named):
        raise OSError(number, os.strerror(number))

    run = tmp_path / "run"
    before = state(whole_run)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail)
        fault = cli.refused(1, *train_words(sets / "d.npy", run))
        assert os.strerror(number) in fault and "--out" in fault
    monkeypatch.setattr(tempfile, "mkstemp", fail)
    for words in (
        ("embed", whole_run, sets / "d.npy", "-o", tmp_path / "c.parquet"),
        ("reconstruct", whole_run, sets / "d.npy", "-o", tmp_path / "made"),
        ("generate", whole_run, "-o", tmp_path / "s.npz"),
        ("train", "--resume", whole_run),
    ):
        assert "Cannot write" in cli.refused(1, *words)
    after = state(whole_run)
    assert after.pop("log.txt").startswith(before.pop("log.txt"))  # it tells of the fault
    assert after == before


@pytest.fixture
def finished(cli, sets, tmp_path, no_finish) -> Path:
    run = tmp_path / "finished"
    cli.done(*train_words(sets / "d.npy", run))
    return run


def test_resuming_a_finished_run_changes_nothing(cli, sets, finished):
    before = state(finished)
    cli.done("train", "--resume", finished)
    cli.done("train", "--resume", finished, sets / "d.npy", *SHORT, *REST)
    assert state(finished) == before


def test_a_look_at_the_rows_before_training_takes_the_recipes_threads(
    cli, sets, tmp_path, monkeypatch, no_finish
):
    seen = []
    look = Codebook.prepare
    monkeypatch.setattr(
        Codebook,
        "prepare",
        lambda *given: (seen.append(torch.get_num_threads()), look(*given)),
    )
    torch.set_num_threads(2)
    words = ("--variant", "vq-vae", "--network", "mlp:8", "--codes", "4", "--epochs", "1", *REST)
    cli.done("train", sets / "d.npy", *words, "--out", tmp_path / "run")
    assert seen == [1]


def test_a_resume_without_checkpoints_begins_again(cli, whole, finished):
    shutil.rmtree(finished / "checkpoints")
    cli.done("train", "--resume", finished)
    assert weights(finished) == whole("short")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--epochs", "9"), "epochs"),
        (("--lr", "0.5"), "lr"),
        (("--batch-size", "8"), "batch_size"),
        (("--seed", "6"), "seed"),
        (("--network", "mlp:17"), "network"),
        (("--latent", "3"), "latent"),
        (("--variant", "ae"), "variant"),
        (("--beta", "4"), "beta"),
        (("--held-out", "0.5"), "held_out"),
        (("--size", "9"), "size"),
        (("digits",), "DATA"),
        (("d.npz",), "DATA"),
    ],
)
def test_a_resume_with_another_option_is_refused(cli, sets, finished, monkeypatch, words, name):
    monkeypatch.chdir(sets)
    before = state(finished)
    fault = cli.refused(2, "train", "--resume", finished, *words)
    assert f"but {name} would differ" in fault
    assert state(finished) == before


def test_options_that_say_the_same_are_welcome(cli, finished):
    cli.done("train", "--resume", finished, "--beta", "1.0", "--sigma", "none", "--lr", "1e-3",
             "--max-skipped", "0.5", "--fit", "crop", "--variant", "vae")  # fmt: skip


def test_a_resume_after_the_data_changed_is_refused(cli, digits, tmp_path, no_finish):
    data, run = tmp_path / "d.npy", tmp_path / "run"
    np.save(data, digits[0])
    cli.done(*train_words(data, run))
    other = digits[0].copy()
    other[7, 3, 3] ^= 1
    before = state(run)
    for change in (other, digits[0][:-1], digits[0][::-1]):
        np.save(data, change)
        fault = cli.refused(1, "train", "--resume", run)
        assert "is not what this run was trained on" in fault
    data.unlink()
    assert "does not exist" in cli.refused(1, "train", "--resume", run)
    assert state(run) == before


def lock_of(pid: int, started: str, host: str | None = None) -> str:
    return json.dumps({"pid": pid, "host": host or socket.gethostname(), "started": started,
                       "since": "2026-01-01 00:00:00"})  # fmt: skip


def test_a_dead_owners_lock_is_taken_over(cli, finished, processes):
    gone = processes.Process(target=time.sleep, args=(0,))
    gone.start()
    gone.join()
    for text in (
        lock_of(gone.pid, "1"),
        lock_of(os.getpid(), "another start"),
        "",
        "no json",
        "[]",
    ):
        (finished / "lock").write_text(text)
        with pytest.warns(UserWarning, match="Taking over"):
            cli.done("train", "--resume", finished)
        assert not (finished / "lock").exists()


def test_a_living_owners_lock_is_respected(cli, finished):
    from lemari.lock import born

    here, there = lock_of(os.getpid(), born(os.getpid())), lock_of(1, "1", "elsewhere")
    for text in (here, there):
        (finished / "lock").write_text(text)
        for verb in (("train", "--resume"), ("report",)):
            assert "is being written by process" in cli.refused(1, *verb, finished)
        assert (finished / "lock").read_text() == text


def test_a_lock_is_never_seen_half_written(tmp_path, monkeypatch):
    from lemari.lock import owned

    seen, real = [], os.link

    def link(source, target):
        seen.append(Path(source).read_text())
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    with owned(tmp_path):
        assert (tmp_path / "lock").read_text() == seen[0]
        assert json.loads(seen[0])["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_two_trainings_in_one_folder(begin, cli, sets, tmp_path, no_finish):
    run = tmp_path / "run"
    process, log = begin("train", sets / "d.npy", *PLANS["mlp"], *REST, "--out", run)
    wait_for(run / "recipe.json", process)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert "never overwritten" in cli.refused(1, *train_words(sets / "d.npy", run))
        fault = cli.refused(1, "train", "--resume", run)
        assert f"is being written by process {process.pid}" in fault
    finally:
        os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    assert process.exitcode == 0, log.read_text()


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").iterdir())


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_damaged_checkpoints_are_passed_over(cli, whole, finished, tmp_path, suffix):
    chance = random.Random(1)
    kept = tmp_path / "kept"
    shutil.copytree(finished, kept)
    for turn in range(12):
        shutil.rmtree(finished)
        shutil.copytree(kept, finished)
        for path in checkpoints(finished)[-2 if turn % 2 else 0 :]:
            if path.suffix == suffix:
                content = bytearray(path.read_bytes())
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
                path.write_bytes(content if turn % 3 else content[: len(content) // 2])
        cli.done("train", "--resume", finished)
        # A changed number of seconds is no damage to the training.
        assert weights(finished) == whole("short")


@pytest.mark.parametrize(
    "change",
    [
        lambda record, tensors: record.update(epoch=10**9),
        lambda record, tensors: record.update(epoch=-1),
        lambda record, tensors: record.update(step=10**9),
        lambda record, tensors: record.update(epoch="os:system"),
        lambda record, tensors: record.pop("step"),
        lambda record, tensors: tensors.update({"model.os": tensors["model.encoder.0.bias"]}),
        lambda record, tensors: tensors.pop("model.encoder.0.bias"),
        lambda record, tensors: tensors.update(
            {"model.decoder.net.0.bias": tensors["model.decoder.net.0.bias"][:3]}),
        lambda record, tensors: tensors.update(
            {"adam.first.encoder.0.bias": tensors["adam.first.encoder.0.weight"]}),
        lambda record, tensors: tensors["model.encoder.0.bias"].fill_(float("nan")),
    ],
)  # fmt: skip
def test_forged_checkpoints_are_passed_over(cli, whole, finished, change):
    from hashlib import sha256

    from safetensors.torch import load, save

    for path in checkpoints(finished):
        if path.suffix != ".json":
            continue
        record, part = json.loads(path.read_text()), path.with_suffix(".safetensors")
        tensors = load(part.read_bytes())
        change(record, tensors)
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        part.write_bytes(save(tensors))
        record["sha256"] = sha256(part.read_bytes()).hexdigest()
        path.write_text(json.dumps(record))
    cli.done("train", "--resume", finished)
    assert weights(finished) == whole("short")


def test_a_file_is_on_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    from lemari.files import write

    done, real = [], {name: getattr(os, name) for name in ("fsync", "replace")}
    for name in real:
        monkeypatch.setattr(os, name, lambda *a, n=name: (done.append(n), real[n](*a))[1])
    write(tmp_path / "a", b"x")
    assert done == ["fsync", "replace", "fsync"]
