"""How pictures are read for restoring: in patches or whole, alone or in pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lemari.errors import DataError, UsageError
from lemari.formats import Format
from lemari.networks.select import has_skips, parse
from lemari.sources import open_data
from lemari.sources.images import ImageSource
from lemari.sources.patches import Patches
from lemari.types import Rows, Schema
from lemari.variants.restoration import level_of

VARIANT_OF = {
    "denoise": "denoising-ae",
    "upscale": "super-resolution-ae",
    "inpaint": "inpainting-ae",
}
WHOLE = 64  # pixels: up to this side pictures are taken whole
SIDE = 64
SMALL = 32  # side of a small picture in super-resolution


def variant_of(task: str) -> str:
    """The variant that a task trains."""
    if task not in VARIANT_OF:
        raise UsageError(f"A task is {', '.join(VARIANT_OF)} or detect, not {task!r}.")
    return VARIANT_OF[task]


def check_task(variant: str, options: dict[str, Any], reading: dict[str, Any]) -> None:
    """A UsageError for options of pairs, noise and patches that contradict each other."""
    kind, pairs = options.get("kind", "gaussian"), reading.get("degraded")
    patch, scale = reading.get("patch"), options.get("scale", 2)
    if patch and reading.get("size"):
        raise UsageError("--patch cuts pictures at their own size; leave out --size, or --patch.")
    if pairs and variant != "denoising-ae":
        raise UsageError("--degraded gives pairs, which are for --task denoise; leave it out.")
    if pairs and kind != "given":
        raise UsageError(f"--degraded gives the noise itself; leave out --kind {kind}.")
    if kind == "given" and not pairs:
        raise UsageError("--kind given learns from pairs; name the degraded ones with --degraded.")
    if kind in ("given", "blind-spot") and "noise" in options:
        raise UsageError(f"With --kind {kind} no noise is added; leave out --noise.")
    if variant == "denoising-ae":
        level_of(kind, options.get("noise"))
    if variant == "super-resolution-ae" and patch and scale in (2, 3, 4) and patch % scale:
        raise UsageError(
            f"--patch {patch} is no multiple of --scale {scale}; use --patch "
            f"{patch - patch % scale}."
        )


def check_channels(variant: str, schema: Schema) -> None:
    """A UsageError before a training whose result could not restore any file."""
    if variant in VARIANT_OF.values() and schema.kind == "image" and schema.shape[0] not in (1, 3):
        raise UsageError(
            f"These pictures have {schema.shape[0]} channels, and restoring takes gray or colour; "
            "add --channels 3, or 1 (restored files keep their own alpha)."
        )


def patch_for(data: Any, network: str, scale: int, **reading: Any) -> int | None:
    """Sides of the patches to train on; None where pictures are small enough to be taken whole.

    A network with a bottleneck always takes whole pictures.
    """
    if not has_skips(parse(network)[0]) or reading.get("size"):
        return None
    source = open_data(data, **reading)
    if source.kind != "image":
        return None
    if isinstance(source, ImageSource):
        sizes = [h.size for h in source.headers]
        if max(max(size) for size in sizes) <= WHOLE and len(set(sizes)) == 1:
            return None
        least = sorted(min(size) for size in sizes)[len(sizes) // 4]
    else:
        least = min(source.learn().schema.shape[1:])
        if max(source.learn().schema.shape[1:]) <= WHOLE:
            return None
    side = min(least, SMALL * scale if scale > 1 else SIDE)
    return max(8, side - side % max(1, scale))


def load_pairs(degraded: str, clean: Rows, fmt: Format, **reading: Any) -> Rows:
    """The degraded pictures that go with clean ones: same names, same sizes, same order.

    Endings of names do not count. Raises DataError, naming the first that has no partner.
    """
    rows = open_data(degraded, **reading).load(fmt)
    if isinstance(clean.x, Patches) and isinstance(rows.x, Patches):
        check_names(names_of(clean, True), names_of(rows, True), degraded)
        for number, (a, b) in enumerate(zip(clean.x.sizes, rows.x.sizes, strict=True)):
            if a != b:
                name = names_of(clean, True)[number]
                raise DataError(
                    f"{name!r} is {a[0]}x{a[1]} clean but {b[0]}x{b[1]} in {degraded}; both "
                    "pictures of a pair must have the same size."
                )
        return rows
    check_names(names_of(clean, False), names_of(rows, False), degraded)
    return rows


def check_sizes(data: Any, degraded: Any, **reading: Any) -> None:
    """DataError, naming the first, where whole pictures of a pair have not the same size.

    Files of one name are compared; arrays as a whole.
    """
    clean, other = sizes_of(data, **reading), sizes_of(degraded, **reading)
    for name in sorted(clean.keys() & other.keys()):
        a, b = clean[name], other[name]
        if a != b:
            what = repr(name) if name else "A picture"
            raise DataError(
                f"{what} is {a[0]}x{a[1]} clean but {b[0]}x{b[1]} in {degraded}; both pictures of "
                "a pair must have the same size."
            )


def sizes_of(data: Any, **reading: Any) -> dict[str, tuple[int, int]]:
    """Height and width of each picture file by its name, or of all under '' for an array."""
    source = open_data(data, **{k: v for k, v in reading.items() if k not in ("size", "patch")})
    if source.kind != "image":
        raise DataError(f"{source.name} holds no pictures; pairs are two folders of pictures.")
    if isinstance(source, ImageSource):
        pairs = zip(source.names, source.headers, strict=True)
        return {str(Path(name).with_suffix("")): tuple(h.size) for name, h in pairs}  # pyright: ignore
    shape = source.learn().schema.shape
    return {"": (shape[1], shape[2])}


def names_of(rows: Rows, patches: bool) -> list[str]:
    """Names of the pictures without their endings."""
    ids = [i.rpartition("#")[0] for i in rows.ids] if patches else list(rows.ids)
    return [str(Path(name).with_suffix("")) for name in dict.fromkeys(ids)]


def check_names(clean: list[str], degraded: list[str], where: str) -> None:
    if clean == degraded:
        return
    alone = next((n for n in clean if n not in set(degraded)), None)
    extra = next((n for n in degraded if n not in set(clean)), None)
    what = f"{alone!r} has no partner in {where}" if alone else f"{extra!r} of {where} has no clean"
    raise DataError(
        f"The pairs do not match: {what}; give both folders the same file names, one for one."
    )
