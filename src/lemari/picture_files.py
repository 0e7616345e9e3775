"""Picture files as they are: pixels at their own depth and size, and what to write back.

The same format, depth and metadata come out as went in. Pixels are not turned, the EXIF
orientation stays beside them; only a TIFF that Pillow turns upright stays upright.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from lemari.errors import DataError, RunError
from lemari.files import write as write_file
from lemari.png_files import PNG_KEPT, deep_png, encode_png, pillow_bytes, png_chunks
from lemari.sources.pictures import FORMATS as OPENED
from lemari.sources.pictures import Unusable, own_budget, read_header

MAX_PIXELS = 200_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
JPEG_QUALITY, WEBP_QUALITY = 95, 95
MOST_BYTES = 4 << 30
TIFF_KEPT = (269, 270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 33432, 34665, 34853)
TIFF_TEXT = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
ORIENTATION, BITS, X_DPI, Y_DPI, UNIT, PROFILE = 274, 258, 282, 283, 296, 34675
PHOTOMETRIC, WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 262, 0, 1, 2
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Pixels (H, W, C) with 1 or 3 colour channels, alpha (H, W) or None, uint8 or uint16."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    format: str
    info: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def depth(self) -> int:
        """Bits of a value: 8 or 16."""
        return self.pixels.dtype.itemsize * 8


def read(path: Path | str, max_pixels: int = MAX_PIXELS) -> Picture:
    """A picture file; DataError with one sentence when it cannot be used."""
    path = Path(path)
    try:
        if not path.is_file():
            raise Unusable("not a file" if path.exists() else "there is no such file")
        if path.stat().st_size > MOST_BYTES:
            raise Unusable("over 4 GiB")
        with own_budget():
            return decode(path.read_bytes(), max_pixels)
    except Unusable as reason:
        raise DataError(f"{path} cannot be used: {reason}.") from None
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror or fault}.") from None


def decode(content: bytes, max_pixels: int) -> Picture:
    """A picture from the bytes of its file; raises Unusable with the reason."""
    if not content:
        raise Unusable("the file is empty")
    header = read_header(io.BytesIO(content), max_pixels)
    if header.animated:
        raise Unusable("it holds several pictures; save the one to restore as PNG")
    try:
        with Image.open(io.BytesIO(content), formats=OPENED) as picture:
            kind = "JPEG" if picture.format == "MPO" else str(picture.format)
            if kind not in FORMATS:
                raise Unusable(f"{kind} has too few colours to restore; save it as PNG")
            if kind == "PNG":
                return decode_png(content, picture)
            if kind == "TIFF" and deep_tiff(picture):
                return decode_deep_tiff(content, picture)
            return from_pillow(picture, kind, content)
    except Unusable:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise Unusable(text.rstrip(".")) from None


def from_pillow(picture: ImageFile.ImageFile, kind: str, content: bytes) -> Picture:
    """Whatever Pillow decodes without loss."""
    picture.load()
    note, info = "", metadata(picture, kind, content)
    if picture.mode == "CMYK":
        note = "CMYK was converted to RGB"
        info.pop("icc_profile", None)
    if picture.mode in ("I", "F", "LAB", "HSV"):
        raise Unusable(f"pixels of the kind {picture.mode}; save it with 8 or 16 bits as RGB")
    if picture.mode in DEEP:
        return Picture(deep_gray(picture), None, kind, info)
    values = np.array(as_plain(picture))
    if kind == "BMP" and values.ndim == 3 and values.shape[2] == 4:
        raise Unusable("a BMP with transparency; save it as PNG")
    return Picture(*split(values), kind, info, note)


def deep_gray(picture: ImageFile.ImageFile) -> np.ndarray:
    """Gray of 16 bits (H, W, 1), 0 for black; Pillow leaves a TIFF as it is where 0 is white."""
    values, tags = np.asarray(picture).astype(np.uint16)[..., None], getattr(picture, "tag_v2", {})
    if max(tags.get(BITS, (16,))) != 16:
        raise Unusable(f"{max(tags[BITS])} bits; save it with 8 or 16 bits")
    return 65535 - values if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else values


def as_plain(picture: Image.Image) -> Image.Image:
    """The picture in L, LA, RGB or RGBA."""
    if picture.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in picture.info:
        return picture
    clear = "transparency" in picture.info or picture.mode in ("PA", "La", "RGBa")
    if picture.mode in ("1", "L", "La"):
        return picture.convert("RGBA").convert("LA") if clear else picture.convert("L")
    return picture.convert("RGBA" if clear else "RGB")


def split(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W) or (H, W, 1 to 4) as colours (H, W, 1 or 3) and alpha (H, W)."""
    if values.ndim == 2:
        return values[..., None], None
    if values.shape[2] in (2, 4):
        return np.ascontiguousarray(values[..., :-1]), np.ascontiguousarray(values[..., -1])
    return values, None


