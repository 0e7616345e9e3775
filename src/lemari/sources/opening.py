"""`open_data`: one door for everything that examples can come from."""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lemari.errors import DataError, UsageError
from lemari.formats import FITS, Fit
from lemari.sources.base import Options, Progress, Source

NAMES = ("digits", "mnist", "fashion-mnist", "mnist-static", "sprites")
SPLITS = ("train", "val", "test", "all")


def open_data(
    data: Any,
    *,
    data_dir: Any = None,
    split: str = "train",
    shape: Any = None,
    label: Any = None,
    size: Any = None,
    channels: int | None = None,
    fit: Fit = "crop",
    download: bool = True,
    progress: Progress | None = None,
    max_skipped: float = 0.5,
    max_pixels: int = 200_000_000,
    drop: tuple[str, ...] = (),
    patch: int | None = None,
) -> Source:
    """Open examples for `learn`, `load` and `inspect`; nothing big is decoded yet.

    `data` is a name ("digits", "mnist", "fashion-mnist", "mnist-static", "sprites"), a path
    (folder, .zip, .npy, .npz, .csv, .csv.gz, .parquet, one picture) or an array. `data_dir` is
    searched for named sets first. `shape` (C, H, W) says that rows of numbers are pictures; `size`
    (H, W) is the size given to the network; `channels` makes gray (1), colour (3) or colour with
    alpha (4); `fit` brings files to size by "crop", "stretch" or "pad". `label` names the column or
    key with the classes (or holds them, for an array), `drop` names columns to leave out. `patch`
    cuts pictures at their own size into squares of so many pixels.
    `progress(done, total)` is called while files are read or downloaded (bytes).

    Raises UsageError for an unknown name or an impossible option, DataError for unusable data.
    """
    given = (split, shape, label, size, channels, fit, data_dir, download, progress)
    options = _checked(Options(*given, max_skipped, max_pixels, drop))
    source = _opened(data, options)
    if not patch:
        return source
    from lemari.sources.patches import PatchSource

    return PatchSource(source, patch)


def _opened(data: Any, options: Options) -> Source:
    """By what it is: a path, a text, an array."""
    if isinstance(data, os.PathLike):
        return _open_path(Path(data), options)
    if isinstance(data, str):
        return _open_text(data, options)
    from lemari.sources.arrays import open_array

    return open_array(data, options)


def _checked(given: Options) -> Options:
    """The options in their one proper form; UsageError for one that cannot be."""
    channels, folder, drop = given.channels, given.data_dir, given.drop
    return replace(
        given,
        split=_one_of("split", given.split, SPLITS),
        shape=_shape(given.shape),
        size=_size(given.size),
        channels=None if channels is None else _one_of("channels", channels, (1, 3, 4)),
        fit=_one_of("fit", given.fit, FITS),
        data_dir=None if folder is None else Path(folder),
        drop=(drop,) if isinstance(drop, str) else tuple(drop),
    )


def _open_text(text: str, options: Options) -> Source:
    """A known name, else a path, else the nearest known name in the error."""
    if text in NAMES:
        return _open_name(text, options)
    try:
        there = os.path.lexists(text)
    except ValueError:
        there = False
    if there and text:
        return _open_path(Path(text), options)
    if "/" in text or os.sep in text or "." in text:
        raise DataError(f"{text!r} does not exist; give the path of data that is there.")
    near = get_close_matches(text.lower(), NAMES, 1, 0.5)
    guess = f"did you mean '{near[0]}'? " if near else ""
    raise UsageError(
        f"'{text}' is neither a known data set nor a path; {guess}known are {', '.join(NAMES)}."
    )


def _open_name(name: str, options: Options) -> Source:
    if name == "digits":
        from lemari.sources.toy import open_digits

        return open_digits(name, options)
    if name == "sprites":
        from lemari.sources.sprites import open_sprites

        return open_sprites(name, options)
    from lemari.sources.idx import open_idx, open_static

    return (open_static if name == "mnist-static" else open_idx)(name, options)


def _open_path(path: Path, options: Options) -> Source:
    """By the ending of the name; pictures by content."""
    if not path.exists():
        raise DataError(f"'{path}' does not exist; give the path of data that is there.")
    if not path.is_dir() and not path.is_file():
        raise DataError(f"'{path}' is neither a folder nor a regular file; give one of these.")
    name = path.name.lower()
    if path.is_file() and name.endswith((".npy", ".npz")):
        from lemari.sources.npz import open_npy, open_npz

        return (open_npy if name.endswith(".npy") else open_npz)(path, options)
    if path.is_file() and name.endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")):
        from lemari.sources.table import open_table

        return open_table(path, options)
    from lemari.sources.images import open_images

    return open_images(path, options)


def _one_of(option: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value in allowed:
        return value
    raise UsageError(f"{option}={value!r} is not known; use one of {', '.join(map(str, allowed))}.")


def _whole(values: Any) -> bool:
    return all(isinstance(v, int) and 1 <= v <= 1 << 14 for v in values)


def _size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not _whole(pair):
        raise UsageError(f"size={size!r} is not a picture size; give pixels (height, width).")
    return pair


def _shape(shape: Any) -> tuple[int, int, int] | None:
    if shape is None:
        return None
    sides = tuple(shape)
    sides = (1, *sides) if len(sides) == 2 else sides
    if len(sides) != 3 or not _whole(sides):
        raise UsageError(f"shape={shape!r} is not a picture shape; give (channels, height, width).")
    return sides
