"""From what the user asked for to a whole recipe, with every automatic choice made and named."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from lemari.assemble import options_of
from lemari.augment import check_augment
from lemari.errors import DataError, UsageError
from lemari.formats import Format, ImageFormat
from lemari.machine import precision_for, threads_for
from lemari.networks.select import fits, is_published, parse, resolve
from lemari.registry import VARIANTS, nearest
from lemari.store import DataReference, Recipe, check_types
from lemari.train import Plan, mix
from lemari.types import Rows, Schema

HASHED = 256 << 20
MOST_PARAMETERS = 500_000_000


@dataclass
class Request:
    """What to train. None means: choose for me."""

    variant: str = "vae"
    options: dict[str, Any] = field(default_factory=dict)  # of the variant: latent, network, ...
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0
    schedule: str | None = None
    threads: int | None = None
    precision: str | None = None
    held_out: float = 0.1
    augment: str = "none"
    patience: int | None = None


def variant_options(variant: str) -> dict[str, inspect.Parameter]:
    """The options of a variant, with their types and defaults."""
    return options_of(VARIANTS[variant])


def check_options(variant: str, options: dict[str, Any]) -> None:
    """Every option is one that the variant has."""
    known = variant_options(variant)
    for name in options:
        if name not in known:
            other = elsewhere(name, variant)
            raise UsageError(other or nearest(name, known, f"option of {variant}"))


def elsewhere(name: str, variant: str) -> str:
    """The sentence that answers an option of other variants; empty where none has it."""
    have = [v for v in VARIANTS.builtin if name in variant_options(v)]
    if not have:
        return ""
    others = ", ".join(have[:4]) + (f" and {len(have) - 4} more have" if have[4:] else " have")
    return (
        f"Variant {variant!r} has no option --{name.replace('_', '-')}, but {others}; leave it "
        "out, or choose one of these."
    )


def network_of(variant: str, options: dict[str, Any]) -> str:
    """The network's name, from the options, the variant's signature, or its preset."""
    if options.get("network"):
        return options["network"]
    parameter = variant_options(variant).get("network")
    return parameter.default if parameter else getattr(VARIANTS[variant], "network", "auto")


def sized(fmt: Format, network: str) -> tuple[Format, str | None]:
    """The format at a size that the network can take, and a note when that is not the data's."""
    if not isinstance(fmt, ImageFormat):
        return fmt, None
    _, height, width = fmt.shape
    new = fits(network, "image", height, width)
    if new == (height, width):
        return fmt, None
    note = f"network {network!r} needs other sides: pictures go from {height}x{width} to "
    return fmt.resized(*new), note + f"{new[0]}x{new[1]} (bilinear)"


def recipe_for(schema: Schema, request: Request, data: DataReference | None = None) -> Recipe:
    """A recipe with every choice made. Raises UsageError when variant and data do not fit."""
    options = {k: v.item() if isinstance(v, np.generic) else v
               for k, v in request.options.items() if v is not None}  # fmt: skip
    check_options(request.variant, options)
    check_types(request.variant, options)
    schedule = request.schedule or "cosine"
    Plan(request.epochs, request.batch_size, request.lr, request.seed, schedule, request.augment,
         request.patience)  # fmt: skip
    check_augment(request.augment, schema)
    network = network_of(request.variant, options)
    with torch.device("meta"):
        model = VARIANTS[request.variant](schema, **options)
    check_size(model)
    published = is_published(parse(resolve(network, schema.kind))[0])
    values = {
        "variant": request.variant,
        "options": options,
        "epochs": request.epochs,
        "batch_size": request.batch_size,
        "lr": request.lr,
        "seed": request.seed,
        "schedule": request.schedule or ("constant" if published else "cosine"),
        "threads": threads_for(model, request.threads),
        "precision": precision_for(model, request.precision),
        "held_out": request.held_out,
        "augment": request.augment,
        "patience": request.patience,
        "data": data or DataReference(),
    }
    try:
        return Recipe(**values)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = str(first["loc"][-1 if first["loc"][0] != "options" else 1])
        raise UsageError(f"{place.replace('_', '-')}: {first['msg']}.") from fault


def check_size(model: nn.Module) -> None:
    """Refuse a model, built on the meta device, that no machine of ours could train."""
    count = sum(p.numel() for p in model.parameters())
    if count > MOST_PARAMETERS:
        raise UsageError(
            f"That model would have {count:,} parameters, more than {MOST_PARAMETERS:,}; choose "
            "a smaller --network or --latent, or smaller examples (--size)."
        )


def hold_out(rows: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training rows and of the held-out rows, both in ascending order.

    With a single row it is both; at least one row is held out of two or more.
    """
    if rows == 0:
        raise DataError("There are no examples to train on; give data with at least one.")
    if rows == 1 or not share:
        whole = np.arange(rows)
        return whole, whole
    order = np.random.default_rng(mix(seed, 20260101)).permutation(rows)
    held = min(rows - 1, max(1, round(share * rows)))
    return np.sort(order[held:]), np.sort(order[:held])


def set_apart(train: np.ndarray, seed: int, share: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and validation rows out of training rows, both in ascending order.

    The validation rows decide when to stop; scores are taken on others. A single row is both.
    """
    kept, valid = hold_out(len(train), share, mix(seed, 20260102))
    return train[kept], train[valid]


def fingerprint(rows: Rows, labels: bool = True) -> str:
    """A sum over shape, values (a quarter of a gigabyte of them at most) and labels."""
    x = rows.x
    digest = hashlib.sha256(f"{x.shape}{x.dtype}".encode())
    per_row = max(1, x.nbytes // max(1, len(x)))
    stride = max(1, -(-len(x) * per_row // HASHED))
    block = max(1, (16 << 20) // per_row)
    picked = range(0, len(x), stride)
    for first in range(0, len(picked), block):
        part = picked[first : first + block]
        digest.update(np.ascontiguousarray(x[part.start : part.stop : stride]).data)
    if labels and rows.y is not None:
        digest.update(np.ascontiguousarray(rows.y).data)
    return digest.hexdigest()