def joined(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The opposite of `split`: (H, W) or (H, W, 2 to 4)."""
    if alpha is not None:
        return np.concatenate([pixels, alpha[..., None]], axis=2)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def metadata(picture: ImageFile.ImageFile, kind: str, content: bytes) -> dict[str, Any]:
    """What Pillow's writer of the format takes back."""
    names = {"JPEG": ("icc_profile", "dpi", "comment", "exif", "xmp"),
             "WEBP": ("icc_profile", "exif", "xmp"),
             "TIFF": ("icc_profile",), "BMP": ("dpi",)}[kind]  # fmt: skip
    info = {n: picture.info[n] for n in names if picture.info.get(n)}
    if kind == "WEBP":
        info["lossless"] = b"VP8L" in content[:64] or b"VP8L" in content[12:4096]
    if kind == "TIFF":
        exif, kept = picture.getexif(), Image.Exif()
        for tag in TIFF_KEPT:
            if tag in exif:
                kept[tag] = exif.get_ifd(tag) if tag in (34665, 34853) else exif[tag]
        info["exif"] = kept
    return info


def decode_png(content: bytes, picture: ImageFile.ImageFile) -> Picture:
    """A PNG, with its chunks about colour, size and text as they are."""
    bits, colours = content[24], content[25]
    chunks = [(name, data) for name, data in png_chunks(content) if name in PNG_KEPT]
    info = {"chunks": chunks}
    if bits == 16 and (colours != 0 or "transparency" in picture.info):
        return Picture(*split(deep_png(content)), "PNG", info)
    picture.load()
    if bits == 16:
        return Picture(np.asarray(picture).astype(np.uint16)[..., None], None, "PNG", info)
    return Picture(*split(np.array(as_plain(picture))), "PNG", info)


def deep_tiff(picture: ImageFile.ImageFile) -> bool:
    """Whether a TIFF has 16-bit colour, which Pillow would cut to 8 bits."""
    bits = picture.tag_v2.get(BITS, (1,))  # pyright: ignore[reportAttributeAccessIssue]
    return max(bits) > 8 and (len(bits) > 1 or picture.mode not in DEEP)


def decode_deep_tiff(content: bytes, picture: ImageFile.ImageFile) -> Picture:
    """A TIFF with 16-bit colour or alpha."""
    import tifffile

    info = metadata(picture, "TIFF", content)
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages[0]
            colours = int(page.photometric)  # pyright: ignore[reportAttributeAccessIssue]
            if colours not in (BLACK_IS_ZERO, RGB):
                raise Unusable("16 bits in a colour space that is not read; save it as RGB")
            values, separate = page.asarray(), int(page.planarconfig or 1) == 2  # pyright: ignore[reportAttributeAccessIssue]
    except ValueError as fault:
        if "imagecodecs" not in str(fault):
            raise
        raise Unusable("16-bit colour in a compression that is not read; save it with "
                       "deflate or without compression") from None  # fmt: skip
    if separate and values.ndim == 3:
        values = np.moveaxis(values, 0, 2)
    if values.dtype != np.uint16 or values.ndim not in (2, 3) or values.shape[2:] > (4,):
        raise Unusable(f"pixels of the kind {values.dtype}; save it with 8 or 16 bits as RGB")
    return Picture(*split(np.ascontiguousarray(values)), "TIFF", info)


def write(path: Path | str, like: Picture, pixels: np.ndarray, alpha: np.ndarray | None) -> Path:
    """Pixels and alpha in the format and depth of `like`, with its metadata, in one step.

    Raises RunError when the format cannot hold them.
    """
    try:
        content = encode(like, pixels, alpha)
    except (ValueError, struct.error, OSError, RuntimeError) as fault:
        height, width = pixels.shape[:2]
        raise RunError(
            f"{like.format} cannot hold this picture of {width}x{height} pixels "
            f"({str(fault)[:100]}); convert it to PNG first."
        ) from None
    return write_file(path, content)


def encode(like: Picture, pixels: np.ndarray, alpha: np.ndarray | None) -> bytes:
    """The bytes of a file in the format of `like`."""
    values = joined(pixels, alpha)
    deep = values.dtype == np.uint16
    if like.format == "PNG":
        return encode_png(values, like.info.get("chunks", []))
    if like.format == "TIFF" and deep and values.ndim == 3:
        return encode_deep_tiff(values, like.info)
    options: dict[str, Any] = {
        "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0},
        "WEBP": {"quality": WEBP_QUALITY, "exact": True},
        "TIFF": {"compression": "tiff_deflate"},
        "BMP": {},
    }[like.format]
    with own_budget():
        return pillow_bytes(values, like.format, **options, **like.info)


def encode_deep_tiff(values: np.ndarray, info: dict[str, Any]) -> bytes:
    """A TIFF with 16-bit colour or alpha."""
    import tifffile

    exif, out = info.get("exif") or {}, io.BytesIO()
    tags: list[tuple[Any, ...]]
    tags = [(t, "s", 0, str(exif[t]), True) for t in TIFF_TEXT if t in exif and t not in (305, 270)]
    if ORIENTATION in exif:
        tags.append((ORIENTATION, "H", 1, int(exif[ORIENTATION]), True))
    options: dict[str, Any] = {}
    if X_DPI in exif and Y_DPI in exif:
        options["resolution"] = (float(exif[X_DPI]), float(exif[Y_DPI]))
        options["resolutionunit"] = int(exif.get(UNIT, 2))
    if info.get("icc_profile"):
        options["iccprofile"] = info["icc_profile"]
    tifffile.imwrite(
        out, values, compression="zlib", metadata=None, software=exif.get(305, False),
        description=exif.get(270), extratags=tags, extrasamples=[2] * (values.shape[2] in (2, 4)),
        photometric="rgb" if values.shape[2] >= 3 else "minisblack", planarconfig="contig",
        **options)  # fmt: skip
    return out.getvalue()
