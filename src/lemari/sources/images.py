"""Pictures in files: a folder, a zip archive or one file, of any sizes and kinds."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.formats import Format, ImageFormat, Size
from lemari.sources.base import (
    SMALLEST,
    Options,
    allocate,
    check_share,
    described,
    encode_labels,
    labelled,
    network_size,
    one_split,
    shown,
)
from lemari.sources.pictures import MODES, Header, Unusable, decode, own_budget, read_header
from lemari.sources.places import Archive, Folder, OneFile, Place
from lemari.types import Rows, Skipped

USUAL = 64  # pixels, when the files have no one small size
MOST = 256
THREADS = 2
GROUP = 256  # files that are handed to the threads at a time
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclass(slots=True)
class ImageSource:
    """Pictures in files; headers are known, pixels are read by `load`."""

    name: str
    place: Place
    options: Options
    names: list[str]
    headers: list[Header]
    y: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    official_split: bool = False
    kind: str = "image"
    layout: str = "files"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        """4 when every file has alpha, 1 when all are gray, else 3; the option comes first."""
        if self.options.channels:
            return self.options.channels
        if all(h.alpha for h in self.headers):
            return 4
        return 1 if all(h.gray for h in self.headers) else 3

    @property
    def deep(self) -> bool:
        """Whether all files are 16 bits deep, so that the depth is kept."""
        return self.channels == 1 and all(h.deep for h in self.headers)

    def learn(self) -> ImageFormat:
        """The format of these files: one small common size is kept, others become 64x64."""
        size, fit = self._size(), self.options.fit
        sizes = {h.size for h in self.headers}
        native = sizes.pop() if len(sizes) == 1 else None
        if native and fit != "stretch" and native[0] * size[1] != native[1] * size[0]:
            native = None
        top = 65535 if self.deep else 255
        return ImageFormat(
            shape=(self.channels, *size),
            native=native,
            layout="files",
            dtype="uint16" if self.deep else "uint8",
            levels=top,
            low=0.0,
            high=float(top),
            fit=fit,
            classes=self.classes,
        )

    def load(self, fmt: Format, memory_limit: int | None = None) -> Rows:
        """Decode all files to stored rows of `fmt`; those that fail are skipped with a reason.

        Raises DataError when more than the allowed share fails. Calls `progress(done, total)`.
        """
        if not isinstance(fmt, ImageFormat):
            raise DataError(
                f"{self.name} holds pictures, but this model was trained on a table; "
                "give it a table with the same columns."
            )
        if fmt.shape[0] not in MODES:
            raise DataError(
                f"{self.name} holds pictures of 1, 3 or 4 channels, but this model needs "
                f"{fmt.shape[0]}; give it arrays."
            )
        rows = self._decoded(fmt, memory_limit)
        total = len(self) + len(self.skipped)
        check_share(rows.skipped, total, self.options.max_skipped)
        if not len(rows):
            raise DataError(f"{self.name} holds no picture that can be used; give other files.")
        return rows

    def inspect(self) -> dict[str, Any]:
        """What the files hold after decoding each; broken ones are listed, not raised."""
        fmt = self.learn()
        rows = self._decoded(fmt, None)
        span = (rows.x.min(), rows.x.max()) if len(rows) else (fmt.low, fmt.high)
        return described(self, rows, shape=fmt.shape, dtype=fmt.dtype, span=span)

    def _size(self) -> Size:
        """The network's size; a note says why when the user did not choose it."""
        if self.options.size:
            return network_size(*self.options.size, None)
        common, count = Counter(h.size for h in self.headers).most_common(1)[0]
        share = f"{count} of {len(self)} pictures"
        if 2 * count >= len(self) and max(common) <= MOST and min(common) >= SMALLEST:
            size, reason = common, f"the size of {share}"
        elif 2 * count >= len(self) and max(common) < USUAL:
            size = network_size(*common, None)
            reason = f"scaled up from {common[0]}x{common[1]}, the size of {share}"
        else:
            size, reason = (USUAL, USUAL), "no size of 8 to 256 pixels is shared by half of them"
        self._note(
            f"pictures are brought to {size[0]}x{size[1]} ({reason}); --size (size=) changes it"
        )
        return size

    def _decoded(self, fmt: ImageFormat, memory_limit: int | None) -> Rows:
        out = allocate((len(self), *fmt.shape), fmt.dtype, memory_limit)
        failed: dict[int, Skipped] = {}

        def read(i: int) -> None:
            try:
                out[i] = self._pixels(self.names[i], fmt)
            except Unusable as error:
                failed[i] = Skipped(shown(self.names[i]), str(error))

        progress = self.options.progress
        with own_budget(), ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(self), GROUP):
                stop = min(start + GROUP, len(self))
                list(pool.map(read, range(start, stop)))
                if progress:
                    progress(stop, len(self))
        return self._rows(out, failed, fmt)

    def _pixels(self, name: str, fmt: ImageFormat) -> np.ndarray:
        """One file as a stored row (C, H, W)."""
        with self.place.open(name) as file:
            deep = fmt.dtype == "uint16" and fmt.shape[0] == 1
            x = decode(file, fmt.shape, fmt.fit, deep, self.options.max_pixels)
        if fmt.dtype == x.dtype and fmt.levels == 255 and fmt.high == 255:
            return x
        top = 65535 if deep else 255
        values = fmt.low + x.astype(np.float32) * ((fmt.high - fmt.low) / top)
        return fmt.quantised(values[None])[0]

    def _rows(self, out: np.ndarray, failed: dict[int, Skipped], fmt: ImageFormat) -> Rows:
        """The rows that were decoded, moved together; ids and labels stay with them."""
        kept = [i for i in range(len(self)) if i not in failed]
        if failed:
            for new, old in enumerate(kept):
                if new != old:
                    out[new] = out[old]
        y = self.y if self.y is None else self.y[kept]
        ids = tuple(shown(self.names[i]) for i in kept)
        skipped = (*self.skipped, *(failed[i] for i in sorted(failed)))
        return labelled(Rows(out[: len(kept)], y, ids, self.classes, skipped), fmt)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def open_images(path: Path, options: Options) -> ImageSource:
    """Pictures in a folder, a zip archive or one file.

    Sub-folders become classes when at least two of the top ones hold pictures; sub-folders
    called train, val and test are an official split.
    """
    if options.shape:
        raise UsageError(
            "Pictures have a shape of their own; leave --shape (shape=) out, or give --size."
        )
    with own_budget():
        place = _place(path)
        names, prefix, official = _split_names(place.names, options.split, path.name)
        usable, headers, skipped = _scan(place, names, options)
    skipped = [*(s for s in place.skipped if s.item.startswith(prefix)), *skipped]
    check_share(skipped, len(usable) + len(skipped), options.max_skipped)
    if not usable:
        reasons = "; ".join(f"{s.item}: {s.reason}" for s in skipped[:3])
        raise DataError(
            f"{path} holds no picture that can be used{f' ({reasons})' if reasons else ''}; "
            "give a folder, zip archive or file with PNG, JPEG, WebP, TIFF, BMP or GIF pictures."
        )
    source = ImageSource(path.name or str(path), place, options, usable, headers)
    source.skipped, source.official_split = skipped, official
    folders = [_class_folder(name, int(official)) for name in usable]
    if len(set(folders) - {None}) >= 2:
        source.y, source.classes = encode_labels(folders)
    if official:
        source.notes.append("its train and test folders are read as an official split")
    source.notes += _remarks(source)
    return source


