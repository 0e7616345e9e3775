"""The format of a mixed table: learned from training rows, saved with a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from lemari.errors import DataError
from lemari.mixed.column import Feature, MixedColumn, features_of
from lemari.mixed.encoding import encode_column, encode_numbers
from lemari.mixed.frame import Frame
from lemari.mixed.learning import learned_columns
from lemari.mixed.showing import decoded, shown

LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Features x (N, F) float32 and what there is to know about them."""

    x: np.ndarray
    notes: list[str]


@dataclass(frozen=True, slots=True)
class MixedFormat:
    """What was learned of the columns in `rows` training rows, and the features they give."""

    columns: tuple[MixedColumn, ...]
    rows: int
    features: tuple[Feature, ...] = field(init=False, compare=False, repr=False)
    starts: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = [features_of(i, c, self.rows) for i, c in enumerate(self.columns)]
        object.__setattr__(self, "features", tuple(f for part in parts for f in part))
        object.__setattr__(self, "starts", (0, *accumulate(len(part) for part in parts)))

    @classmethod
    def learn(cls, frame: Frame, types: Mapping[str, str] | None = None) -> MixedFormat:
        """The format of these training rows; `types` gives kinds by column name.

        Raises DataError for infinite values and when no column can be used, UsageError for
        unknown names or kinds in `types`.
        """
        fmt = cls(learned_columns(frame, types), len(frame))
        if not fmt.features:
            raise DataError(
                "No column of the table can be learned from: each is all missing or an "
                "identifier; give numbers, categories or dates, or name kinds with types."
            )
        return fmt

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(c.name for c in self.columns)

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns whose cells should be read as text: `read_frame(..., texts=fmt.texts)`."""
        return tuple(c.name for c in self.columns if c.base == "category")

    @property
    def notes(self) -> list[str]:
        """What there is to know about the training columns."""
        return [f"column '{c.name}': {c.note}" for c in self.columns if c.note]

    @property
    def all_numbers(self) -> bool:
        """Whether every column holds numbers, so that plain arrays take the fast way."""
        return all(c.base == "numeric" for c in self.columns)

    @property
    def named(self) -> bool:
        """Whether the training columns had names of their own."""
        return any(c.name != f"column {i}" for i, c in enumerate(self.columns))

    def span(self, column: int) -> slice:
        """Where the features of a column lie in a row of features."""
        return slice(self.starts[column], self.starts[column + 1])

    def encode(self, frame: Frame) -> Encoded:
        """Features of the rows; columns by name, or by position where either side has no names.

        Raises DataError for a missing column or another number of nameless columns.
        """
        places, notes = self._matched(frame)
        order = [place for place in places if place is not None]
        if frame.array is not None and self.all_numbers and len(order) == len(places):
            same = order == list(range(len(frame.names)))
            found = self.encode_array(frame.array if same else frame.array[:, order])
            return Encoded(found.x, notes + found.notes)
        x = np.zeros((len(frame), len(self.features)), np.float32)
        for i, (column, place) in enumerate(zip(self.columns, places)):
            if place is not None:
                out = x[:, self.span(i)]
                notes += encode_column(column, frame.columns[place], self.rows, out)
        return Encoded(x, notes)

    def encode_array(self, a: np.ndarray) -> Encoded:
        """Features of numbers (N, D) in the order of the columns; the same as `encode`, faster.

        Raises DataError for another width or when some columns are not numbers.
        """
        if a.ndim != 2 or a.shape[1] != len(self.columns):
            raise self._width(a.shape)
        if not self.all_numbers or a.dtype.kind not in "buif":
            raise DataError("Some columns hold no numbers; give a table with all columns by name.")
        x = np.empty((len(a), len(self.features)), np.float32)
        starts = np.array(self.starts[:-1])
        return Encoded(x, encode_numbers(a, self.columns, starts, x))

    def shown(self, column: int, value: Any) -> str:
        """A value of that column as a person reads it."""
        return shown(self.columns[column], value)

    def decode_value(self, column: int, features: Any) -> Any:
        """The value of a column from a whole row of features (F,) or only its own."""
        row = np.asarray(features, dtype=np.float64)
        span = self.span(column)
        own = row[span] if len(row) == len(self.features) else row
        return decoded(self.columns[column], own, self.rows)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, numbers and strings; `mixed_format_from_json` gives the format back."""
        from lemari.mixed.stored import as_json

        return as_json(self.columns, self.rows)

    def _matched(self, frame: Frame) -> tuple[list[int | None], list[str]]:
        """The frame's position of each column, None for an ignored one that is not there."""
        index = {name: i for i, name in enumerate(frame.names)}
        absent = [c.name for c in self.columns if c.name not in index and c.kind != "ignored"]
        if not frame.named or (not self.named and absent):
            if len(frame.names) != len(self.columns):
                raise self._width((len(frame), len(frame.names)))
            return list(range(len(self.columns))), self._unlike_names(frame)
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(
                f"The table has no column '{absent[0]}'{more}, which was there in training; give "
                f"all {len(self.columns)} columns."
            )
        known = set(self.names)
        extra = [name for name in frame.names if name not in known]
        notes = [_extra_note(extra)] if extra else []
        return [index.get(name) for name in self.names], notes

    def _unlike_names(self, frame: Frame) -> list[str]:
        """A note where names cannot tell whether the columns are in order."""
        if frame.names == self.names:
            return []
        return ["the columns have other names than in training and are taken by their position"]

    def _width(self, shape: tuple[int, ...]) -> DataError:
        width = len(self.columns)
        return DataError(
            f"Rows of shape {shape} were given, but (N, {width}) is needed; give the {width} "
            "columns of the training rows, in their order."
        )


def _extra_note(extra: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in extra[:LISTED])
    more = f" and {len(extra) - LISTED} more" if len(extra) > LISTED else ""
    if len(extra) == 1:
        return f"column {listed} was not there in training and is ignored"
    return f"columns {listed}{more} were not there in training and are ignored"


def mixed_format_from_json(data: Any) -> MixedFormat:
    """The format that `to_json` wrote; anything else is a ModelFileError."""
    from lemari.mixed.stored import from_json

    columns, rows = from_json(data)
    return MixedFormat(columns, rows)
