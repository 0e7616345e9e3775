"""Square patches of pictures of any sizes: how networks that restore learn from photographs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.formats import Format, ImageFormat
from lemari.sources.base import Source, allocate, check_share, shown
from lemari.sources.images import ImageSource
from lemari.sources.pictures import Unusable, decode, own_budget
from lemari.types import Rows, Skipped

PER_SIDE = 4  # patches overlap: their distance is a quarter of their side


class Patches:
    """Overlapping patches of pictures, cut out when asked for: behaves as an array (N, C, p, p).

    `pixels` holds all pictures one after the other, each (C, H, W); `sizes` are their (H, W).
    """

    ndim = 4
    flags = SimpleNamespace(writeable=False, c_contiguous=False)

    def __init__(self, pixels: np.ndarray, sizes: list[tuple[int, int]], channels: int, side: int):
        self.pixels, self.sizes, self.channels, self.side = pixels, sizes, channels, side
        lengths = np.array([channels * h * w for h, w in sizes], np.int64)
        self.begins = np.concatenate([[0], np.cumsum(lengths)])
        self.rows = [starts(h, side) for h, _ in sizes]
        self.columns = [starts(w, side) for _, w in sizes]
        counts = [len(r) * len(c) for r, c in zip(self.rows, self.columns, strict=True)]
        self.firsts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.shape = (int(self.firsts[-1]), channels, side, side)
        self.dtype = pixels.dtype

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: Any) -> np.ndarray:
        """One patch (C, p, p), or those of a slice or of an array of positions (n, C, p, p)."""
        if isinstance(wanted, int | np.integer):
            if not 0 <= wanted < len(self):
                raise IndexError(wanted)
            return self[np.array([wanted])][0]
        if isinstance(wanted, slice):
            wanted = np.arange(*wanted.indices(len(self)))
        out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        owners = self.owners(wanted)
        for at, (position, owner) in enumerate(zip(wanted, owners, strict=True)):
            row, column = divmod(position - self.firsts[owner], len(self.columns[owner]))
            top, left = self.rows[owner][row], self.columns[owner][column]
            whole = self.picture(owner)
            out[at] = whole[:, top : top + self.side, left : left + self.side]
        return out

    def picture(self, number: int) -> np.ndarray:
        """One whole picture, (C, H, W)."""
        height, width = self.sizes[number]
        part = self.pixels[self.begins[number] : self.begins[number + 1]]
        return part.reshape(self.channels, height, width)

    def split(self, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of training patches and of held-out ones, of different pictures.

        Of held-out pictures only patches that do not overlap are taken. A single picture is both.
        """
        count = len(self.sizes)
        order = np.random.default_rng([seed & 0xFFFFFFFF, 20260102]).permutation(count)
        held = order[: min(count - 1, max(1, round(share * count)))] if share else order[:0]
        everything = np.arange(len(self))
        aside = np.isin(self.owners(everything), held)
        if not aside.any():
            return everything, everything
        apart = [p for number in np.sort(held) for p in self.apart(number)]
        return everything[~aside], np.array(apart, np.int64)

    def all_apart(self) -> np.ndarray:
        """Positions of patches of all pictures that do not overlap."""
        return np.array([p for number in range(len(self.sizes)) for p in self.apart(number)], int)

    def set_apart(self, train: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Training patches, and for early stopping validation patches of a tenth of the pictures.

        No picture is on both sides, except a single one.
        """
        owners = self.owners(train)
        pictures = np.unique(owners)
        if len(pictures) < 2:
            return train, train
        order = np.random.default_rng([seed & 0xFFFFFFFF, 20260103]).permutation(pictures)
        valid = np.sort(order[: max(1, round(len(pictures) / 10))])
        chosen = [p for number in valid for p in self.apart(number)]
        return train[~np.isin(owners, valid)], np.array(chosen, np.int64)

    def owners(self, positions: np.ndarray) -> np.ndarray:
        """The number of the picture that each patch is cut from."""
        return np.searchsorted(self.firsts, positions, side="right") - 1

    def apart(self, number: int) -> list[int]:
        """Positions of patches of one picture that do not overlap."""
        rows, columns = (every(a, self.side) for a in (self.rows[number], self.columns[number]))
        width = len(self.columns[number])
        return [int(self.firsts[number]) + r * width + c for r in rows for c in columns]


def starts(length: int, side: int) -> np.ndarray:
    """Where patches begin along a side: every quarter of a patch, and at the very end."""
    found = np.arange(0, length - side + 1, max(1, side // PER_SIDE))
    return found if found[-1] == length - side else np.append(found, length - side)


def every(places: np.ndarray, side: int) -> list[int]:
    """Numbers of the places that lie at least a side after the last one taken."""
    taken: list[int] = []
    for number, place in enumerate(places):
        if not taken or place >= places[taken[-1]] + side:
            taken.append(number)
    return taken


@dataclass(slots=True)
class PatchSource:
    """Another source of pictures, cut into patches of `side` pixels."""

    inner: Source
    side: int
    kind: str = "image"
    layout: str = "files"
    official_split: bool = False
    classes: tuple[str, ...] = ()
    name: str = field(init=False)
    skipped: list[Skipped] = field(init=False)
    notes: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.skipped, self.notes = (
            self.inner.name,
            self.inner.skipped,
            self.inner.notes,
        )
        if not 8 <= self.side <= 512:
            raise UsageError(f"A patch has sides of 8 to 512 pixels, not {self.side}.")
        if self.inner.kind != "image":
            raise DataError(f"{self.inner.name} holds no pictures, so it cannot be cut to patches.")
        if self.inner.official_split:
            self.inner.notes.append("of an official split, the training part is cut to patches")

    def __len__(self) -> int:
        return len(self.inner)

    def learn(self) -> ImageFormat:
        """The format of the patches: channels and depth of the pictures, sides of a patch."""
        quiet = list(self.inner.notes)
        fmt = self.inner.learn()
        self.inner.notes[:] = quiet
        assert isinstance(fmt, ImageFormat)
        return replace(
            fmt, shape=(fmt.shape[0], self.side, self.side), native=None, layout="files", classes=()
        )

    def load(self, fmt: Format, memory_limit: int | None = None) -> Rows:
        """All patches; pictures that are too small or broken are skipped with a reason."""
        assert isinstance(fmt, ImageFormat)
        channels, side = fmt.shape[0], fmt.shape[1]
        files = isinstance(self.inner, ImageSource)
        read = self._files if files else self._arrays
        pixels, sizes, names, skipped = read(fmt, channels, side, memory_limit)
        if not sizes:
            raise DataError(
                f"{self.name} holds no picture of at least {side}x{side} pixels; give larger "
                "ones, or train with smaller patches (--patch)."
            )
        check_share(skipped, len(names) + len(skipped), 0.5)
        patches = Patches(pixels, sizes, channels, side)
        owners = np.repeat(np.arange(len(sizes)), np.diff(patches.firsts))
        ids = tuple(f"{names[o]}#{n}" for n, o in enumerate(owners))
        return Rows(patches, None, ids, (), tuple(skipped))  # pyright: ignore[reportArgumentType]

    def inspect(self) -> dict[str, Any]:
        return self.inner.inspect()

    def _files(self, fmt: ImageFormat, channels: int, side: int, memory_limit: int | None):
        """Pictures in files, each at its own size."""
        source: Any = self.inner
        skipped = list(source.skipped)
        total = sum(channels * h.size[0] * h.size[1] for h in source.headers)
        pixels = allocate((total,), fmt.dtype, memory_limit)
        at, sizes, names = 0, [], []
        deep = fmt.dtype == "uint16"
        with own_budget():
            for done, (name, header) in enumerate(zip(source.names, source.headers, strict=True)):
                if min(header.size) < side:
                    skipped.append(Skipped(shown(name), f"smaller than a patch of {side} pixels"))
                    continue
                try:
                    with source.place.open(name) as file:
                        shape = (channels, *header.size)
                        x = decode(file, shape, fmt.fit, deep, source.options.max_pixels)
                except Unusable as fault:
                    skipped.append(Skipped(shown(name), str(fault)))
                    continue
                pixels[at : at + x.size] = np.rint(x).astype(fmt.dtype).ravel()
                at += x.size
                sizes.append(header.size)
                names.append(shown(name))
                if source.options.progress:
                    source.options.progress(done + 1, len(source.names))
        return pixels[:at], sizes, names, skipped

    def _arrays(self, fmt: ImageFormat, channels: int, side: int, memory_limit: int | None):
        """Pictures of an array, all of one size."""
        own = self.inner.learn()
        assert isinstance(own, ImageFormat)
        if own.native:
            own = own.resized(*own.native)
        rows = self.inner.load(own, memory_limit)
        skipped = list(rows.skipped)
        if min(own.shape[1:]) < side:
            skipped += [Skipped(i, f"smaller than a patch of {side} pixels") for i in rows.ids]
            return rows.x.reshape(-1)[:0], [], [], skipped
        sizes = [own.shape[1:]] * len(rows)
        return rows.x.reshape(-1), sizes, list(rows.ids), skipped