def _class_folder(name: str, depth: int) -> str | None:
    """The folder below the split's (or the top) folder; None for a file that lies in it."""
    parts = name.split("/")
    return shown(parts[depth]) if len(parts) > depth + 1 else None


def _place(path: Path) -> Place:
    if path.is_dir():
        return Folder(path)
    return Archive(path) if path.suffix.lower() == ".zip" else OneFile(path)


def _scan(
    place: Place, names: list[str], options: Options
) -> tuple[list[str], list[Header], list[Skipped]]:
    """The usable names, their headers, and what was skipped with the reason."""
    usable, headers, skipped = [], [], []
    for name in names:
        try:
            with place.open(name) as file:
                headers.append(read_header(file, options.max_pixels))
            usable.append(name)
        except Unusable as error:
            skipped.append(Skipped(shown(name), str(error)))
    return usable, headers, skipped


def _split_names(names: list[str], split: str, title: str) -> tuple[list[str], str, bool]:
    """The names of one split, what they start with, and whether the split is official."""
    tops = {n.split("/")[0] for n in names}
    known = {top: key for key, words in SPLITS.items() for top in tops if top.lower() in words}
    if not (tops and set(known) == tops and {"train", "test"} <= set(known.values())):
        one_split(title, split)
        return names, "", False
    if split == "all":
        return names, "", True
    top = next((t for t, key in known.items() if key == split), None)
    if top is None:
        raise UsageError(f"'{title}' has no '{split}' part; it has {', '.join(sorted(tops))}.")
    return [n for n in names if n.startswith(f"{top}/")], f"{top}/", True


def _remarks(source: ImageSource) -> list[str]:
    """Sentences on what will be done to the pictures."""
    headers, notes = source.headers, []
    animated = sum(h.animated for h in headers)
    if animated:
        notes.append(f"{animated} animated pictures are read by their first frame")
    if source.channels != 4 and any(h.alpha for h in headers):
        notes.append("transparent pictures are laid over white")
    if any(h.deep for h in headers) and not source.deep:
        notes.append("16-bit pictures are brought to 8 bits, because not all are 16-bit gray")
    if any(h.wide for h in headers):
        notes.append("16-bit colour pictures are brought to 8 bits")
    return notes
