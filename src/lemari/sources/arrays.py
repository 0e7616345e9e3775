"""Arrays of pictures or numbers: what their shape and values say, and their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.formats import CHUNK, Format, ImageFormat
from lemari.sources.base import (
    Options,
    Source,
    allocate,
    described,
    encode_labels,
    labelled,
    network_size,
    one_split,
    row_ids,
    too_big,
)
from lemari.types import Rows, Skipped
from lemari.values import limits, numbers

LUMA = (0.299, 0.587, 0.114)
FEW_LEVELS = 64
Look = tuple[str, tuple[int, int, int], list[str]]  # layout, shape (C, H, W), notes


@dataclass(frozen=True, slots=True)
class Scale:
    """How pixel values are stored and which of them stand for 0 and 1."""

    dtype: str = "uint8"
    levels: int = 255
    low: float = 0.0
    high: float = 255.0


@dataclass(slots=True)
class ArraySource:
    """Pictures in one array (N, ...) of any layout; `shape` is (C, H, W) of one of them."""

    name: str
    array: np.ndarray
    layout: str
    shape: tuple[int, int, int]
    scale: Scale
    y: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    channels: int | None = None
    official_split: bool = False
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    kind: str = "image"

    def __post_init__(self) -> None:
        if self.channels and self.channels != self.shape[0]:
            self.array = _recoloured(self.array, self.layout, self.shape, self.channels)
            self.shape = (self.channels, *self.shape[1:])
            self.layout = "hw" if self.channels == 1 else "chw"

    def __len__(self) -> int:
        return len(self.array)

    def learn(self) -> ImageFormat:
        """The format of these pictures; one side shorter than 8 pixels is scaled up to 8."""
        c, h, w = self.shape
        s = self.scale
        return ImageFormat(
            shape=(c, *network_size(h, w, self.size)),
            native=(h, w),
            layout=self.layout,  # pyright: ignore[reportArgumentType]
            dtype=s.dtype,  # pyright: ignore[reportArgumentType]
            levels=s.levels,
            low=s.low,
            high=s.high,
            fit="stretch",
            classes=self.classes,
        )

    def load(self, fmt: Format, memory_limit: int | None = None) -> Rows:
        """The pictures as stored rows of `fmt`; without a copy when they fit as they are."""
        out = None
        if isinstance(fmt, ImageFormat):
            shape = (len(self), *fmt.shape)
            if too_big(shape, fmt.dtype, memory_limit):
                out = allocate(shape, fmt.dtype, memory_limit)
            x = fmt.from_array(self.array, out)
        else:
            x = fmt.from_array(self.array.reshape(len(self), -1))
        rows = Rows(x, self.y, self.ids, self.classes, tuple(self.skipped))
        return labelled(rows, fmt)

    def inspect(self) -> dict[str, Any]:
        """What the array holds; `shape` is (C, H, W) of one picture as given."""
        rows = Rows(self.array, self.y, self.ids, self.classes, tuple(self.skipped))
        dtype = str(self.array.dtype)
        return described(self, rows, shape=self.shape, dtype=dtype, span=limits(self.array))


def picture_scale(x: np.ndarray) -> tuple[Scale, list[str]]:
    """How to store pictures with these values, with notes on what was assumed.

    Raises DataError, naming the row, for a value that is not finite.
    """
    if x.dtype == bool:
        return Scale("uint8", 1, 0.0, 1.0), []
    if x.dtype == np.uint8:
        return Scale(), []
    low, high = limits(x)
    if x.dtype.kind == "f" and low >= 0 and high <= 1:
        return Scale("float32", 0, 0.0, 1.0), []
    if low >= 0 and high <= 65535 and whole(x):
        return _whole_scale(x, high)
    note = f"the pixel range is {low:g} to {high:g}, not 0 to 1 or 0 to 255; it is mapped to 0 to 1"
    return Scale("float32", 0, low, high if high > low else low + 1.0), [note]


def _whole_scale(x: np.ndarray, high: float) -> tuple[Scale, list[str]]:
    """Whole numbers: 8 or 16 bits deep, or as few levels as were counted."""
    if 1 <= high <= FEW_LEVELS:
        note = f"the pixel range is 0 to {high:g}: {high:g} is taken for full brightness"
        return Scale("uint8", int(high), 0.0, high), [note]
    if high <= 255:
        return Scale(), []
    return Scale("uint16", 65535, 0.0, 65535.0), []


def whole(x: np.ndarray) -> bool:
    """Whether all values are whole numbers; read in pieces, so that maps stay on disk."""
    if x.dtype.kind in "bui":
        return True
    step = max(1, CHUNK // max(1, x[0].size))
    pieces = (x[i : i + step] for i in range(0, len(x), step))
    return all(bool((p == np.rint(p)).all()) for p in pieces)


def square_side(columns: int) -> int:
    """The side of a square of `columns` pixels, 0 when there is none of 8 or more."""
    side = isqrt(columns)
    return side if side * side == columns and side >= 8 else 0


def picture_layout(x: np.ndarray, shape: tuple[int, int, int] | None) -> Look | None:
    """Layout, shape (C, H, W) and notes of an array of pictures; None for rows of a table.

    UsageError for a `shape` that is not that of the pictures.
    """
    if x.ndim == 2:
        return _flat_layout(x, shape)
    found = _layout(x, shape)
    if shape and found[1] != tuple(shape):
        raise UsageError(
            f"The pictures of this array are {found[1]} (C, H, W), not shape={tuple(shape)}; leave "
            "shape (--shape) out, or use size (--size) for another size."
        )
    return found


def _layout(x: np.ndarray, shape: tuple[int, int, int] | None) -> Look:
    """The layout of an array that has its pictures' shape."""
    if x.ndim == 3 and x.shape[2] in (3, 4) and x.shape[1] > 4:
        raise DataError(
            f"An array of shape {x.shape} looks like one colour picture; several are needed, "
            "as (N, H, W, C): put them into one array with numpy.stack."
        )
    if x.ndim == 3:
        return "hw", (1, *x.shape[1:]), []
    if x.ndim == 4 and x.shape[3] in (1, 3, 4):
        n, h, w, c = x.shape
        double = h in (1, 3, 4) and shape != (c, h, w)
        if double and shape == x.shape[1:]:
            return "chw", x.shape[1:], []
        note = f"shape {x.shape} is read as (N, H, W, C); give shape=(C, H, W) to say otherwise"
        return "hwc", (c, h, w), [note] if double else []
    if x.ndim == 4 and (x.shape[1] in (1, 3, 4) or shape == x.shape[1:]):
        return "chw", x.shape[1:], []
    raise DataError(
        f"An array of shape {x.shape} cannot be read as examples; give rows (N, D) or pictures "
        "(N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels."
    )


