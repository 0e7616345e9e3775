"""Fetching one file of a named data set: checked by its sha256, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from lemari.errors import DataError

LARGEST = 1 << 30  # bytes
PATIENCE = 30.0  # seconds without an answer


def fetch(
    url: str,
    target: Path,
    sha256: str,
    looked: str,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Download `url` to `target` and return it; DataError when offline or the sum is wrong.

    `looked` names the places that were searched before, for the message.
    """
    name = target.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{name}.")
    except OSError as error:
        raise DataError(
            f"The folder {target.parent} cannot be written ({error.strerror})."
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            found = _copy(url, file, progress)
        if found != sha256:
            raise DataError(
                f"{name} from {url} is not the published file (its sha256 differs); try again, "
                f"or get the file elsewhere and put it into one of: {looked}."
            )
        os.replace(temporary, target)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{name} was not found in {looked}, and downloading it from {url} failed "
            f"({error}); get the file elsewhere and put it into one of these folders."
        ) from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _copy(url: str, file, progress: Callable[[int, int], None] | None) -> str:
    """Copy the answer into `file`; returns the sha256 of what came."""
    digest, done = hashlib.sha256(), 0
    with urlopen(url, timeout=PATIENCE) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 18):
            done += len(piece)
            if done > LARGEST:
                raise ValueError("the answer is larger than 1 GiB")
            digest.update(piece)
            file.write(piece)
            if progress:
                progress(done, max(done, total))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
