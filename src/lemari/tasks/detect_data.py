"""Tables for detectors: rows or windows of rows, their numbers in the file, and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import Column, Text, missing_in
from lemari.mixed.format import MixedFormat
from lemari.mixed.frame import Frame, near, read_frame
from lemari.mixed.inspecting import described_frame
from lemari.mixed.windows import windows
from lemari.sources.columns import LABELS
from lemari.tasks.detector import FittedDetector

ANOMALOUS = {"1", "true", "yes", "anomaly", "anomalous", "anomalies", "outlier", "abnormal",
             "fraud", "fraudulent", "attack", "intrusion", "malicious", "fault", "faulty",
             "failure", "defect", "defective", "bad"}  # fmt: skip
NORMAL = {"0", "false", "no", "normal", "benign", "inlier", "ok", "good", "regular", "healthy"}
KEYS = ("y", "Y", "label", "labels")
ARRAYS = (".npy", ".npz")
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".txt", ".parquet")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of a file, or windows over them.

    `frame` holds what is encoded, `rows` (N,) the number of each row in the file (from 1; the last
    row of a window), and `source` the same rows as they were written.
    """

    name: str
    frame: Frame
    rows: np.ndarray
    source: Frame

    def __len__(self) -> int:
        return len(self.frame)


def read_table(
    path: str,
    *,
    label: str | None = None,
    drop: Collection[str] = (),
    texts: Collection[str] = (),
    window: int = 0,
    by: str = "",
    columns: Sequence[str] | None = None,
) -> Table:
    """A file as rows, or as windows of `window` rows within each value of the column `by`.

    In .npz files the labels are the array y. DataError for a file that cannot be used.
    """
    arrays = Path(path).suffix.lower() in ARRAYS
    named = None if arrays and label in KEYS else label
    frame = read_frame(path, label=named, drop=drop, texts=texts)
    if label and frame.label is None:
        raise DataError(f"{Path(path).name} holds no labels; give them as the array 'y'.")
    name = Path(path).name
    if not window:
        return Table(name, frame, np.arange(1, len(frame) + 1), frame)
    if columns is not None:
        check_columns(frame, columns)
        frame = replace(frame, notes=without_suspects(frame))
    if by and by not in frame.names:
        raise DataError(f"There is no column '{by}'; the nearest are {near(by, frame.names)}.")
    found, last = windows(frame, window, by or None, columns=columns)
    return Table(name, found, last + 1, frame.take(last))


def read_new(fitted: FittedDetector, path: str, label: str | None = None) -> Table:
    """A file in the form that a detector was trained on; labels only where asked for."""
    told = fitted.settings
    if not told.window:
        table = read_table(path, label=label, texts=fitted.format.texts)
        return replace(table, frame=unlabelled(table.frame, fitted))
    return read_table(
        path,
        label=label,
        texts=(told.by,) if told.by else (),
        window=told.window,
        by=told.by,
        columns=windowed_columns(fitted),
    )


def unlabelled(frame: Frame, fitted: FittedDetector) -> Frame:
    """The frame without the column that held the labels in training, and its warning."""
    own = fitted.settings.label
    gone = own in frame.names and own not in fitted.format.names and len(frame.names) > 1
    return replace(frame.without([own]) if gone else frame, notes=without_suspects(frame))


def without_suspects(frame: Frame) -> tuple[str, ...]:
    """The notes of a frame without those on columns that look like labels."""
    return tuple(note for note in frame.notes if "looks like a label" not in note)


def windowed_columns(fitted: FittedDetector) -> list[str]:
    """The columns of a series whose windows a detector knows."""
    end = f" (last of {fitted.settings.window})"
    return [n.removesuffix(end) for n in fitted.format.names if n.endswith(end)]


def check_columns(frame: Frame, columns: Sequence[str]) -> None:
    """DataError for the first column of the training series that is not in the frame."""
    absent = [name for name in columns if name not in frame.names]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(
            f"The table has no column '{absent[0]}'{more}, which was there in training; give all "
            f"{len(columns)} columns."
        )


def typed_table(
    data: str, label: str | None = None, drop: Collection[str] = ()
) -> dict[str, Any] | None:
    """What each column of a table file holds; None for other data and for tables of numbers only.

    A table is one of typed columns when any but its label holds text, dates, truths or gaps.
    """
    if not data.lower().endswith(TABLES) or not Path(data).is_file():
        return None
    try:
        frame = read_frame(data, label=label, drop=drop)
        plain = all(
            name in LABELS or _plain(column) for name, column in zip(frame.names, frame.columns)
        )
        return None if plain else described_frame(frame, MixedFormat.learn(frame))
    except DataError:
        return None


def _plain(column: Column) -> bool:
    numbers = not isinstance(column, Text) and column.dtype.kind in "uif"
    return numbers and not missing_in(column).any()


def marks(labels: Sequence[Any], guess: bool = True) -> tuple[np.ndarray, str]:
    """(y, words): y (N,) int8 is 1 for anomalies, 0 for normal rows, -1 without a label.

    The words say which value counts as anomalous, and why. DataError unless there are two classes
    (or several of which one is called normal); without `guess` also where only their counts tell.
    """
    written = [_written(label) for label in labels]
    counts = Counter(word for word in written if word)
    odd, why = anomalous(counts, guess)
    y = np.array([-1 if not word else int(word in odd) for word in written], np.int8)
    named = ", ".join(f"'{w[:40]}'" for w in sorted(odd)[:3]) + (" ..." if len(odd) > 3 else "")
    return y, f"anomalous: {named} ({why}), {int((y == 1).sum()):,} of {len(y):,} rows"


def anomalous(counts: Counter[str], guess: bool = True) -> tuple[set[str], str]:
    """The label values that stand for anomalies, and by which rule."""
    values = list(counts)
    if len(values) < 2:
        what = f"all '{values[0][:40]}'" if values else "all missing"
        raise DataError(
            f"The labels are {what}; both classes are needed, so leave the label out or give rows "
            "of both."
        )
    if set(values) == {"-1", "1"}:
        return {"-1"}, "as scikit-learn marks outliers"
    odd = {v for v in values if v.lower() in ANOMALOUS}
    usual = {v for v in values if v.lower() in NORMAL}
    if len(values) > 2:
        named = {v for v in usual if not v.isdigit()}
        if len(named) != 1:
            raise DataError(
                f"The label has {len(values):,} different values; give one with two, such as 0 and "
                "1, or call one of them 'normal'."
            )
        return set(values) - named, "all but the normal ones"
    if len(odd) == 1:
        return odd, "by its name"
    if len(usual) == 1:
        return set(values) - usual, "the other is called normal"
    if not guess:
        raise DataError("Neither of the two labels is called normal; say which one is.")
    return {min(values, key=lambda v: (counts[v], v))}, "the rarer value"


def _written(label: Any) -> str:
    if label is None or label != label:
        return ""
    return f"{label:g}" if isinstance(label, float) else str(label).strip()


def check_window(window: int, by: str) -> None:
    """UsageError for --by without --window, and for a window that is none."""
    if by and not window:
        raise UsageError("--by needs --window, the number of rows in a window.")
    if window == 1 or window < 0:
        raise UsageError(f"--window is 2 rows or more, not {window}.")