def _flat_layout(x: np.ndarray, shape: tuple[int, int, int] | None) -> Look | None:
    """Rows (N, D): pictures when the user says so, or as MNIST comes from table-like places."""
    columns = x.shape[1]
    if shape:
        if shape[0] * shape[1] * shape[2] != columns:
            raise UsageError(
                f"shape={shape} has {shape[0] * shape[1] * shape[2]} numbers, but the rows have "
                f"{columns}; give a shape (C, H, W) with that product."
            )
        return "flat", shape, []
    side = square_side(columns)
    if not side or x.dtype == bool:
        return None
    low, high = limits(x)
    if low < 0 or not 1 < high <= 255 or not whole(x):
        return None
    note = f"rows of {columns} whole numbers from 0 to 255 are read as {side}x{side} gray pictures"
    return "flat", (1, side, side), [note]


def open_array(data: Any, options: Options, name: str = "array") -> Source:
    """Examples from an array: pictures by their shape or `shape=`, else a table of numbers.

    `options.label` may hold the labels, one per example.
    """
    from lemari.sources.table import TableSource

    one_split(name, options.split)
    label = options.label
    if hasattr(data, "columns") and hasattr(data, "drop"):
        data, label = _frame(data, options)
    x = numbers(data)
    y, classes = None, ()
    if label is not None and not isinstance(label, str):
        y, classes = given_labels(label, len(x))
    found = picture_layout(x, options.shape)
    if found is None:
        columns = getattr(data, "columns", None)
        return TableSource.from_array(name, x, y, classes, columns)
    return picture_source(name, x, found, options, y=y, classes=classes)


def _frame(data: Any, options: Options) -> tuple[Any, Any]:
    """A data frame without its label column and the columns to drop, and the labels."""
    label = options.label
    named = [label] if isinstance(label, str) else []
    for name in (*named, *options.drop):
        if name not in data.columns:
            raise UsageError(
                f"There is no column '{name}'; the frame has {list(data.columns)[:9]}."
            )
    labels = data[label].tolist() if named else label
    return data.drop(columns=[*named, *options.drop]), labels


def picture_source(
    name: str, x: np.ndarray, found: Look, options: Options, **more: Any
) -> ArraySource:
    """A source of pictures from an array whose layout was found."""
    layout, shape, notes = found
    scale, remarks = picture_scale(x)
    more.setdefault("ids", row_ids(len(x)))
    more["notes"] = [*more.get("notes", ()), *notes, *remarks]
    return ArraySource(
        name, x, layout, shape, scale, size=options.size, channels=options.channels, **more
    )


def given_labels(labels: Any, count: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels given in Python, one per example, as class numbers and names."""
    values = np.asarray(labels).ravel().tolist()
    if len(values) != count:
        raise UsageError(f"{len(values)} labels were given for {count} examples; give one each.")
    return encode_labels(values)


def _recoloured(x: np.ndarray, layout: str, shape: tuple[int, int, int], wanted: int) -> np.ndarray:
    """Pictures of any layout with another number of channels, as (N, H, W) or (N, C, H, W)."""
    c = shape[0]
    if layout == "hwc":
        x = np.moveaxis(x, 3, 1)
    x = x.reshape(len(x), *shape)
    if wanted == 1 and c in (3, 4):
        gray = np.tensordot(x[:, :3], np.asarray(LUMA, np.float32), ([1], [0]))
        return gray.astype(x.dtype) if x.dtype.kind == "f" else np.rint(gray).astype(x.dtype)
    if wanted == 3 and c in (1, 4):
        return np.repeat(x, 3, 1) if c == 1 else x[:, :3]
    raise UsageError(f"channels={wanted} cannot be made from {c}; use 1 or 3.")
