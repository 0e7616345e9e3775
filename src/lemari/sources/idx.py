"""MNIST and Fashion-MNIST: the four IDX files, found on disk or downloaded once."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.sources.arrays import ArraySource, Scale
from lemari.sources.base import Options
from lemari.sources.download import fetch

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
PARTS = {"train": "train", "test": "t10k"}
FILES = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
LARGEST = 1 << 31  # bytes in one unpacked IDX file
SEED = 20091005

SUMS = {
    "mnist": {
        "train-images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
MIRRORS = {"mnist": MNIST, "fashion-mnist": FASHION}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}


def open_idx(name: str, options: Options) -> ArraySource:
    """MNIST or Fashion-MNIST: 28x28 gray pictures, 60,000 to train and 10,000 to test."""
    parts = _parts(options.split)
    images, labels, ids = [], [], []
    for part in parts:
        x, y = _pair(name, part, options)
        images.append(x)
        labels.append(y)
        ids += [f"{part}/{i:05d}" for i in range(len(x))]
    return ArraySource(
        name=name,
        array=images[0] if len(images) == 1 else np.concatenate(images),
        layout="hw",
        shape=(1, *images[0].shape[1:]),
        scale=Scale(),
        y=np.concatenate(labels).astype(np.int64),
        classes=CLASSES[name],
        ids=tuple(ids),
        size=options.size,
        channels=options.channels,
        official_split=True,
    )


def open_static(name: str, options: Options) -> ArraySource:
    """MNIST whose pixels were drawn once, 255 with the probability that their gray says.

    The draw (NumPy's PCG64, seed 20091005 for training and one more for test) is the same in
    every run, so that likelihoods can be compared. Stored as 0 and 255, one level.
    """
    drawn = []
    for part in _parts(options.split):
        source = open_idx("mnist", replace(options, split=part))
        random = np.random.Generator(np.random.PCG64(SEED + list(PARTS).index(part)))
        on = random.random(source.array.shape, np.float32) * 255 < source.array
        source.array = on.astype(np.uint8) * np.uint8(255)
        drawn.append(source)
    first = drawn[0]
    first.name, first.scale = name, Scale("uint8", 1, 0.0, 255.0)
    first.array = np.concatenate([s.array for s in drawn])
    first.y = np.concatenate([s.y for s in drawn])
    first.ids = tuple(i for s in drawn for i in s.ids)
    first.notes.append("the gray of MNIST was turned into black or white by one fixed draw")
    return first


def _parts(split: str) -> tuple[str, ...]:
    if split == "all":
        return tuple(PARTS)
    if split not in PARTS:
        raise UsageError(f"'{split}' is no split; use 'train', 'test' or 'all'.")
    return (split,)


def _pair(name: str, part: str, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W) uint8 and labels (N,) of one part."""
    x, y = (read_idx(_find(name, f.format(PARTS[part]), options)) for f in FILES)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise DataError(
            f"The {part} files of {name} do not belong together: shapes {x.shape} and {y.shape}; "
            "delete them and load the set again."
        )
    if y.max(initial=0) >= len(CLASSES[name]):
        raise DataError(f"The {part} labels of {name} exceed 9; delete the file and load it again.")
    return x, y


def cache_dir() -> Path:
    """Where downloads are kept: $LEMARI_CACHE, or the platform's cache folder."""
    if os.environ.get("LEMARI_CACHE"):
        return Path(os.environ["LEMARI_CACHE"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "lemari"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "lemari"
    home = Path.home()
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "lemari"


def _places(name: str, options: Options) -> Iterator[Path]:
    for root in (options.data_dir, os.environ.get("LEMARI_DATA")):
        if root:
            yield Path(root) / name
            yield Path(root)
    yield cache_dir() / name


def _find(name: str, file: str, options: Options) -> Path:
    """The file, packed or not, in the first place that has it; else downloaded."""
    places = list(_places(name, options))
    for place in places:
        for path in (place / f"{file}.gz", place / file):
            if path.is_file():
                return path
    looked = ", ".join(map(str, places))
    if not options.download:
        raise DataError(
            f"{file}.gz of {name} was not found in {looked}; put it there or allow the download."
        )
    target = cache_dir() / name / f"{file}.gz"
    return fetch(
        MIRRORS[name] + f"{file}.gz",
        target,
        SUMS[name][file.rsplit("-", 2)[0]],
        looked,
        options.progress,
    )


def read_idx(path: Path) -> np.ndarray:
    """An IDX file of unsigned bytes, packed or not; sizes are checked before allocation."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 3:
                raise DataError(f"{path} is not an IDX file of bytes; replace it.")
            raw = file.read(4 * head[3])
            dims = [int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw), 4)]
            count = prod(dims)
            if len(raw) < 4 * head[3] or not 0 < count <= LARGEST:
                raise DataError(f"{path} claims the sizes {dims}, which cannot be; replace it.")
            data = _exactly(file, count)  # pyright: ignore[reportArgumentType]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); replace it.") from None
    if data is None:
        raise DataError(f"{path} does not hold the {count} bytes that it claims; replace it.")
    return np.frombuffer(data, np.uint8).reshape(dims)


def _exactly(file: IO[bytes], count: int) -> bytearray | None:
    """`count` bytes and no more; a file that ends early never costs the claimed memory."""
    pieces, left = [], count
    while left:
        piece = file.read(min(left, 1 << 24))
        if not piece:
            return None
        pieces.append(piece)
        left -= len(piece)
    return bytearray().join(pieces) if not file.read(1) else None
