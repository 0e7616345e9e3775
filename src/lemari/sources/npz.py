"""NumPy files: .npy, mapped from disk where possible, and .npz; never a pickle."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from lemari.errors import DataError, UsageError
from lemari.sources.arrays import open_array, picture_layout, picture_source
from lemari.sources.base import Options, Source, available_memory, encode_labels, one_split, row_ids
from lemari.values import numbers

EXAMPLES = ("x", "X", "images", "data", "x_train", "X_train")
LABELS = ("y", "labels", "label", "Y", "y_train")
NAMES = ("class_names", "classes", "label_names", "target_names")
SPLITS = {"train": ("train",), "val": ("val",), "test": ("test",), "all": ("train", "val", "test")}
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
Header = tuple[tuple[int, ...], np.dtype]


def open_npy(path: Path, options: Options) -> Source:
    """The array in a .npy file, kept on disk and mapped into memory."""
    try:
        with open(path, "rb") as file:
            _header(file, path.name)
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except UNREADABLE as error:
        raise _broken(path, error) from None
    return open_array(array, options, path.name)


def open_npz(path: Path, options: Options) -> Source:
    """The examples in a .npz file and their labels, found by name or by shape.

    Arrays called train_images, train_labels, val_..., test_... are an official split.
    """
    heads = _headers(path)
    if "train_images" in heads:
        return _open_parts(path, heads, options)
    key = _examples_key(path, heads)
    x = _read(path, key, heads)
    label_key = _label_key(path, heads, len(x), key, options.label)
    y, classes, notes = None, (), []
    if label_key:
        y, classes = _labels(path, heads, label_key)
        y, classes = _usable(label_key, y, classes, notes)
    notes += [
        f"'{other}' of shape {heads[other][0]} is not used"
        for other in heads
        if other not in (key, label_key, *NAMES) and heads[other][0]
    ]
    return _source(path, x, y, classes, notes, options)


def _source(
    path: Path,
    x: np.ndarray,
    y: np.ndarray | None,
    classes: tuple[str, ...],
    notes: list[str],
    options: Options,
    **more: Any,
) -> Source:
    from lemari.sources.table import TableSource

    if not more.get("official_split"):
        one_split(path.name, options.split)
    x = numbers(x)
    found = picture_layout(x, options.shape)
    if found is None:
        return TableSource.from_array(path.name, x, y, classes, None, notes)
    return picture_source(path.name, x, found, options, y=y, classes=classes, notes=notes, **more)


def _open_parts(path: Path, heads: dict[str, Header], options: Options) -> Source:
    """A file with train_images, val_images, test_images and their labels (as MedMNIST has)."""
    parts = [p for p in SPLITS[options.split] if f"{p}_images" in heads]
    if not parts:
        raise UsageError(f"'{path.name}' has no '{options.split}' part; use split='train'.")
    images = [_read(path, f"{p}_images", heads) for p in parts]
    y, classes = None, ()
    if all(f"{p}_labels" in heads for p in parts):
        names = [_read(path, f"{p}_labels", heads) for p in parts]
        if all(n.size == len(x) for n, x in zip(names, images, strict=True)):
            y, classes = encode_labels(np.concatenate([n.ravel() for n in names]).tolist())
    ids = tuple(i for p, x in zip(parts, images, strict=True) for i in row_ids(len(x), f"{p}/"))
    x = images[0] if len(images) == 1 else np.concatenate(images)
    return _source(path, x, y, classes, [], options, ids=ids, official_split=True)


def _headers(path: Path) -> dict[str, Header]:
    """Shape and type of every array, from the headers alone; objects are refused."""
    heads = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".npy"):
                    with archive.open(name) as member:
                        heads[name[:-4]] = _header(member, f"'{name[:-4]}' in {path.name}")
    except UNREADABLE as error:
        raise _broken(path, error) from None
    if not heads:
        raise DataError(f"{path.name} holds no array; save one with numpy.savez.")
    return heads


def _header(file: IO[bytes], title: str) -> Header:
    """Shape and type at the start of a .npy stream; DataError for Python objects."""
    version = npy.read_magic(file)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(file)
    if dtype.hasobject:
        raise DataError(
            f"{title} holds Python objects, which could run code when read; save it again as "
            "plain numbers."
        )
    return shape, dtype


def _read(path: Path, key: str, heads: dict[str, Header]) -> np.ndarray:
    """One array of the file, if the memory that its header claims is there."""
    shape, dtype = heads[key]
    need = int(np.prod(shape, dtype=float)) * dtype.itemsize
    if need > available_memory():
        raise DataError(
            f"'{key}' in {path.name} needs {need / 1e9:.0f} GB, more than the memory that is "
            "free; save it as .npy, which is read in pieces."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive[key]
    except UNREADABLE as error:
        raise _broken(path, error) from None


def _examples_key(path: Path, heads: dict[str, Header]) -> str:
    for key in EXAMPLES:
        if key in heads and len(heads[key][0]) >= 2:
            return key
    big = [k for k, (shape, dtype) in heads.items() if len(shape) >= 2 and dtype.kind in "buif"]
    if len(big) == 1:
        return big[0]
    raise DataError(
        f"{path.name} holds {', '.join(sorted(heads)[:8])}; call the array of examples 'x'."
    )


def _label_key(
    path: Path, heads: dict[str, Header], count: int, examples: str, wanted: Any
) -> str | None:
    """The key of the labels: the wanted one, a usual name, or the only fitting array."""
    fits = [k for k, (shape, _) in heads.items() if shape in ((count,), (count, 1))]
    if wanted is not None:
        if wanted in fits:
            return wanted
        raise UsageError(
            f"label={wanted!r} is not an array of {count} labels in {path.name}; "
            f"there are {', '.join(fits) or 'none'}."
        )
    for key in LABELS:
        if key in fits:
            return key
    whole = [k for k in fits if k != examples and heads[k][1].kind in "iu"]
    return whole[0] if len(whole) == 1 else None


def _labels(path: Path, heads: dict[str, Header], key: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers and names; a list of names in the file is used when it fits."""
    values = _read(path, key, heads).ravel()
    for names_key in NAMES:
        if names_key in heads and values.dtype.kind in "iu" and heads[names_key][1].kind in "US":
            names = [str(n) for n in _read(path, names_key, heads).ravel()]
            if len(set(names)) == len(names) and values.min() >= 0 and values.max() < len(names):
                return values.astype(np.int64), tuple(names)
    return encode_labels(values.tolist())


def _usable(
    key: str, y: np.ndarray, classes: tuple[str, ...], notes: list[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels, or none, with a note, where they are measurements rather than classes."""
    from lemari.sources.columns import usable_labels

    cells: list[Any] = [float(name) if is_float(name) else name for name in classes]
    return (y, classes) if usable_labels(key, cells, notes) is not None else (None, ())


def is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _broken(path: Path, error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    return DataError(f"{path.name} cannot be read as a NumPy file ({error}); save it again.")
