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
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        for part in (old, old.with_suffix(".safetensors")):
            with suppress(OSError):
                part.unlink()
    return path


def tensors_of(training: Training) -> dict[str, torch.Tensor]:
    """model.*, adam.NAME.* and sum.* in one flat dictionary."""
    tensors = {f"model.{name}": t for name, t in training.model.state_dict().items()}
    state = training.optimiser.state
    for name, parameter in training.model.named_parameters():
        for key, value in state.get(parameter, {}).items():
            tensors[f"adam.{name}.{key}"] = value
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
            load_into(training, read_tensors(path))
            training.epoch, training.step = int(record["epoch"]), int(record["step"])
            training.seconds = float(record["seconds"])
        except (ModelFileError, KeyError, TypeError, ValueError, RuntimeError):
            continue
        return True
    return False


def load_into(training: Training, tensors: dict[str, torch.Tensor]) -> None:
    """Put tensors back where `tensors_of` found them."""
    weights = {n[6:]: t for n, t in tensors.items() if n.startswith("model.")}
    training.model.load_state_dict(weights)
    training.good = training.snapshot()
    state = {}
    for name, parameter in training.model.named_parameters():
        prefix = f"adam.{name}."
        slots = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
        for key, value in slots.items():
            slots[key] = value if key == "step" else like(value, parameter)
        if slots:
            state[parameter] = slots
    training.optimiser.state.clear()
    training.optimiser.state.update(state)
    training.sums = {n[4:]: t for n, t in tensors.items() if n.startswith("sum.")}


def like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The value in the parameter's memory layout, where the optimiser expects it."""
    return torch.empty_like(parameter).copy_(value)
