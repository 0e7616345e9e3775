"""Reconstructions as files."""

from __future__ import annotations

import io
import re
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


@torch.no_grad()
def rebuild(model: Autoencoder, feed: Feed) -> tuple[np.ndarray, np.ndarray]:
    """The rows as the model sees them and what it makes of them: two arrays (N, *S)."""
    model.eval()
    pairs = [(b.x.numpy(), reconstruct(model, b).numpy()) for b in feed.batches(BLOCK)]
    return tuple(np.concatenate(part) for part in zip(*pairs, strict=True))  # pyright: ignore[reportReturnType]


def write_pictures(
    folder: Path, fmt: ImageFormat, ids: tuple[str, ...], x: np.ndarray, made: np.ndarray
) -> list[str]:
    """One PNG an example, named after it, and `_strip.png` with originals above."""
    empty_folder(folder)
    files, used = [], set()
    for name, pixels in zip(ids, fmt.to_pixels(made), strict=True):
        stem = unused(safe_name(name), used)
        files.append(write_png(folder / f"{stem}.png", pixels).name)
    strip = figures.reconstruction_strip(*(np.moveaxis(a[:10], 1, -1) for a in (x, made)))  # pyright: ignore[reportArgumentType]
    return [*files, figures.save(strip, folder / "_strip.png").name]


def write_table(
    folder: Path, fmt: Format, ids: tuple[str, ...], x: np.ndarray, made: np.ndarray
) -> list[str]:
    """`reconstructions.parquet`: id and the columns on their own scale."""
    import pyarrow as pa
    from pyarrow import parquet

    empty_folder(folder)
    values, sink = fmt.to_user(made.astype(np.float64)), pa.BufferOutputStream()
    columns = {"id": list(ids)} | {n: values[:, i] for i, n in enumerate(fmt.schema.columns)}
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
