"""A table with named columns of any kind, from whatever a user has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.mixed.arrow import any_column, arrow_columns, frame_columns
from lemari.mixed.cells import Column, Text
from lemari.mixed.csvs import Read, read_csv
from lemari.sources.npz import UNREADABLE

LABEL_NAMES = ("label", "class", "target", "y", "anomaly", "is_anomaly", "outlier")
CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt")
MOST_COLUMNS = 1 << 16
LONGEST_NAME = 1000
EXAMPLES, LABELS = ("X", "x", "data", "X_train", "x_train"), ("y", "Y", "label", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Rows of named columns; see `lemari.mixed.cells` for what a column is.

    `array` (N, D) holds the same numbers when they came as one array. `named` is False when the
    columns had no names and are matched by position. `label` is kept apart from the columns.
    `skipped` are the lines of a file (from 1) that were left out.
    """

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int
    label: list[Any] | None = None
    notes: tuple[str, ...] = ()
    named: bool = True
    array: np.ndarray | None = None
    skipped: tuple[int, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return self.rows

    def column(self, name: str) -> Column:
        """The column of that name; UsageError with the nearest names when there is none."""
        return self.columns[self.place(name)]

    def place(self, name: str) -> int:
        """The position of a column; UsageError with the nearest names when there is none."""
        if name not in self.names:
            raise UsageError(
                f"There is no column '{name}'; the nearest are {near(name, self.names)}."
            )
        return self.names.index(name)

    def value(self, place: int, row: int) -> Any:
        """One cell as a plain value: float, int, bool, str, datetime64, or None where missing."""
        column = self.columns[place]
        if isinstance(column, Text):
            code = int(column.codes[row])
            return column.levels[code] if code >= 0 else None
        cell = column[row]
        if column.dtype.kind == "M":
            return None if np.isnat(cell) else cell
        cell = cell.item()
        return None if cell != cell else cell

    def take(self, rows: Any) -> Frame:
        """The rows of an index array, a mask or a slice, in that order."""
        array = None if self.array is None else self.array[rows]
        whole = np.arange(self.rows)[rows]
        columns = tuple(c[rows] for c in self.columns) if array is None else tuple(array.T)
        label = None if self.label is None else [self.label[i] for i in whole]
        return replace(self, columns=columns, rows=len(whole), array=array, label=label, skipped=())

    def without(self, names: Collection[str]) -> Frame:
        """The frame without those columns; UsageError for a name that is not there."""
        gone = {self.place(name) for name in names}
        if not gone:
            return self
        kept = [i for i in range(len(self.names)) if i not in gone]
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            columns=tuple(self.columns[i] for i in kept),
            array=None if self.array is None else self.array[:, kept],
        )


def near(name: str, names: Sequence[str]) -> str:
    """The three names most like `name`, for a message."""
    return ", ".join(f"'{n}'" for n in get_close_matches(str(name), list(names), 3, 0.0))


