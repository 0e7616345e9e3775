"""Checkpoints: all of a training, saved so that it goes on bit for bit.

Each is a safetensors file and a small JSON written after it, which carries its sum; so a kill in
between leaves the previous checkpoint in force. Two are kept.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from lemari.errors import ModelFileError
from lemari.files import read_json, sha256, sweep, write_json
from lemari.train import Best, Training
from lemari.weights import read_tensors, write_tensors

KEPT = 2


def save_checkpoint(folder: Path, training: Training) -> Path:
    """Write the weights, the optimiser, the sums of the present epoch and the best epoch's weights.

    In the middle of an epoch also those of the last epoch's end, to go back to on divergence.
    """
    name = f"{training.epoch:06d}-{training.step:08d}"
    path = write_tensors(folder / f"{name}.safetensors", tensors_of(training))
    record = {
        "version": 1,
        "epoch": training.epoch,
        "step": training.step,
        "seconds": training.seconds,
        "sha256": sha256(path),
    }
    if training.best:
        record["best"] = {"epoch": training.best.epoch, "loss": training.best.loss}
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


def tensors_of(training: Training) -> dict[str, Tensor]:
    """model.*, adam.*, sum.* and, where there are any, good.* and best.* in one flat dictionary."""
    groups: dict[str, dict[str, Tensor]] = {
        "model": training.model.state_dict(),
        "adam": training.optimiser.state(),
        "sum": training.sums,
        "good": training.good if training.step else {},
        "best": training.best.weights if training.best else {},
    }
    return {f"{group}.{name}": t for group, ts in groups.items() for name, t in ts.items()}


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
            best = best_of(record, training, tensors)
            check_shapes(tensors, training)
            load_into(training, tensors)
            training.epoch, training.step, training.seconds = place
            training.best = best
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


def best_of(record: dict, training: Training, tensors: dict[str, Tensor]) -> Best | None:
    """The best epoch of a record. Raises ValueError or KeyError where the plan has no such."""
    weights = group(tensors, "best")
    if not weights and "best" not in record:
        return None
    epoch, loss = int(record["best"]["epoch"]), float(record["best"]["loss"])
    if not (training.plan.patience and weights and math.isfinite(loss)):
        raise ValueError("There is no best epoch in this training.")
    if not 1 <= epoch <= int(record["epoch"]):
        raise ValueError(f"Epoch {epoch} is not one of those before the checkpoint.")
    return Best(epoch, loss, weights)


def group(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors called NAME.*, without that beginning."""
    return {n[len(name) + 1 :]: t for n, t in tensors.items() if n.startswith(f"{name}.")}


def check_shapes(tensors: dict[str, Tensor], training: Training) -> None:
    """Raise ValueError, before anything is changed, when tensors and training do not fit."""
    model = {n: t.shape for n, t in training.model.state_dict().items()}
    slots = {n: t.shape for n, t in training.optimiser.state().items()}
    want = {f"model.{n}": s for n, s in model.items()} | {f"adam.{n}": s for n, s in slots.items()}
    want |= {f"sum.{n}": torch.Size() for n in group(tensors, "sum")}
    for name in ("good", "best"):
        if group(tensors, name):
            want |= {f"{name}.{n}": shape for n, shape in model.items()}
    if {n: t.shape for n, t in tensors.items()} != want:
        raise ValueError("The checkpoint is not one of this model.")


def load_into(training: Training, tensors: dict[str, Tensor]) -> None:
    """Put tensors back where `tensors_of` found them."""
    training.model.load_state_dict(group(tensors, "model"))
    training.good = group(tensors, "good") or training.snapshot()
    training.optimiser.load(group(tensors, "adam"))
    training.sums = group(tensors, "sum")
