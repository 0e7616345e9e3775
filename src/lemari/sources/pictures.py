"""One picture file: what its header says, and its pixels at the network's size.

Formats are known by content, not by name. Sizes are compared with a budget from the header
alone, before anything is decoded.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lemari.resizing import crop_box, fitted, inner_size

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
KNOWN = "PNG, JPEG, WebP, TIFF, BMP or GIF"
MOST_STRETCHED = 100  # longer side over shorter side
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
ORIENTATION, IMAGE_WIDTH = 0x0112, 0x0100  # numbers of EXIF tags
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
GRAY = ("1", "L", "LA", "La", *DEEP)
ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Unusable(Exception):
    """This file cannot be used; the message is the reason in a few words."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture's header says: upright size (H, W), kind of pixels, animation."""

    size: tuple[int, int]
    gray: bool
    alpha: bool
    deep: bool
    animated: bool
    wide: bool = False  # 16-bit colour, of which Pillow gives 8 bits


_lock = threading.Lock()
_users: list[tuple[int | None, warnings.catch_warnings]] = []


@contextmanager
def own_budget() -> Iterator[None]:
    """Inside, Pillow's own pixel limit and warnings are off: the budget here replaces them."""
    with _lock:
        quiet = warnings.catch_warnings()
        if not _users:
            quiet.__enter__()
            warnings.simplefilter("ignore")
        _users.append((Image.MAX_IMAGE_PIXELS, quiet))
        Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            if len(_users) == 1:
                Image.MAX_IMAGE_PIXELS = _users[0][0]
                _users[0][1].__exit__(None, None, None)
                _users.clear()
            else:
                _users.pop()


def read_header(file: IO[bytes], max_pixels: int) -> Header:
    """Look at a picture without decoding it; raises Unusable with the reason."""
    try:
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > max_pixels:
                raise Unusable(f"{width}x{height} pixels exceed the limit of {max_pixels:,}")
            if max(width, height) > MOST_STRETCHED * min(width, height):
                raise Unusable(f"{width}x{height} pixels: one side is over 100 times the other")
            if picture.mode == "F":
                raise Unusable("floating-point pixels; save such pictures as a .npy array")
            return Header(
                size=(width, height) if _lies(picture) else (height, width),
                gray=picture.mode in GRAY,
                alpha=picture.mode in ALPHA or "transparency" in picture.info,
                deep=picture.mode in DEEP,
                animated=picture.format != "MPO" and bool(getattr(picture, "is_animated", False)),
                wide=_wide(picture, file),
            )
    except Unusable:
        raise
    except UnidentifiedImageError:
        raise Unusable(f"not a {KNOWN} picture, or its header is broken") from None
    except Exception as error:
        raise Unusable(_short(error)) from None


def _wide(picture: Image.Image, file: IO[bytes]) -> bool:
    """Whether a PNG holds colour of 16 bits: the depth is byte 24 of the file."""
    if picture.format != "PNG" or picture.mode in DEEP:
        return False
    at = file.tell()
    file.seek(24)
    depth = file.read(1)
    file.seek(at)
    return depth == b"\x10"


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, without decoding (Pillow decodes a PNG to look for late EXIF)."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    return picture.getexif().get(ORIENTATION, 1)


def _lies(picture: Image.Image) -> bool:
    """Whether EXIF still exchanges width and height; Pillow turns the size of a TIFF itself."""
    if picture.format == "TIFF" and picture.size[0] != picture.tag_v2.get(IMAGE_WIDTH):  # pyright: ignore[reportAttributeAccessIssue]
        return False
    return _orientation(picture) in TURNED


def _short(error: Exception) -> str:
    """An error of the decoder in a few words."""
    text = " ".join(str(error).split())[:120]
    return text or type(error).__name__


def decode(
    file: IO[bytes], shape: tuple[int, int, int], fit: str, deep: bool, max_pixels: int
) -> np.ndarray:
    """The first frame, upright, as (C, H, W): uint8, or float32 on 0..65535 when `deep`.

    Raises Unusable with the reason when the pixels cannot be decoded.
    """
    channels, height, width = shape
    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.size[0] * picture.size[1] > max_pixels:
                raise Unusable(f"over {max_pixels:,} pixels")
            _draft(picture, height, width)
            upright = ImageOps.exif_transpose(picture)
            if upright.mode in DEEP:
                values = _deep_values(upright)
                if deep:
                    return fitted(values[None, None], height, width, fit)[0]
                upright = Image.fromarray(np.rint(values / 257.0).astype(np.uint8))
            elif deep:
                values = np.asarray(_coloured(upright, 1)).astype(np.float32) * 257.0
                return fitted(values[None, None], height, width, fit)[0]
            return _bytes(_coloured(upright, channels), height, width, fit)
    except Unusable:
        raise
    except Exception as error:
        raise Unusable(_short(error)) from None


def _draft(picture: Image.Image, height: int, width: int) -> None:
    """Let a JPEG decode at a fraction of its size, yet at least twice the size needed."""
    if picture.format not in ("JPEG", "MPO"):
        return
    if _orientation(picture) in TURNED:
        height, width = width, height
    w, h = picture.size
    scale = 2 * max(height / h, width / w)
    if scale <= 0.5:
        picture.draft(None, (ceil(w * scale), ceil(h * scale)))


def _deep_values(picture: Image.Image) -> np.ndarray:
    """Pixels (h, w) float32 of a 16-bit gray picture."""
    values = np.asarray(picture).astype(np.float32)
    if values.min() < 0 or values.max() > 65535:
        raise Unusable("gray values outside 0 to 65535; save such pictures as a .npy array")
    return values


def _coloured(picture: Image.Image, channels: int) -> Image.Image:
    """The picture in L, RGB or RGBA; alpha that is not wanted is laid over white."""
    clear = picture.mode in ALPHA or "transparency" in picture.info
    if not clear or channels == 4:
        return picture.convert(MODES[channels])
    full = picture.convert("RGBA")
    ground = Image.new("RGBA", full.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, full).convert(MODES[channels])


def _bytes(picture: Image.Image, height: int, width: int, fit: str) -> np.ndarray:
    """The picture at height x width as uint8 (C, height, width)."""
    w, h = picture.size
    if fit == "pad":
        inner_h, inner_w = inner_size(h, w, height, width)
        inner = picture.resize((inner_w, inner_h), Image.Resampling.BILINEAR)
        picture = Image.new(picture.mode, (width, height))
        picture.paste(inner, ((width - inner_w) // 2, (height - inner_h) // 2))
    elif (h, w) != (height, width):
        top, left, h, w = crop_box(h, w, height, width) if fit == "crop" else (0, 0, h, w)
        box = (left, top, left + w, top + h)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
