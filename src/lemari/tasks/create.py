"""New examples of a fitted model, as arrays and as files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lemari import figures
from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.files import write
from lemari.model import Autoencoder
from lemari.registry import nearest
from lemari.samplers.base import Sampler
from lemari.store import Fitted
from lemari.tasks.embed import decode, encode
from lemari.tasks.generate import (
    grid_codes,
    path_codes,
    prior_codes,
    traversal_codes,
)
from lemari.types import Batch, Rows

MOST_MOVED = 1024  # numbers of a code up to which each is tried out
MODES = ("random", "grid", "traversal")


@dataclass(frozen=True, slots=True)
class Created:
    """Codes (N, D), what they decode to (N, *S), and for a grid or traversal its axes.

    `dimensions` are those that were moved; `values` (steps,) or `ends` say how far.
    """

    codes: np.ndarray
    x: np.ndarray
    dimensions: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    ends: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


def create(
    fitted: Fitted,
    mode: str,
    count: int,
    seed: int,
    temperature: float,
    wanted: str | None,
    truncation: float | None = None,
    sampler: Sampler | None = None,
) -> Created:
    """Decode new codes. Raises UsageError for a class that the model does not know.

    Random codes come from the sampler where one is given, else from the prior.
    """
    if sampler is not None:
        return sampled(fitted, sampler, count, seed, wanted)
    if mode == "random":
        codes = prior_codes(fitted.model, count, seed, temperature, truncation)
        y = labels_for(fitted, wanted, len(codes))
        return Created(codes, decode(fitted.model, codes, y))
    law = prior_codes(fitted.model, 4096, seed)
    centre, spread = law.mean(0), temperature * law.std(0)
    y = labels_for(fitted, wanted, 1)
    order = np.argsort(-influence(fitted, centre, spread, y), kind="stable")
    return (grid if mode == "grid" else traverse)(fitted, count, centre, spread, order, y)


def sampled(fitted: Fitted, sampler: Sampler, count: int, seed: int, wanted: str | None) -> Created:
    """Decode draws of a sampler; one that was fitted by class is asked for the class."""
    if not sampler.by_class or fitted.model.condition.width:
        y = labels_for(fitted, wanted, count)
    else:
        y = None if wanted is None else class_numbers(fitted, wanted, count)
    asked = torch.from_numpy(y) if sampler.by_class and y is not None else None
    codes = sampler.draw(count, seed, asked).numpy()
    return Created(codes, decode(fitted.model, codes, y if fitted.model.condition.width else None))


def influence(
    fitted: Fitted, centre: np.ndarray, spread: np.ndarray, y: np.ndarray | None
) -> np.ndarray:
    """How much the decoded example changes when a number moves by 2 spreads each way: (D,).

    Codes of more than 1024 numbers are ranked by their spread alone.
    """
    if len(centre) > MOST_MOVED:
        return spread
    moves = 2 * np.diag(spread)
    labels = None if y is None else np.repeat(y, len(moves))
    high, low = (decode(fitted.model, centre + sign * moves, labels) for sign in (1, -1))
    return np.square(high - low).reshape(len(moves), -1).mean(1)


def grid(fitted: Fitted, count: int, centre, spread, order, y) -> Created:
    """About `count` codes on a square grid in the plane of the two most influential numbers."""
    side, size = max(2, round(count**0.5)), len(centre)
    axes = tuple(int(i) for i in np.sort(order[:2]))
    ends = [centre[i] + sign * 2.2 * spread[i] for i in axes for sign in (-1, 1)]
    low, high = (np.array([ends[0], ends[2 % len(ends)]]), np.array([ends[1], ends[3 % len(ends)]]))
    codes = np.tile(centre, (side * side, 1)).astype(np.float32)
    codes[:, axes] = grid_codes(side, low, high)[:, : len(axes)]
    labels = None if y is None else np.repeat(y, len(codes))
    corners = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return Created(codes, decode(fitted.model, codes, labels), axes if size > 1 else (0, 0),
                   tuple(range(side)), corners)  # fmt: skip


def traverse(fitted: Fitted, count: int, centre, spread, order, y) -> Created:
    """The most influential numbers, each moved in 9 steps from -2.5 to 2.5 spreads."""
    chosen = np.sort(order[: max(1, count // 9)])
    values = np.linspace(-2.5, 2.5, 9)
    codes = traversal_codes(np.zeros(len(centre)), chosen, values).reshape(-1, len(centre))
    codes = (centre + codes * spread).astype(np.float32)
    labels = None if y is None else np.repeat(y, len(codes))
    return Created(codes, decode(fitted.model, codes, labels), tuple(int(i) for i in chosen),
                   tuple(float(v) for v in values))  # fmt: skip


def labels_for(fitted: Fitted, wanted: str | None, count: int) -> np.ndarray | None:
    """The class asked for, or all in turn; None for a model without a condition."""
    width = fitted.model.condition.width
    if not width:
        if wanted is not None:
            raise UsageError(
                f"--class needs a conditional model, but this is a {fitted.recipe.variant}; "
                "train one with --variant cvae, or add --sampler class."
            )
        return None
    if wanted is None:
        return np.arange(count) % width
    return class_numbers(fitted, wanted, count)


def class_numbers(fitted: Fitted, wanted: str, count: int) -> np.ndarray:
    """The number of one class, `count` times."""
    classes = fitted.format.classes
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
        names = (name.replace('"', '""') for name in fitted.format.schema.columns)
        head = ",".join(f'"{name}"' for name in names)
        content = io.StringIO()
        np.savetxt(content, fitted.format.to_user(made.x), "%.9g", ",", header=head, comments="")
        return write(path, content.getvalue().encode())
    if kind != ".png":
        raise UsageError(f"Examples go into a .png or .npz file, not {path.name!r}.")
    image_only(fitted, "A .png")
    return figures.save(figure_of(made, mode), path)


def figure_of(made: Created, mode: str):
    images = np.moveaxis(made.x, 1, -1)
    names = [f"z{i}" for i in made.dimensions]
    if mode == "grid":
        side = len(made.values)
        tiles = images.reshape(side, side, *images.shape[1:])
        return figures.manifold_grid(tiles, made.ends, names)
    if mode == "traversal":
        rows = images.reshape(-1, len(made.values), *images.shape[1:])
        return figures.traversal(rows, made.values, names)
    columns = min(len(images), max(1, round((1.6 * len(images)) ** 0.5)))
    return figures.sample_grid(images, -(-len(images) // columns), columns)


def between_conditions(model: Autoencoder, ends: Batch, steps: int) -> torch.Tensor:
    """The condition on the way between two examples, moved in a straight line: (steps, C)."""
    c = model.eval().condition(ends)
    t = torch.linspace(0, 1, steps).unsqueeze(1)
    return (1 - t) * c[0] + t * c[1]


def between(
    fitted: Fitted, rows: Rows, first: int, last: int, steps: int, how: str
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (steps, H, W, C) on the way between two rows, and both originals (2, H, W, C)."""
    feed = Feed(rows.x, rows.y, fitted.format, np.array([first, last]))
    codes, ends = encode(fitted.model, feed), feed.gather(np.arange(2))
    path = path_codes(codes[0], codes[1], steps, how)
    images = decode(fitted.model, path, c=between_conditions(fitted.model, ends, steps))
    return np.moveaxis(images, 1, -1), np.moveaxis(ends.x.numpy(), 1, -1)
