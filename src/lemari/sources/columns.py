"""Columns of a table file: which of them are numbers, which is the label; Parquet reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.sources.arrays import square_side
from lemari.sources.base import Options, available_memory
from lemari.types import Skipped

LABELS = ("label", "class", "target", "y")
MOST_CLASSES = 1000


@dataclass(slots=True)
class Found:
    """What a table file held: numbers (N, D) with NaN where missing, and the labels."""

    values: np.ndarray
    columns: tuple[str, ...]
    labels: Sequence[Any] | None
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def pixels(self) -> bool:
        """Whether the values look like square gray pictures of whole numbers up to 255."""
        square = square_side(self.values.shape[1]) > 0
        return square and self.values.dtype == np.uint8 and int(self.values.max()) > 1


@dataclass(slots=True)
class Gathered:
    """Batches of numbers in the smallest type that holds them, until all are there."""

    columns: int
    limit: int = field(default_factory=lambda: available_memory())
    pieces: list[np.ndarray] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    rows: int = 0

    def add(self, batch: np.ndarray) -> None:
        """One batch (n, D) float64; raises DataError when memory would run out."""
        self.pieces.append(smallest(batch))
        self.rows += len(batch)
        if self.rows * self.columns * self.pieces[-1].itemsize > self.limit // 2:
            raise DataError(
                f"The table has more than {self.rows:,} rows of {self.columns} numbers, too many "
                "for the memory that is free; give a part of it, or a .npy array."
            )

    def values(self) -> np.ndarray:
        """All rows (N, D): uint8 when every number is whole and within 0..255, else float64."""
        if not self.pieces:
            return np.empty((0, self.columns))
        whole = all(p.dtype == np.uint8 for p in self.pieces)
        out = np.empty((self.rows, self.columns), np.uint8 if whole else np.float64)
        start = 0
        while self.pieces:
            piece = self.pieces.pop(0)
            out[start : start + len(piece)] = piece
            start += len(piece)
        return out


def smallest(batch: np.ndarray) -> np.ndarray:
    """The batch as uint8 when that changes no number."""
    with np.errstate(invalid="ignore"):
        small = batch.astype(np.uint8)
    return small if np.array_equal(small, batch) else batch


def label_column(columns: Sequence[str], wanted: Any) -> str | None:
    """The name of the label column: the wanted one, or a usual name in any case."""
    if wanted is not None:
        if wanted in columns:
            return wanted
        near = get_close_matches(str(wanted), list(columns), 3, 0.0)
        raise UsageError(f"There is no column '{wanted}'; the nearest are {', '.join(near)}.")
    for name in LABELS:
        for column in columns:
            if column.strip().lower() == name:
                return column
    return None


def check_drop(columns: Sequence[str], drop: Sequence[str]) -> None:
    """Refuse to drop what is not there."""
    for name in drop:
        if name not in columns:
            near = get_close_matches(name, list(columns), 3, 0.0)
            raise UsageError(f"drop names '{name}', but the nearest columns are {', '.join(near)}.")


def usable_labels(name: str, values: list[Any], notes: list[str]) -> list[Any] | None:
    """The labels, or None with a note when the column holds continuous numbers."""
    numbers = [v for v in values if isinstance(v, float) and v == v]
    if any(not v.is_integer() for v in numbers) or len(set(values)) > MOST_CLASSES:
        notes.append(f"column '{name}' has no fixed set of classes and is left out")
        return None
    return values


def text_column(name: str) -> DataError:
    """The refusal of a column of text in a table of numbers."""
    return DataError(
        f"Column '{name}' holds text, but only numbers can be learned; leave it out with "
        f"--drop {name} (drop=), or use --label {name} (label=) if it names the classes."
    )


def read_parquet(path: Path, options: Options) -> Found:
    """The numbers and labels of a Parquet file, read in batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        columns = file.schema_arrow.names
        if len(set(columns)) != len(columns):
            raise DataError(f"{path.name} has two columns of one name; give each its own name.")
        check_drop(columns, options.drop)
        label = label_column(columns, options.label)
        used = [c for c in columns if c != label and c not in options.drop]
        for name in used:
            kind = file.schema_arrow.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or kind == pa.bool_()):
                raise text_column(name)
        return _gather_parquet(file, used, label)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read as Parquet ({error}); save it again."
        ) from None


def _gather_parquet(file: Any, used: list[str], label: str | None) -> Found:
    if not used:
        raise DataError("The table has no column of numbers; give a table with at least one.")
    gathered, notes = Gathered(len(used)), []
    wanted = used + ([label] if label else [])
    for batch in file.iter_batches(batch_size=8192, columns=wanted):
        gathered.add(numbers_of(batch, used))
        if label:
            gathered.labels += batch.column(label).to_pylist()
    labels = usable_labels(label, gathered.labels, notes) if label else None
    return Found(gathered.values(), tuple(used), labels, [], notes)


def numbers_of(batch: Any, used: Sequence[str]) -> np.ndarray:
    """The named columns of an Arrow batch as float64 (n, D); NaN where a value is missing."""
    import pyarrow as pa

    out = np.empty((batch.num_rows, len(used)))
    for i, name in enumerate(used):
        column = batch.column(name)
        if column.type == pa.bool_():
            column = column.cast(pa.uint8())
        out[:, i] = column.to_numpy(zero_copy_only=False)
    return out
