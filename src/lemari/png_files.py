"""PNG files of 8 and 16 bits, with the chunks about colour, resolution and text as they are.

Pillow cuts 16-bit colour to 8 bits; here it stays whole.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

PNG_KEPT = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"pHYs", b"eXIf", b"tEXt", b"zTXt",
            b"iTXt", b"tIME")  # fmt: skip


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Name and content of every chunk of a PNG; a broken end ends the list."""
    found, at = [], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if at + 12 + length > len(content):
            break
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def deep_png(content: bytes) -> np.ndarray:
    """The values (H, W, 1 to 4) uint16 of a PNG of 16 bits, row by row."""
    import png

    reader = png.Reader(bytes=content)
    reader.preamble()
    reader.sbit = None  # else values would be shifted to the bits that were once significant
    width, height, rows, info = reader.asDirect()
    values = np.empty((height, width * info["planes"]), np.uint16)
    for i, row in enumerate(rows):
        values[i] = row
    return values.reshape(height, width, info["planes"])


def pillow_bytes(values: np.ndarray, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(content, kind, **options)
    return content.getvalue()


def encode_png(values: np.ndarray, kept: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG of (H, W) or (H, W, 2 to 4), uint8 or uint16, with further chunks as they are."""
    if values.dtype == np.uint16:
        planes = 1 if values.ndim == 2 else values.shape[2]
        kind = {1: 0, 2: 4, 3: 2, 4: 6}[planes]
        head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", packed_rows(values, planes)), (b"IEND", b"")]
    else:
        plain = pillow_bytes(values, "PNG")
        chunks = [(n, c) for n, c in png_chunks(plain) if n in (b"IHDR", b"IDAT", b"IEND")]
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(8)
    for name, data in [chunks[0], *kept, *chunks[1:]]:
        out.write(struct.pack(">I", len(data)) + name + data)
        out.write(struct.pack(">I", zlib.crc32(name + data)))
    return out.getvalue()


def packed_rows(values: np.ndarray, planes: int, block: int = 64) -> bytes:
    """Rows of 16-bit values, each byte as its difference to the pixel on the left, compressed."""
    packer = zlib.compressobj(6)
    parts, step = [], 2 * planes
    for at in range(0, len(values), block):
        part = np.ascontiguousarray(values[at : at + block].astype(">u2"))
        rows = part.reshape(len(part), -1).view(np.uint8)
        coded = np.ones((len(rows), rows.shape[1] + 1), np.uint8)
        coded[:, 1:] = rows
        coded[:, 1 + step :] -= rows[:, :-step]
        parts.append(packer.compress(coded.tobytes()))
    return b"".join([*parts, packer.flush()])
