"""A detector as a folder of data: nothing in it is code or names code.

detector.json format.json weights.safetensors     what the detector is
index.json                                        version and sha256 of each, written last
threshold.json                                    kept apart, to be edited by hand
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lemari.detect.calibration import Calibration
from lemari.detect.denoising import Denoiser
from lemari.detect.drift import DriftMonitor
from lemari.detect.model import DetectorModel
from lemari.detect.suspicion import Bag, Linear
from lemari.detect.tails import TailLaw
from lemari.detect.threshold_file import NAME as THRESHOLD
from lemari.detect.threshold_file import read_threshold, write_threshold
from lemari.detect.thresholds import Threshold, by_alarm_rate
from lemari.errors import LemariError, ModelFileError, RunError
from lemari.files import read_json, write_json
from lemari.folder_index import check_sums, write_index
from lemari.mixed.format import mixed_format_from_json
from lemari.tasks.detector import FittedDetector, Settings
from lemari.weights import read_tensors, write_tensors

VERSION = 1
PARTS = ("detector.json", "format.json", "weights.safetensors")
LAWS = ("knots", "levels")


def is_detector(folder: Path | str) -> bool:
    """Whether a folder holds a saved detector."""
    return (Path(folder) / "detector.json").is_file()


def save_detector(fitted: FittedDetector, folder: Path | str) -> Path:
    """Write all parts and, last, the index. What was there stays whole until then."""
    return write_parts(
        folder, fitted.settings, fitted.format.to_json(), arrays_of(fitted), fitted.threshold
    )


def write_parts(
    folder: Path | str,
    settings: Settings,
    format: dict[str, Any],
    arrays: dict[str, np.ndarray],
    threshold: Threshold,
) -> Path:
    """The parts of any detector, of rows or of pictures; RunError where a file is in the way."""
    folder = Path(folder)
    if folder.is_file():
        raise RunError(f"{folder} is a file; give a folder to save the detector in.")
    folder.mkdir(parents=True, exist_ok=True)
    told = {k: dict(v) if isinstance(v, dict) else v for k, v in asdict(settings).items()}
    write_json(folder / "detector.json", {"version": VERSION, "settings": told})
    write_json(folder / "format.json", format)
    tensors = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}
    write_tensors(folder / "weights.safetensors", tensors)
    write_threshold(folder, threshold)
    write_index(folder, PARTS)
    return folder


@contextmanager
def ours(folder: Path) -> Iterator[None]:
    """Whatever changed parts provoke becomes one ModelFileError: it is the file's fault."""
    try:
        yield
    except LemariError:
        raise
    except Exception as fault:
        raise ModelFileError(
            f"{folder / 'weights.safetensors'} does not hold such a detector "
            f"({str(fault)[:200]}); it was changed. Use a backup, or train again."
        ) from fault


def load_detector(folder: Path | str, mend: bool = False) -> FittedDetector:
    """Read a folder back, every part checked first. Raises ModelFileError, or RunError for a
    threshold.json that cannot be read, unless it is to be mended: see `kept_threshold`."""
    folder = Path(folder)
    check_detector(folder)
    settings = read_settings(folder / "detector.json")
    told = read_json(folder / "format.json")
    if isinstance(told, dict) and told.get("kind") == "pictures":
        raise RunError(
            f"{folder} is a detector of pictures, which can neither learn more nor be served; "
            "score files with `lemari detect`."
        )
    fmt = mixed_format_from_json(told)
    tensors = read_tensors(folder / "weights.safetensors")
    arrays = {name: t.numpy() for name, t in tensors.items()}
    with ours(folder):
        model = model_of(arrays, settings, len(fmt.features))
        calibration = Calibration(arrays["calibration"])
        drift = _part(arrays, "drift.")
        drift = {k: texts(v) if v.dtype == np.uint8 else v for k, v in drift.items()}
        drift |= {k: drift[k].view(np.float64) for k in ("settings", "edges") if k in drift}
        monitor = DriftMonitor.from_arrays(drift) if drift else None
    threshold = kept_threshold(folder, calibration, settings, mend)
    return FittedDetector(fmt, model, calibration, threshold, settings, monitor)


def kept_threshold(
    folder: Path, calibration: Calibration, settings: Settings, mend: bool = False
) -> Threshold:
    """The threshold of a run; RunError when its file is gone or cannot be read.

    With `mend` it is then the one of training, to be replaced by another.
    """
    try:
        if not (folder / THRESHOLD).is_file():
            raise ModelFileError(
                f"{folder} has no {THRESHOLD}; set one with `lemari threshold {folder} "
                f"--alarm-rate {settings.alarm_rate:g}`."
            )
        return read_threshold(folder, calibration)
    except RunError:
        if not mend:
            raise
        return by_alarm_rate(calibration, settings.alarm_rate)


