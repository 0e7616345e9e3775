"""Reconstructions as files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lemari import figures
from lemari.errors import RunError
from lemari.feed import Feed
from lemari.files import write
from lemari.formats import Format, ImageFormat
from lemari.model import Autoencoder
from lemari.tasks.embed import BLOCK, reconstruct

Pair = tuple[np.ndarray, np.ndarray]


def write_rebuilt(
    folder: Path,
    model: Autoencoder,
    feed: Feed,
    ids: Sequence[str],
    progress: Callable[[int, int], object] = lambda done, whole: None,
) -> tuple[list[str], float]:
    """What a model makes of each row, as files: their names, and the mean squared error.

    Pictures are written block by block, so that any number of them fits into memory.
    """
    empty_folder(folder)
    writer = write_pictures if isinstance(feed.format, ImageFormat) else write_table
    errors: list[float] = []

    def told(pairs: Iterator[Pair]) -> Iterator[Pair]:
        for x, made in pairs:
            yield x, made
            errors.extend(np.square(x - made, dtype=np.float64).reshape(len(x), -1).mean(1))
            progress(len(errors), len(feed))

    files = writer(folder, feed.format, ids, told(rebuilt(model, feed)))  # pyright: ignore[reportArgumentType]
    return files, float(np.mean(errors)) if errors else 0.0


@torch.no_grad()
def rebuilt(model: Autoencoder, feed: Feed) -> Iterator[Pair]:
    """Blocks of rows as the model sees them, and of what it makes of them: (n, *S) each."""
    model.eval()
    for batch in feed.batches(BLOCK):
        yield batch.x.numpy(), reconstruct(model, batch).numpy()


def write_pictures(
    folder: Path, fmt: ImageFormat, ids: Sequence[str], pairs: Iterator[Pair]
) -> list[str]:
    """One PNG an example, named after it, and `_strip.png` with originals above."""
    files: list[str] = []
    used: set[str] = set()
    shown: Pair | None = None
    for x, made in pairs:
        shown = shown or (x[:10], made[:10])
        for pixels in fmt.to_pixels(made):
            stem = unused(safe_name(ids[len(files)]), used)
            files.append(write_png(folder / f"{stem}.png", pixels).name)
    if shown is None:
        return files
    first, last = (np.moveaxis(a, 1, -1) for a in shown)
    strip = figures.reconstruction_strip(first, last)
    return [*files, figures.save(strip, folder / "_strip.png").name]


def write_table(folder: Path, fmt: Format, ids: Sequence[str], pairs: Iterator[Pair]) -> list[str]:
    """`reconstructions.parquet`: id and the columns on their own scale."""
    import pyarrow as pa
    from pyarrow import parquet

    values = np.concatenate([fmt.to_user(made.astype(np.float64)) for _, made in pairs])
    columns = {"id": list(ids)} | {n: values[:, i] for i, n in enumerate(fmt.schema.columns)}
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink)
    return [write(folder / "reconstructions.parquet", sink.getvalue().to_pybytes()).name]


def empty_folder(folder: Path) -> None:
    """The folder, made if need be; files of others in it are never mixed with ours."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is there already and is not empty; give another with -o.")


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """(H, W, C) uint8, or uint16 gray, as PNG. 16-bit colour is written as 8 bit."""
    from PIL import Image

    if pixels.dtype == np.uint16 and pixels.shape[2] > 1:
        pixels = (pixels >> 8).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return write(path, content.getvalue())


def safe_name(text: str) -> str:
    """An id as a file name: no folders, no control characters, not hidden, at most 200 bytes.

    >>> safe_name("../a/b\\n.png")
    'a_b'
    """
    stem = re.sub(r"\.(png|jpe?g|webp|tiff?|bmp|gif)$", "", text, flags=re.IGNORECASE)
    name = re.sub(r"[^\w.\- ]+", "_", stem).strip("._ ")[:120]
    return name.encode()[:200].decode(errors="ignore").strip("._ ") or "example"


def unused(stem: str, used: set[str]) -> str:
    """The stem, with a number behind it when it is taken."""
    name, n = stem, 1
    while name.lower() in used:
        n += 1
        name = f"{stem}-{n}"
    used.add(name.lower())
    return name
