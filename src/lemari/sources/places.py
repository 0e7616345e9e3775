"""Where picture files lie: a folder tree, one file, or a zip archive that is never unpacked.

Only regular files are opened, after a look at what they are; links to regular files are
followed, links to folders are not, so that no loop can hold a walk.
"""

from __future__ import annotations

import os
import stat
import threading
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from lemari.errors import DataError
from lemari.sources.base import natural_key, shown
from lemari.sources.pictures import Unusable
from lemari.types import Skipped

PICTURES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".dib",
        ".gif",
        ".heic",
        ".heif",
        ".avif",
        ".jp2",
        ".ppm",
        ".pgm",
        ".psd",
        ".svg",
        ".ico",
        ".tga",
        ".dng",
        ".cr2",
        ".nef",
        ".arw",
    ]
)
OTHERS = frozenset(
    [
        ".txt",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".md",
        ".html",
        ".htm",
        ".pdf",
        ".npy",
        ".npz",
        ".parquet",
        ".py",
        ".ipynb",
        ".log",
        ".toml",
        ".ini",
        ".cfg",
        ".db",
        ".zip",
        ".gz",
        ".tar",
        ".mat",
        ".pkl",
        ".pt",
        ".h5",
        ".mid",
        ".wav",
        ".mp3",
        ".mp4",
    ]
)
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
LARGEST_MEMBER = 1 << 30  # bytes of one unpacked zip member
LARGEST_ARCHIVE = 1 << 38  # bytes of all of them together
MOST_PACKED = 200  # unpacked over packed size, for members of 16 MiB and more
MOST_FILES = 5_000_000


class Place(Protocol):
    """A set of files: `names` in order, what was passed over, and a way to open each."""

    names: list[str]
    skipped: list[Skipped]

    def open(self, name: str) -> IO[bytes]: ...


def wanted(name: str, start: bytes | None) -> bool:
    """Whether a file should be a picture, by its ending or else by its first bytes."""
    ending = PurePosixPath(name).suffix.lower()
    if ending in PICTURES:
        return True
    if ending in OTHERS or start is None:
        return False
    return start.startswith(STARTS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


class Folder:
    """The pictures under a folder, in natural order of their relative names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: list[Skipped] = []
        try:
            os.scandir(root).close()
        except OSError as error:
            raise DataError(f"The folder {root} cannot be read ({error.strerror}).") from None
        self.names = sorted(self._walk(), key=natural_key)

    def open(self, name: str) -> IO[bytes]:
        """The file, once it is known to be a regular one; raises Unusable."""
        return open_regular(self.root / name)

    def _walk(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root, onerror=self._note_error):
            here = Path(folder)
            for name in [n for n in folders if n.startswith(".")]:
                folders.remove(name)
            for name in sorted(folders):
                if (here / name).is_symlink():
                    self._pass(here / name, "link to a folder; links to folders are not followed")
            for name in sorted(files):
                if not name.startswith(".") and self._picture(here / name):
                    yield (here / name).relative_to(self.root).as_posix()

    def _picture(self, path: Path) -> bool:
        """Whether to read the file; notes those that should be pictures and cannot be."""
        try:
            mode = path.stat().st_mode
        except OSError as error:
            broken = path.suffix.lower() in PICTURES
            if broken:
                self._pass(path, f"cannot be read ({error.strerror})")
            return False
        if not stat.S_ISREG(mode):
            self._pass(path, f"not a regular file ({_sort_of_file(mode)})")
            return False
        ending = path.suffix.lower()
        if ending in PICTURES or ending in OTHERS:
            return ending in PICTURES
        try:
            with open(path, "rb") as file:
                return wanted(path.name, file.read(12))
        except OSError:
            return False

    def _note_error(self, error: OSError) -> None:
        self._pass(Path(error.filename), f"cannot be read ({error.strerror})")

    def _pass(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(shown(path.relative_to(self.root).as_posix()), reason))


class OneFile:
    """A single picture file."""

    def __init__(self, path: Path) -> None:
        self.path, self.names = path, [path.name]
        self.skipped: list[Skipped] = []

    def open(self, name: str) -> IO[bytes]:
        """The file; raises Unusable."""
        return open_regular(self.path)


class Archive:
    """The pictures in a zip archive; members are read in memory and never written to disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()
        self.skipped: list[Skipped] = []
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(f"{path} cannot be read as a zip archive ({error}).") from None
        infos = [i for i in self.zip.infolist() if not i.is_dir() and not _hidden(i.filename)]
        if len(infos) > MOST_FILES or sum(i.file_size for i in infos) > LARGEST_ARCHIVE:
            raise DataError(f"{path} would unpack to more than 256 GiB; give a smaller archive.")
        self.infos = {i.filename: i for i in infos if wanted(i.filename, self._start(i))}
        for name in [n for n in self.infos if _leaves(n)]:
            del self.infos[name]
            self.skipped.append(Skipped(shown(name), "its name points out of the archive"))
        self.names = sorted(self.infos, key=natural_key)

    def open(self, name: str) -> IO[bytes]:
        """The member's bytes, within its claimed size; raises Unusable."""
        info = self.infos[name]
        if info.file_size > LARGEST_MEMBER:
            raise Unusable("would unpack to more than 1 GiB")
        if info.file_size > (1 << 24) and info.file_size > MOST_PACKED * info.compress_size:
            raise Unusable(f"unpacks to more than {MOST_PACKED} times its size")
        try:
            with self.lock, self.zip.open(info) as member:
                data = member.read(info.file_size + 1)
        except Exception as error:
            raise Unusable(f"cannot be unpacked ({str(error)[:80]})") from None
        if not data:
            raise Unusable("empty file")
        return BytesIO(data)

    def _start(self, info: zipfile.ZipInfo) -> bytes | None:
        """The first bytes of a member whose ending does not say what it is."""
        if PurePosixPath(info.filename).suffix.lower() in PICTURES | OTHERS:
            return None
        try:
            with self.zip.open(info) as member:
                return member.read(12)
        except Exception:
            return None


def open_regular(path: Path) -> IO[bytes]:
    """Open a file that is a regular one; raises Unusable, and never waits for a pipe."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unusable(f"not a regular file ({_sort_of_file(status.st_mode)})")
        if not status.st_size:
            raise Unusable("empty file")
        return open(path, "rb")
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None


def _hidden(name: str) -> bool:
    parts = name.split("/")
    return any((p.startswith(".") and p != "..") or p == "__MACOSX" for p in parts)


def _leaves(name: str) -> bool:
    """Whether a member's name would lie outside the folder it is unpacked in."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":")


def _sort_of_file(mode: int) -> str:
    tests = {
        "pipe": stat.S_ISFIFO,
        "socket": stat.S_ISSOCK,
        "device": lambda m: stat.S_ISCHR(m) or stat.S_ISBLK(m),
    }
    return next((name for name, test in tests.items() if test(mode)), "folder or other")
