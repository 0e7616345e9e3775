"""How a user's examples become stored rows, and how a model's output becomes examples again.

A format is learned from the training data and saved with the model, so that a saved model takes
what its user has (pictures of any size, rows of numbers) and returns what its user knows. It
holds plain numbers and names only; `to_json` and `format_from_json` are exact inverses.

Letters: N examples, C channels, H and W the network's height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from lemari.errors import DataError, ModelFileError
from lemari.resizing import fitted, resize
from lemari.types import Schema
from lemari.values import (
    check_finite,
    check_infinite,
    check_scale,
    is_name,
    is_number,
    many,
    numbers,
    sides,
)

if TYPE_CHECKING:
    from torch import Tensor

Layout = Literal["files", "flat", "hw", "chw", "hwc"]
Fit = Literal["crop", "stretch", "pad"]
Size = tuple[int, int]

LAYOUTS: tuple[str, ...] = ("files", "flat", "hw", "chw", "hwc")
FITS: tuple[str, ...] = ("crop", "stretch", "pad")
DTYPES: tuple[str, ...] = ("uint8", "uint16", "float32")
VERSION = 1
CHUNK = 1 << 24  # numbers that are brought to size or scale at a time


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """Pictures: their size for the network, their size and layout for the user, their values.

    `low` and `high` are the stored values that stand for 0 and 1; `levels` is the number of
    steps between them (0: continuous). `native` is the original size when all examples had one.
    """

    shape: tuple[int, int, int]
    native: Size | None = None
    layout: Layout = "files"
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    levels: int = 255
    low: float = 0.0
    high: float = 255.0
    fit: Fit = "crop"
    classes: tuple[str, ...] = ()
    kind: ClassVar[str] = "image"

    @property
    def schema(self) -> Schema:
        """What a network needs to know: shape (C, H, W), classes and levels."""
        return Schema("image", self.shape, self.classes, self.levels)

    def unit(self, x: Tensor) -> Tensor:
        """Stored values, any shape, as float32 in [0, 1]. Fast: used on each batch."""
        import torch

        scaled = x.to(torch.float32)
        if self.low:
            scaled = scaled - self.low
        span = self.high - self.low
        return scaled if span == 1.0 else scaled * (1.0 / span)

    def from_array(self, a: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Examples in any layout, native or network size, as stored rows (N, C, H, W).

        Values outside [low, high] are clipped. Rows that need no change are returned as they
        are, others are written to `out` when it is given. Raises DataError when a value is not
        finite, the shape does not fit, or the values are plainly on another scale.
        """
        x = _channels_first(self, numbers(a))
        same_size = x.shape[2:] == self.shape[1:]
        if same_size and x.dtype == self.dtype and self._full_range:
            return _contiguous(x, out)
        check_scale(x, self.low, self.high, self.levels)
        out = np.empty((len(x), *self.shape), self.dtype) if out is None else out
        step = max(1, CHUNK // max(1, int(np.prod(x.shape[1:]))))
        for start in range(0, len(x), step):
            out[start : start + step] = self.quantised(x[start : start + step])
        return out

    def quantised(self, x: np.ndarray) -> np.ndarray:
        """Values of shape (n, C, h, w), brought to the network's size, range, levels and type."""
        if x.shape[2:] != self.shape[1:]:
            x = fitted(x, self.shape[1], self.shape[2], self.fit, self.low)
        x = np.clip(x.astype(np.float32), self.low, self.high)
        if self.levels:
            step = (self.high - self.low) / self.levels
            x = self.low + np.rint((x - self.low) / step) * step
        return x.astype(self.dtype)

    def to_user(self, x: np.ndarray) -> np.ndarray:
        """Values (N, C, H, W) in [0, 1] in the user's layout, size and range; never rounded.

        Whole-number pictures come back as float on their own scale, such as 0 to 255.
        """
        x = np.asarray(x)
        kept = x.dtype if x.dtype == np.float64 else np.dtype(np.float32)
        if self.native and self.native != self.shape[1:]:
            x = resize(x, *self.native)
        x = (self.low + (self.high - self.low) * x).astype(kept)
        if self.layout == "flat":
            return x.reshape(len(x), -1)
        if self.layout == "chw":
            return x
        gray = self.layout == "hw" or (self.layout == "files" and self.shape[0] == 1)
        return x[:, 0] if gray else np.moveaxis(x, 1, 3)

    def to_pixels(self, x: np.ndarray) -> np.ndarray:
        """Values (N, C, H, W) in [0, 1] as whole pixels (N, H, W, C), ready for a picture file.

        uint16 (0 to 65535) when the data has 16-bit depth, uint8 (0 to 255) otherwise.
        """
        top, dtype = (65535, np.uint16) if self.dtype == "uint16" else (255, np.uint8)
        finite = np.nan_to_num(np.asarray(x, np.float64))
        return np.moveaxis(np.rint(np.clip(finite, 0, 1) * top).astype(dtype), 1, 3)

    def resized(self, height: int, width: int) -> ImageFormat:
        """The same format for a network of another picture size; the user's size stays."""
        native = self.native
        if native is None and self.layout != "files":
            native = self.shape[1:]
        return replace(self, shape=(self.shape[0], height, width), native=native)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, numbers and strings; `format_from_json` gives the format back."""
        return _as_json(self)

    @property
    def _full_range(self) -> bool:
        """Whether every value that the stored type can hold is a valid one."""
        tops = {"uint8": 255, "uint16": 65535}
        return self.low == 0 and self.levels == self.high == tops.get(self.dtype)


@dataclass(frozen=True, slots=True)
class TableFormat:
    """Rows of numbers: per column the mean, the scale and the value that replaces a missing one.

    Stored rows are standardised float32 (N, D); a constant column has scale 1.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    impute: tuple[float, ...]
    classes: tuple[str, ...] = ()
    kind: ClassVar[str] = "table"

    @property
    def schema(self) -> Schema:
        """What a network needs to know: shape (D,), classes and column names."""
        return Schema("table", (len(self.columns),), self.classes, 0, self.columns)

    def unit(self, x: Tensor) -> Tensor:
        """Stored rows are what the network sees: returned unchanged."""
        return x

    def from_array(self, a: Any) -> np.ndarray:
        """Numbers (N, D) as standardised float32 (N, D); missing or infinite is a DataError."""
        x = self._checked(a)
        check_finite(x, self.columns)
        return self._standard(x)

    def from_values(self, a: Any) -> tuple[np.ndarray, int]:
        """As `from_array`, with missing values (NaN) imputed; also returns how many."""
        x = self._checked(a)
        check_infinite(x, self.columns)
        missing = np.isnan(x)
        count = int(missing.sum())
        filled = np.where(missing, np.asarray(self.impute), x) if count else x
        return self._standard(filled), count

    def to_user(self, x: np.ndarray) -> np.ndarray:
        """Standardised rows (N, D) on the user's scale; float64 stays, else float32."""
        x = np.asarray(x)
        kept = x.dtype if x.dtype == np.float64 else np.dtype(np.float32)
        return (x * np.asarray(self.scale) + np.asarray(self.mean)).astype(kept)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, numbers and strings; `format_from_json` gives the format back."""
        return _as_json(self)

    def _checked(self, a: Any) -> np.ndarray:
        x, width = numbers(a), len(self.columns)
        x = x.reshape(len(x), -1) if x.ndim > 2 else x
        if x.ndim != 2 or x.shape[1] != width:
            raise DataError(
                f"Rows of shape {x.shape} were given, but this model needs (N, {width}); "
                f"give the {width} columns it was trained on."
            )
        return x.astype(np.float64)

    def _standard(self, x: np.ndarray) -> np.ndarray:
        return ((x - np.asarray(self.mean)) / np.asarray(self.scale)).astype(np.float32)


Format = ImageFormat | TableFormat


def _channels_first(fmt: ImageFormat, x: np.ndarray) -> np.ndarray:
    """Examples in any layout as (N, C, h, w), whose size is then one that the format knows."""
    given, (c, h, w) = x.shape, fmt.shape
    sizes = [fmt.native, (h, w)] if fmt.native else [(h, w)]
    if x.ndim == 2:
        for height, width in sizes:
            if x.shape[1] == c * height * width:
                return x.reshape(len(x), c, height, width)
    elif x.ndim == 3 and c == 1:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] == c and not (x.shape[1] == c and fmt.layout == "chw"):
        x = np.moveaxis(x, 3, 1)
    if x.ndim == 4 and x.shape[1] == c and (fmt.layout == "files" or x.shape[2:] in sizes):
        return x
    height, width = sizes[0]
    picture = f"(N, {height}, {width})" if c == 1 else f"(N, {height}, {width}, {c})"
    raise DataError(
        f"Pictures of shape {given} were given, but this model needs {picture}, or rows of "
        f"{c * height * width}; bring them to that shape first."
    )


def _contiguous(x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """The rows themselves when they lie in order, else a copy (in `out` when it is given)."""
    if x.flags.c_contiguous:
        return x
    if out is None:
        return np.ascontiguousarray(x)
    out[:] = x
    return out


def _as_json(fmt: Format) -> dict[str, Any]:
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(fmt).items()}
    return {"version": VERSION, "kind": fmt.kind, **plain}


def format_from_json(data: Any) -> Format:
    """The format that `to_json` wrote; anything else is a ModelFileError."""
    if not isinstance(data, dict) or repr(data.get("version")) != repr(VERSION):
        raise _refused("it is not a format of version 1")
    kinds = {"image": (ImageFormat, IMAGE_RULES), "table": (TableFormat, TABLE_RULES)}
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise _refused(f"its kind is {str(kind)[:40]!r}")
    cls, rules = kinds[kind]
    names = [f.name for f in fields(cls)]
    if set(data) != {"version", "kind", *names}:
        raise _refused(f"its keys differ from the known ones: {sorted(map(str, data))[:20]}")
    for name in names:
        if not rules[name](data[name]):
            raise _refused(f"'{name}' has a wrong type or is out of bounds")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in names}
    if kind == "image" and not values["low"] < values["high"]:
        raise _refused("'low' is not below 'high'")
    if kind == "table" and len({len(values[k]) for k in names[:4]}) != 1:
        raise _refused("its columns, means, scales and fillings differ in number")
    return cls(**values)


def _refused(fault: str) -> ModelFileError:
    return ModelFileError(f"The format file cannot be used: {fault}; save the model again.")


IMAGE_RULES: dict[str, Callable[[Any], bool]] = {
    "shape": sides(3),
    "native": lambda v: v is None or sides(2)(v),
    "layout": lambda v: v in LAYOUTS,
    "dtype": lambda v: v in DTYPES,
    "levels": lambda v: type(v) is int and 0 <= v <= 65535,
    "low": is_number,
    "high": is_number,
    "fit": lambda v: v in FITS,
    "classes": many(is_name),
}
TABLE_RULES: dict[str, Callable[[Any], bool]] = {
    "columns": many(is_name),
    "mean": many(is_number),
    "scale": many(lambda v: is_number(v) and v > 0),
    "impute": many(is_number),
    "classes": many(is_name),
}
