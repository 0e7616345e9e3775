"""New examples of a fitted model, as arrays and as files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lemari import figures
from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.files import write
from lemari.registry import nearest
from lemari.store import Fitted
from lemari.tasks.embed import decode, encode
from lemari.tasks.generate import (
    embed_plane,
    grid_codes,
    path_codes,
    prior_codes,
    traversal_codes,
)
from lemari.types import Rows

MODES = ("random", "grid", "traversal")


@dataclass(frozen=True, slots=True)
class Created:
    """Codes (N, D), what they decode to (N, *S), and the values along a grid's or path's axis."""

    codes: np.ndarray
    x: np.ndarray
    values: np.ndarray


def create(
    fitted: Fitted, mode: str, count: int, seed: int, temperature: float, wanted: str | None
) -> Created:
    """Decode new codes. Raises UsageError for a class that the model does not know."""
    model, size = fitted.model, int(np.prod(fitted.model.code))
    law = prior_codes(model, 4096, seed)
    centre, spread = law.mean(0), law.std(0)
    if mode == "random":
        codes, values = prior_codes(model, count, seed, temperature), np.zeros(0)
    elif mode == "grid":
        side = max(2, round(count**0.5))
        axes = np.argsort(-spread)[:2] if size > 1 else np.array([0])
        values = np.linspace(-2.2, 2.2, side)
        plane = grid_codes(side, np.array([-2.2, -2.2]), np.array([2.2, 2.2]))
        codes = centre + temperature * embed_plane(plane, size, tuple(axes)) * spread
    else:
        rows = min(size, max(1, count // 9))
        values = np.linspace(-2.5, 2.5, 9)
        order = np.sort(np.argsort(-spread)[:rows])
        codes = traversal_codes(np.zeros(size), order, values).reshape(-1, size)
        codes = centre + temperature * codes * spread
    y = labels_for(fitted, wanted, len(codes))
    return Created(codes.astype(np.float32), decode(model, codes, y), values)


def labels_for(fitted: Fitted, wanted: str | None, count: int) -> np.ndarray | None:
    """The class asked for, or all in turn; None for a model without a condition."""
    width, classes = fitted.model.condition.width, fitted.format.classes
    if not width:
        if wanted is not None:
            raise UsageError(
                f"--class needs a conditional model, but this is a {fitted.recipe.variant}; "
                "train one with --variant cvae."
            )
        return None
    if wanted is None:
        return np.arange(count) % width
    if wanted not in classes:
        raise UsageError(nearest(wanted, classes, "class"))
    return np.full(count, classes.index(wanted))


def image_only(fitted: Fitted, what: str) -> None:
    if fitted.format.kind != "image":
        raise UsageError(f"{what} draws pictures, but this model was trained on a table.")


def write_created(path: Path, fitted: Fitted, made: Created, mode: str) -> Path:
    """.png: a picture; .npz: codes and values on the user's scale; .csv: rows of a table."""
    kind = path.suffix.lower()
    if kind == ".npz":
        content = io.BytesIO()
        np.savez_compressed(content, x=fitted.format.to_user(made.x), codes=made.codes)
        return write(path, content.getvalue())
    if kind == ".csv" and fitted.format.kind == "table":
        head = ",".join(f'"{name}"' for name in fitted.format.schema.columns)
        content = io.StringIO()
        np.savetxt(content, fitted.format.to_user(made.x), "%.9g", ",", header=head, comments="")
        return write(path, content.getvalue().encode())
    if kind != ".png":
        raise UsageError(f"Examples go into a .png or .npz file, not {path.name!r}.")
    image_only(fitted, "A .png")
    return figures.save(figure_of(made, mode), path)


def figure_of(made: Created, mode: str):
    images = np.moveaxis(made.x, 1, -1)
    if mode == "grid":
        side = len(made.values)
        ends = (-2.2, 2.2, -2.2, 2.2)
        return figures.manifold_grid(images.reshape(side, side, *images.shape[1:]), ends)
    if mode == "traversal":
        steps = len(made.values)
        rows = images.reshape(-1, steps, *images.shape[1:])
        codes = made.codes.reshape(len(rows), steps, -1)
        moved = [int(np.ptp(row, axis=0).argmax()) for row in codes]
        return figures.traversal(rows, made.values, [f"z{i}" for i in moved])  # pyright: ignore[reportArgumentType]
    columns = min(len(images), max(1, round((1.6 * len(images)) ** 0.5)))
    return figures.sample_grid(images, -(-len(images) // columns), columns)


def between(
    fitted: Fitted, rows: Rows, first: int, last: int, steps: int, how: str
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (steps, H, W, C) on the way between two rows, and both originals (2, H, W, C)."""
    feed = Feed(rows.x, rows.y, fitted.format, np.array([first, last]))
    codes, ends = encode(fitted.model, feed), feed.gather(np.arange(2))
    path = path_codes(codes[0], codes[1], steps, how)
    y = None
    if fitted.model.condition.width and ends.y is not None:
        y = np.full(steps, int(ends.y[0]))
    images = decode(fitted.model, path, y)
    return np.moveaxis(images, 1, -1), np.moveaxis(ends.x.numpy(), 1, -1)
