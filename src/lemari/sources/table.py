"""Tables: CSV and Parquet files, and rows of numbers that are no pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.formats import Format, TableFormat
from lemari.sources.arrays import square_side
from lemari.sources.base import (
    Options,
    Source,
    check_share,
    described,
    encode_labels,
    labelled,
    one_split,
    row_ids,
)
from lemari.types import Rows, Skipped
from lemari.values import check_finite, check_infinite

if TYPE_CHECKING:
    from lemari.sources.columns import Found


@dataclass(slots=True)
class TableSource:
    """Rows of numbers (N, D) with names for the columns; NaN stands for a missing value."""

    name: str
    values: np.ndarray
    columns: tuple[str, ...]
    y: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    official_split: bool = False
    from_file: bool = True
    kind: str = "table"
    layout: str = "table"

    @classmethod
    def from_array(
        cls,
        name: str,
        x: np.ndarray,
        y: np.ndarray | None = None,
        classes: tuple[str, ...] = (),
        columns: Sequence[Any] | None = None,
        notes: Sequence[str] = (),
    ) -> TableSource:
        """A table from numbers (N, D) given in Python; every value must be finite."""
        names = tuple(map(str, columns)) if columns is not None else _column_names(x.shape[1])
        check_finite(x, names)
        return cls(name, x, names, y, classes, row_ids(len(x)), notes=list(notes), from_file=False)

    def __len__(self) -> int:
        return len(self.values)

    def learn(self) -> TableFormat:
        """Mean, scale and median of each column; a column without any number is a DataError."""
        check_infinite(self.values, self.columns)
        self._note_square()
        mean, scale, middle = (np.empty(len(self.columns)) for _ in range(3))
        for i, name in enumerate(self.columns):
            column = self.values[:, i].astype(np.float64)
            known = column[~np.isnan(column)]
            if not len(known):
                raise DataError(f"Column '{name}' holds no number at all; leave it out with drop.")
            middle[i] = np.median(known)
            filled = np.where(np.isnan(column), middle[i], column)
            mean[i], scale[i] = filled.mean(), filled.std()
        constant = scale <= 1e-12 * np.maximum(1.0, np.abs(mean))
        scale[constant] = 1.0
        self._note_missing()
        stats = (tuple(v.tolist()) for v in (mean, scale, middle))
        return TableFormat(self.columns, *stats, classes=self.classes)

    def load(self, fmt: Format, memory_limit: int | None = None) -> Rows:
        """The rows as `fmt` stores them; columns of a file are matched by name."""
        if isinstance(fmt, TableFormat):
            x, missing = fmt.from_values(self._matched(fmt.columns))
            if missing:
                self._note_missing()
        else:
            x = fmt.from_array(self.values)
        rows = Rows(x, self.y, self.ids, self.classes, tuple(self.skipped))
        return labelled(rows, fmt)

    def inspect(self) -> dict[str, Any]:
        """What the table holds; `range` is over all columns, missing values left out."""
        check_infinite(self.values, self.columns)
        self._note_missing()
        self._note_square()
        known = (np.nanmin(self.values), np.nanmax(self.values))
        rows = Rows(self.values, self.y, self.ids, self.classes, tuple(self.skipped))
        dtype = str(self.values.dtype)
        return described(self, rows, shape=self.values.shape[1:], dtype=dtype, span=known)

    def _matched(self, wanted: tuple[str, ...]) -> np.ndarray:
        """The columns that a format knows, in its order."""
        if self.columns == wanted or not self.from_file:
            return self.values
        index = {name: i for i, name in enumerate(self.columns)}
        absent = [name for name in wanted if name not in index]
        if absent:
            raise DataError(
                f"{self.name} has no column '{absent[0]}', which this model was trained on; "
                f"give all {len(wanted)} columns."
            )
        return self.values[:, [index[name] for name in wanted]]

    def _note_square(self) -> None:
        """Say how to have numbers from 0 to 1 read as pictures, where they may be pixels."""
        side = square_side(len(self.columns))
        if side and np.nanmin(self.values) >= 0 and np.nanmax(self.values) <= 1:
            sentence = (
                f"rows of {len(self.columns)} numbers from 0 to 1 are read as a table; give "
                f"--shape 1,{side},{side} (shape=) if they are pictures"
            )
            self.notes += [] if sentence in self.notes else [sentence]

    def _note_missing(self) -> None:
        count = int(np.isnan(self.values).sum()) if self.values.dtype.kind == "f" else 0
        sentence = f"{count} missing values are replaced by the median of their column"
        if count and sentence not in self.notes:
            self.notes.append(sentence)


def _column_names(count: int) -> tuple[str, ...]:
    return tuple(f"column {i}" for i in range(count))


def open_table(path: Path, options: Options) -> Source:
    """A CSV or Parquet file: pictures when its columns are pixels, else a table.

    A column called label, class, target or y (or named by `label`) gives the classes.
    """
    from lemari.sources.columns import read_parquet
    from lemari.sources.csvfile import read_csv
    from lemari.sources.mending import without_gaps

    one_split(path.name, options.split)
    parquet = path.name.lower().endswith(".parquet")
    found = (read_parquet if parquet else read_csv)(path, options)
    found = without_gaps(found, wanted=bool(options.shape))
    check_share(found.skipped, len(found.values) + len(found.skipped), options.max_skipped)
    if not len(found.values):
        raise DataError(f"{path.name} holds no row of numbers; give a file with at least one.")
    y, classes = (None, ()) if found.labels is None else encode_labels(found.labels)
    ids = row_ids(len(found.values), "row ")
    if options.shape or found.pixels:
        return _pictures(path, found, y, classes, ids, options)
    return TableSource(
        path.name, found.values, found.columns, y, classes, ids, found.skipped, found.notes
    )


def _pictures(
    path: Path,
    found: Found,
    y: np.ndarray | None,
    classes: tuple[str, ...],
    ids: tuple[str, ...],
    options: Options,
) -> Source:
    from lemari.sources.arrays import picture_layout, picture_source

    if options.shape and prod(options.shape) != found.values.shape[1]:
        raise UsageError(
            f"shape={options.shape} does not fit the {found.values.shape[1]} columns of "
            f"{path.name}; give a shape (C, H, W) with that product."
        )
    layout = picture_layout(found.values, options.shape)
    source = picture_source(
        path.name,
        found.values,
        layout,  # pyright: ignore[reportArgumentType]
        options,
        y=y,
        classes=classes,
        ids=ids,
        notes=found.notes,
    )
    source.skipped = found.skipped
    return source