def check_detector(folder: Path) -> None:
    """A detector is there, finished and what was saved."""
    if not is_detector(folder):
        where = "holds no detector" if folder.exists() else "does not exist"
        raise ModelFileError(f"{folder} {where}; give the folder of a run with --task detect.")
    if not (folder / "index.json").is_file():
        raise ModelFileError(f"{folder} holds no finished detector; train it again.")
    check_sums(folder, PARTS)


def read_settings(path: Path) -> Settings:
    """The settings, strictly: unknown keys and wrong types are refused."""
    content = read_json(path)
    told = content.get("settings") if isinstance(content, dict) else None
    kinds = {f.name: type(getattr(Settings(), f.name)) for f in fields(Settings)}
    if not isinstance(told, dict) or content.get("version") != VERSION or set(told) != set(kinds):
        raise ModelFileError(f"{path} was changed or is of another version; use a backup.")
    for name, kind in kinds.items():
        if not _fits(told[name], kind):
            raise ModelFileError(f"{path}: '{name}' has a wrong type; use a backup.")
    return Settings(**told)


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and 0 < value < 1
    if kind is dict:
        return all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())
    return type(value) is kind and (kind is not int or abs(value) < 2**63)


def arrays_of(fitted: FittedDetector) -> dict[str, np.ndarray]:
    """All numbers of a detector by name."""
    model = fitted.model
    arrays = {"rows": model.rows.astype(np.float32), "calibration": fitted.calibration.scores}
    for i, law in enumerate(model.laws):
        arrays |= {f"law.{i}.knots": law.knots, f"law.{i}.levels": law.levels}
        arrays[f"law.{i}.slope"] = np.array([law.slope])
    for i, net in enumerate(model.denoisers):
        arrays |= {f"net.{i}.{k}": v.numpy() for k, v in net.state_dict().items()}
    if model.scale:
        arrays |= {"scale.centre": model.scale[0], "scale.size": model.scale[1]}
    if model.bag and model.linear:
        arrays |= {f"linear.{k}": getattr(model.linear, k) for k in ("turn", "mean", "whiten")}
        bag = model.bag
        whole = {"columns": bag.columns, "used": bag.used, "code": bag.code}
        parts = whole | {"typical": bag.typical} | dict(zip("abcd", bag.weights, strict=True))
        arrays |= {f"bag.{k}": v.numpy() for k, v in parts.items()}
    if fitted.drift:
        arrays |= {f"drift.{k}": numbers(v) for k, v in fitted.drift.to_arrays().items()}
    return arrays


def numbers(values: Any) -> np.ndarray:
    """An array as finite numbers: float64 as its bits, texts as the bytes of their JSON."""
    values = np.ascontiguousarray(values)
    if values.dtype == np.float64:
        return values.view(np.int64)
    if values.dtype.kind != "U":
        return values
    return np.array(bytearray(json.dumps(values.tolist()).encode()), np.uint8)


def texts(values: np.ndarray) -> np.ndarray:
    """The inverse of `numbers` for an array of texts; ValueError for anything else."""
    found = json.loads(values.tobytes())
    if not isinstance(found, list) or not all(isinstance(v, str) for v in found):
        raise ValueError("names are missing")
    return np.array(found)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}


def model_of(arrays: dict[str, np.ndarray], settings: Settings, features: int) -> DetectorModel:
    """The model from its arrays; any exception means that they do not fit."""
    rows = arrays["rows"]
    if rows.ndim != 2 or (len(rows) and rows.shape[1] != features):
        raise ModelFileError("The stored rows do not fit the format; the model was changed.")
    laws = []
    while law := _part(arrays, f"law.{len(laws)}."):
        laws.append(TailLaw(law["knots"], law["levels"], float(law["slope"][0])))
    nets = []
    while state := _part(arrays, f"net.{len(nets)}."):
        net = Denoiser(features)
        net.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        nets.append(net.eval())
    scale = _part(arrays, "scale.")
    bag, linear = _part(arrays, "bag."), _part(arrays, "linear.")
    return DetectorModel(
        features,
        settings.normal_only,
        rows,
        nets,
        (scale["centre"], scale["size"]) if scale else None,
        bag_of(bag) if bag else None,
        Linear(**linear) if linear else None,
        tuple(laws),
    )


def bag_of(arrays: dict[str, np.ndarray]) -> Bag:
    tensors = {k: torch.from_numpy(v) for k, v in arrays.items()}
    bag = Bag(tensors["columns"], tensors["used"], tensors["code"])
    bag.weights = [tensors[k] for k in "abcd"]
    bag.typical = tensors["typical"]
    return bag
