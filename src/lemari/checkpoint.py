"""Checkpoints: all of a training, saved so that it goes on bit for bit.

Each is a safetensors file and a small JSON written after it, which carries its sum; so a kill in
between leaves the previous checkpoint in force. Two are kept.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch

from lemari.errors import ModelFileError
from lemari.files import read_json, sha256, sweep, write_json
from lemari.train import Training
from lemari.weights import read_tensors, write_tensors

KEPT = 2


def save_checkpoint(folder: Path, training: Training) -> Path:
    """Write the weights, the optimiser and the sums of the present epoch."""
    name = f"{training.epoch:06d}-{training.step:08d}"
    path = write_tensors(folder / f"{name}.safetensors", tensors_of(training))
    record = {
        "version": 1,
        "epoch": training.epoch,
        "step": training.step,
        "seconds": training.seconds,
        "sha256": sha256(path),
    }
    write_json(folder / f"{name}.json", record)
    remove_others(folder, name)
    return path


def remove_others(folder: Path, newest: str) -> None:
    """Keep the newest and the one before it.

    What lies later than the newest was not whole when training went on from an earlier one.
    """
    names = sorted({path.stem for path in folder.glob("[0-9]*-*") if path.stem < newest})
    later = {path.stem for path in folder.glob("[0-9]*-*") if path.stem > newest}
    for name in (*names[: len(names) - KEPT + 1], *later):
        for suffix in (".json", ".safetensors"):
            with suppress(OSError):
                (folder / f"{name}{suffix}").unlink()


def tensors_of(training: Training) -> dict[str, torch.Tensor]:
    """model.*, adam.* and sum.* in one flat dictionary."""
    tensors = {f"model.{name}": t for name, t in training.model.state_dict().items()}
    tensors |= {f"adam.{name}": t for name, t in training.optimiser.state().items()}
    return tensors | {f"sum.{name}": value for name, value in training.sums.items()}


def restore(folder: Path, training: Training) -> bool:
    """Go to the newest checkpoint that is whole. False when there is none."""
    sweep(folder)
    for record_path in sorted(folder.glob("*.json"), reverse=True):
        try:
            record = read_json(record_path)
            path = record_path.with_suffix(".safetensors")
            if sha256(path) != record["sha256"]:
                continue
            tensors, place = read_tensors(path), place_of(record, training)
            check_shapes(tensors, training)
            load_into(training, tensors)
            training.epoch, training.step, training.seconds = place
        except (ModelFileError, KeyError, TypeError, ValueError, RuntimeError):
            continue
        return True
    return False


def place_of(record: dict, training: Training) -> tuple[int, int, float]:
    """Epoch, step and seconds of a record. Raises ValueError where the plan has no such place."""
    epoch, step = int(record["epoch"]), int(record["step"])
    inside = 0 <= epoch < training.plan.epochs and 0 <= step <= training.steps
    if not inside and (epoch, step) != (training.plan.epochs, 0):
        raise ValueError(f"There is no step {step} of epoch {epoch} in this training.")
    return epoch, step, float(record["seconds"])


def check_shapes(tensors: dict[str, torch.Tensor], training: Training) -> None:
    """Raise ValueError, before anything is changed, when tensors and training do not fit."""
    model = {f"model.{n}": t.shape for n, t in training.model.state_dict().items()}
    slots = {f"adam.{n}": t.shape for n, t in training.optimiser.state().items()}
    sums = {n: torch.Size() for n in tensors if n.startswith("sum.")}
    found = {n: t.shape for n, t in tensors.items()}
    if found != model | slots | sums:
        raise ValueError("The checkpoint is not one of this model.")


def load_into(training: Training, tensors: dict[str, torch.Tensor]) -> None:
    """Put tensors back where `tensors_of` found them."""
    weights = {n[6:]: t for n, t in tensors.items() if n.startswith("model.")}
    training.model.load_state_dict(weights)
    training.good = training.snapshot()
    training.optimiser.load({n[5:]: t for n, t in tensors.items() if n.startswith("adam.")})
    training.sums = {n[4:]: t for n, t in tensors.items() if n.startswith("sum.")}