def read_frame(
    data: Any,
    *,
    label: Any = None,
    drop: Collection[str] = (),
    limit: int | None = None,
    texts: Collection[str] = (),
) -> Frame:
    """A frame from a file, a data frame, an Arrow table, a dict of columns or an array (N, D).

    Files: .csv, .tsv (also .gz), .parquet, .npy, .npz. `label` names the label column or holds
    one label for each row. `drop` names columns to leave out; `limit` is the most rows to read;
    `texts` names columns of a CSV file whose numbers are codes, such as 00123.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit={limit} leaves no row; give 1 or more.")
    frame = _read(data, set(texts), limit)
    _check(frame)
    frame = _labelled(frame, label).without(drop)
    if limit is not None and len(frame) > limit:
        frame = frame.take(slice(limit))
    if not frame.names:
        raise DataError("The table has no column left to learn from; give at least one.")
    return replace(frame, notes=(*frame.notes, *_suspects(frame)))


def _read(data: Any, texts: set[str], limit: int | None) -> Frame:
    if isinstance(data, Frame):
        return data
    if isinstance(data, str | Path):
        return _from_file(Path(data), texts, limit)
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _framed(*frame_columns(data), rows=len(data))
    if hasattr(data, "to_arrow"):
        data = data.to_arrow()
    if hasattr(data, "column_names") and hasattr(data, "schema"):
        return _framed(*arrow_columns(data), rows=data.num_rows)
    if isinstance(data, dict):
        return _framed([str(n) for n in data], [any_column(str(n), c) for n, c in data.items()])
    if hasattr(data, "toarray"):
        raise DataError("A sparse matrix was given; make it dense first, with .toarray().")
    return from_array(data)


def _framed(names: list[str], columns: list[Column], rows: int | None = None) -> Frame:
    rows = rows if rows is not None else len(columns[0]) if columns else 0
    for name, column in zip(names, columns):
        if len(column) != rows:
            raise DataError(
                f"Column '{name}' has {len(column):,} rows and '{names[0]}' has {rows:,}; "
                "give columns of one length."
            )
    return Frame(tuple(names), tuple(columns), rows)


def from_array(data: Any) -> Frame:
    """A frame from an array (N, D) or rows in lists; columns are called `column 0` and so on."""
    try:
        array = np.asarray(data)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The rows do not form one table ({error}); give them one length."
        ) from None
    if array.ndim != 2:
        raise DataError(
            f"An array of shape {array.shape} was given; give rows of columns, (N, D), "
            "with reshape(-1, 1) for a single column."
        )
    names = tuple(f"column {i}" for i in range(array.shape[1]))
    if array.dtype.kind in "uif":
        return Frame(names, tuple(array.T), len(array), named=False, array=array)
    if array.dtype.kind not in "bOUS":
        raise DataError(f"An array of {array.dtype} was given; convert it to numbers first.")
    columns = tuple(any_column(n, array[:, i]) for i, n in enumerate(names))
    return Frame(names, columns, len(array), named=False)


def _from_file(path: Path, texts: set[str], limit: int | None) -> Frame:
    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"There is no file {path}; check the name and the folder.")
    if name.endswith(CSV):
        return _from_csv(path, read_csv(path, texts, limit))
    if name.endswith(".parquet"):
        return _from_parquet(path)
    if name.endswith((".npy", ".npz")):
        return _from_numpy(path)
    raise DataError(
        f"{path.name} is no table; give a {', '.join(CSV)}, .parquet, .npy or .npz file."
    )


def _from_csv(path: Path, read: Read) -> Frame:
    columns = read.columns or [Text(np.zeros(0, np.int32), ()) for _ in read.names]
    frame = _framed(read.names, columns)
    if not read.uneven:
        return frame
    first = f" (the first is line {read.skipped[0]})" if read.skipped else ""
    note = f"rows of {path.name} skipped for another number of cells: {read.uneven:,}{first}"
    return replace(frame, notes=(note,), skipped=tuple(read.skipped))


def _from_parquet(path: Path) -> Frame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read(use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path.name} cannot be read as Parquet ({str(error)[:200]}); write it again."
        ) from None
    return _framed(*arrow_columns(table), rows=table.num_rows)


def _from_numpy(path: Path) -> Frame:
    """An array file: one array, or X with the labels y beside it; never a pickle."""
    try:
        with np.errstate(all="ignore"):
            loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return from_array(loaded)
        with loaded as archive:
            key = next((k for k in EXAMPLES if k in archive.files), None)
            if key is None:
                held = ", ".join(archive.files[:8])
                raise DataError(f"{path.name} holds {held}; call the array of rows 'X'.")
            marks = next((k for k in LABELS if k in archive.files), None)
            frame = from_array(archive[key])
            return frame if marks is None else _labelled(frame, archive[marks])
    except DataError:
        raise
    except UNREADABLE:
        raise DataError(
            f"{path.name} is no file of NumPy arrays, is broken, or holds objects; save plain "
            "numbers with numpy.save or numpy.savez."
        ) from None


def _check(frame: Frame) -> None:
    """Refuse a table without rows, with too many columns or with two columns of one name."""
    if not len(frame):
        raise DataError("The table has no rows; give at least one.")
    if len(frame.names) > MOST_COLUMNS:
        raise DataError(
            f"The table has {len(frame.names):,} columns, more than {MOST_COLUMNS:,}; "
            "leave some out."
        )
    if any(len(name) > LONGEST_NAME for name in frame.names):
        raise DataError(
            f"The name of a column is longer than {LONGEST_NAME:,} characters; shorten it, or "
            "check that the first line of the file holds the names."
        )
    twice = [name for name, count in Counter(frame.names).items() if count > 1]
    if twice:
        raise DataError(f"Two columns are called '{twice[0]}'; give each its own name.")


def _labelled(frame: Frame, label: Any) -> Frame:
    """The frame with its labels apart: a column by its name, or one value for each row."""
    if label is None:
        return frame
    if isinstance(label, str):
        column = frame.column(label)
        cells = column.cells() if isinstance(column, Text) else column.tolist()
        cells = [None if cell != cell else cell for cell in cells]
        return replace(frame.without([label]), label=cells)
    values = np.asarray(label).ravel().tolist()
    if len(values) != len(frame):
        raise UsageError(
            f"{len(values):,} labels were given for {len(frame):,} rows; give one each."
        )
    return replace(frame, label=values)


def _suspects(frame: Frame) -> list[str]:
    return [
        f"column '{name}' looks like a label and is used as a feature; name it with --label {name}"
        for name in frame.names
        if name.strip().lower() in LABEL_NAMES
    ]
