"""Writing so that a crash leaves either the old file or the new one, never half of either."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from lemari.errors import ModelFileError, RunError

LARGEST_JSON = 64 << 20
TEMPORARY = ".lemari-"


def write(path: Path | str, content: bytes) -> Path:
    """Replace a file in one step: temporary file, flush to disk, rename, flush the folder.

    Raises RunError with the reason when the folder cannot be written or the disk is full; what
    was there before stays.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~current_umask())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as fault:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise RunError(
            f"Cannot write {path} ({fault.strerror or fault}); nothing that was there is lost. "
            "Free some space, or write into another folder."
        ) from fault
    return path


def append(path: Path, text: str) -> None:
    """Add text to the end of a file. Raises RunError with the reason when it cannot be written."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as fault:
        raise RunError(
            f"Cannot write {path} ({fault.strerror or fault}); nothing that was there is lost. "
            "Free some space, or write into another folder."
        ) from fault


def current_umask() -> int:
    """The process's umask (which can only be read by setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def flush_folder(folder: Path) -> None:
    """Make a rename durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove temporary files that a killed process left."""
    for stale in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            stale.unlink()


def write_json(path: Path | str, value: Any) -> Path:
    """Strict JSON (no NaN), readable, in one step."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    return write(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Strict JSON of bounded size; anything else is a ModelFileError that names the file."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ModelFileError(f"{path} is larger than any that Lemari writes; it is not used.")
        return json.loads(path.read_bytes().decode(), parse_constant=refuse_constant)
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be read: {fault.strerror}.") from fault
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as fault:
        raise ModelFileError(
            f"{path} is not valid JSON ({str(fault)[:80]}); it is truncated or was changed."
        ) from fault


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be read: {fault.strerror}.") from fault
    return digest.hexdigest()


def finite_or_none(value: Any) -> Any:
    """The same value with NaN and infinities, at any depth, as None: for JSON."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(k): finite_or_none(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(v) for v in value]
    return value
