"""What every source of examples offers, and the rules that all of them share.

A source is opened without decoding much (`open_data`), learns a format from its examples
(`learn`), and turns them into stored rows with that format or a saved one (`load`).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.formats import Fit, Format
from lemari.types import Rows, Skipped

Progress = Callable[[int, int], None]
SMALLEST = 8  # pixels: networks need this much to halve a picture


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of `open_data`; see there."""

    split: str = "train"
    shape: tuple[int, int, int] | None = None
    label: Any = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    fit: Fit = "crop"
    data_dir: Path | None = None
    download: bool = True
    progress: Progress | None = None
    max_skipped: float = 0.5
    max_pixels: int = 200_000_000
    drop: tuple[str, ...] = ()


class Source(Protocol):
    """Examples that can be learned from and loaded; `len()` counts the usable ones.

    `notes` are sentences on how the data was understood; `official_split` says whether the
    publisher separated training from test examples.
    """

    name: str
    kind: str
    layout: str
    classes: tuple[str, ...]
    skipped: list[Skipped]
    notes: list[str]
    official_split: bool

    def __len__(self) -> int: ...

    def learn(self) -> Format:
        """The format that these examples suggest: size, channels, range, classes."""
        ...

    def load(self, fmt: Format, memory_limit: int | None = None) -> Rows:
        """The examples as stored rows of `fmt`; beyond `memory_limit` bytes, on disk."""
        ...

    def inspect(self) -> dict[str, Any]:
        """What is there, after opening all of it: counts, shape, range, broken files."""
        ...


def described(
    source: Source, rows: Rows, *, shape: Sequence[int], dtype: str, span: Sequence[float]
) -> dict[str, Any]:
    """The answer of `Source.inspect`, the same keys for every source."""
    return {
        "name": source.name,
        "kind": source.kind,
        "examples": len(rows),
        "shape": list(shape),
        "classes": list(source.classes),
        "labels": rows.y is not None,
        "dtype": dtype,
        "range": [float(v) for v in span],
        "skipped": [{"file": s.item, "reason": s.reason} for s in rows.skipped],
        "notes": list(source.notes),
    }


def natural_key(text: str) -> list[Any]:
    """Sort key by which "2" comes before "10"."""
    parts = re.split(r"(\d{1,18})", text)
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)]


def encode_labels(values: Iterable[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of any type as class numbers (N,) int64 and class names in natural order.

    None and NaN become -1. Whole floats lose their ".0".
    """
    names = [label_name(v) for v in values]
    classes = tuple(sorted({n for n in names if n is not None}, key=natural_key))
    index = {name: i for i, name in enumerate(classes)}
    return np.array([-1 if n is None else index[n] for n in names], np.int64), classes


def label_name(value: Any) -> str | None:
    """One label as text; None where it is missing."""
    if value is None or value != value:
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def match_labels(
    y: np.ndarray | None, classes: tuple[str, ...], wanted: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Class numbers in the terms of a format's classes, by name; -1 where it knows no such.

    A format without classes leaves both as they are.
    """
    if y is None or not wanted or wanted == classes:
        return y, wanted or classes
    index = {name: i for i, name in enumerate(wanted)}
    table = np.array([*(index.get(name, -1) for name in classes), -1], np.int64)
    return table[y], wanted


def shown(name: str) -> str:
    """A file name that can be printed and stored, whatever bytes it was made of."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def row_ids(count: int, prefix: str = "") -> tuple[str, ...]:
    """Names for rows that have none: "train/00012"."""
    return tuple(f"{prefix}{i:05d}" for i in range(count))


def check_share(skipped: Sequence[Skipped], total: int, most: float) -> None:
    """Stop when more than the share `most` of `total` items had to be skipped."""
    if not skipped or len(skipped) <= most * total:
        return
    first = "; ".join(f"{s.item!r}: {s.reason}" for s in skipped[:3])
    raise DataError(
        f"{len(skipped)} of {total} items cannot be used ({first}); mend or remove them, or "
        f"allow a larger share than {most:g} with --max-skipped (max_skipped=)."
    )


def one_split(name: str, split: str) -> None:
    """Refuse a test split of data that has none."""
    if split not in ("train", "all"):
        raise UsageError(
            f"'{name}' has no '{split}' part of its own; use split='train' for all of it."
        )


def network_size(height: int, width: int, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """The size given to the network: the wanted or the own one, 8 pixels at least."""
    height, width = wanted or (height, width)
    return max(SMALLEST, height), max(SMALLEST, width)


def available_memory() -> int:
    """Bytes of memory that are free for use, from the system; 4 GiB where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return 4 << 30


def too_big(shape: Sequence[int], dtype: Any, memory_limit: int | None) -> bool:
    """Whether an array exceeds the limit (default: a quarter of the available memory)."""
    limit = available_memory() // 4 if memory_limit is None else memory_limit
    return prod(shape) * np.dtype(dtype).itemsize > limit


def allocate(shape: Sequence[int], dtype: Any, memory_limit: int | None = None) -> np.ndarray:
    """An empty array: in memory, or mapped onto an unnamed temporary file when too big.

    The file lies in $LEMARI_CACHE or the system's temporary folder and vanishes with the array.
    """
    if not too_big(shape, dtype, memory_limit):
        return np.empty(shape, dtype)
    folder = os.environ.get("LEMARI_CACHE") or None
    count = prod(shape) * np.dtype(dtype).itemsize
    try:
        if folder:
            os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, count)
            return np.memmap(file, dtype=dtype, mode="w+", shape=tuple(shape))
    except OSError as error:
        raise DataError(
            f"The examples need {count / 1e9:.1f} GB on disk, which failed ({error.strerror}); "
            "set LEMARI_CACHE to a folder with more room, or ask for a smaller size."
        ) from None


def labelled(rows: Rows, fmt: Format) -> Rows:
    """The rows with their class numbers in the terms of the format's classes."""
    y, classes = match_labels(rows.y, rows.classes, fmt.classes)
    used = () if rows.y is None else set(rows.y.tolist())
    here = (name for i, name in enumerate(rows.classes) if i in used)
    strange = tuple(name for name in here if name not in classes)
    return replace(rows, y=y, classes=classes, strange=strange)
