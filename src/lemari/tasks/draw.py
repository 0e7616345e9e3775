"""The pictures of a run: what to draw for which model, and from which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lemari import figures
from lemari.feed import Feed
from lemari.layers_table import layer_table, parameter_counts
from lemari.metrics.pca import fit_pca
from lemari.model import Autoencoder
from lemari.starting import mix, random_state
from lemari.tasks.embed import code_of, decode, encode, reconstruct
from lemari.tasks.evaluate import Evaluation
from lemari.tasks.generate import (
    embed_plane,
    grid_codes,
    path_codes,
    prior_codes,
    traversal_codes,
)

MOST_POINTS = 10_000


@dataclass
class Scene:
    """What the pictures of a run are drawn from."""

    model: Autoencoder
    train: Feed
    held: Feed
    evaluation: Evaluation
    classes: tuple[str, ...]
    history: list[dict]
    seed: int = 0

    @property
    def image(self) -> bool:
        return self.model.data.kind == "image"

    @property
    def law(self) -> bool:
        """Whether codes have a law of their own, so that the prior is where they lie."""
        return self.evaluation.kl is not None

    @property
    def size(self) -> int:
        return self.evaluation.codes.shape[1]


def pictures(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W, C)."""
    return np.moveaxis(np.asarray(x), 1, -1)


def plane(s: Scene) -> tuple[np.ndarray, tuple[str, str]]:
    """Held-out codes in two dimensions, and what the axes are called.

    Codes of more than two numbers are shown in the plane of their two principal components.
    """
    codes = s.evaluation.held_codes[:MOST_POINTS]
    if s.size <= 2:
        return codes, ("z0", "z1")
    pca = fit_pca([s.evaluation.codes], 2, len(s.evaluation.codes), s.size)
    return pca.codes(codes), ("PC 1", "PC 2")


def reconstructions(s: Scene):
    batch = s.held.gather(np.arange(min(10, len(s.held))))
    pca, flat = s.evaluation.pca, batch.x.flatten(1).numpy()
    with torch.no_grad():
        mine = reconstruct(s.model.eval(), batch).numpy()
    base = pca.rebuild(pca.codes(flat)).reshape(mine.shape).clip(0, 1)  # pyright: ignore[reportOptionalMemberAccess]
    return figures.reconstruction_strip(
        pictures(batch.x.numpy()),
        pictures(mine),
        baseline=pictures(base),
        baseline_name=f"PCA-{len(pca.components)}",  # pyright: ignore[reportOptionalMemberAccess]
    )


def labels(s: Scene) -> np.ndarray | None:
    y = s.evaluation.held_labels
    return None if y is None else y[:MOST_POINTS]


def latent(s: Scene):
    points, names = plane(s)
    return figures.latent_scatter(points, labels(s), s.classes, names)


def condition_for(s: Scene, count: int) -> np.ndarray | None:
    """Class numbers in turn for a conditional model."""
    width = getattr(s.model.condition, "width", 0)
    return np.arange(count) % width if width else None


def box(s: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The box that holds 99 % of the training codes in each of the two dimensions."""
    return tuple(np.quantile(s.evaluation.codes, (0.005, 0.995), axis=0))


def random_points(s: Scene):
    """Random places of the box around the codes, as the chapter does."""
    low, high = box(s)
    points = np.random.default_rng(s.seed).uniform(low, high, (18, 2)).astype(np.float32)
    images = decode(s.model, points, condition_for(s, 18))
    return figures.random_points(plane(s)[0], points, pictures(images), labels(s), s.classes)


def decoded_grid(s: Scene):
    low, high = box(s)
    images = grid_images(s, grid_codes(15, low, high), 15)
    extent = (low[0], high[0], low[1], high[1])
    return figures.decoded_grid_over_scatter(plane(s)[0], labels(s), s.classes, images, extent)


def grid_images(s: Scene, codes: np.ndarray, side: int) -> np.ndarray:
    first = None if condition_for(s, 1) is None else np.zeros(len(codes), np.int64)
    images = framed(pictures(decode(s.model, codes, first)))
    return images.reshape(side, side, *images.shape[1:])


def framed(images: np.ndarray) -> np.ndarray:
    """A thin frame in the colour of most borders, so that neighbours in a grid stay apart."""
    width = max(1, images.shape[1] // 16)
    fill = float(np.median(np.concatenate([images[:, 0].ravel(), images[:, -1].ravel()])))
    around = ((0, 0), (width, width), (width, width), (0, 0))
    return np.pad(images, around, constant_values=round(fill))


def manifold(s: Scene):
    """The plane of the two dimensions that vary most, at equal steps."""
    side, axes = 20, (0, 1)
    if s.law:
        steps = np.linspace(-2.2, 2.2, side)
        first, second = np.sort(np.argsort(-s.evaluation.variance)[:2])  # pyright: ignore[reportOptionalOperand]
        axes = (int(first), int(second))
        grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        codes, ends = embed_plane(grid, s.size, axes), (steps[0], steps[-1]) * 2
    else:
        low, high = box(s)
        codes, ends = grid_codes(side, low, high), (low[0], high[0], low[1], high[1])
    names = [f"z{i}" for i in axes]
    return figures.manifold_grid(grid_images(s, codes, side), ends, names)


def prior(s: Scene):
    points = plane(s)[0]
    drawn = prior_codes(s.model, len(points), s.seed)
    if s.size > 2:
        drawn = fit_pca([s.evaluation.codes], 2, len(s.evaluation.codes), s.size).codes(drawn)
    elif s.size == 1:
        drawn = np.c_[drawn, np.zeros(len(drawn))]
    return figures.prior_scatter(points, drawn)


def histograms(s: Scene):
    """Draws of the posterior where there is one (they should look normal), else the codes."""
    codes = s.evaluation.held_codes[:MOST_POINTS]
    if s.law:
        with torch.no_grad():
            parts = []
            for batch in s.held.batches(500):
                c = s.model.condition(batch)
                q = s.model.encode(s.model.corrupt.given(batch.x), c)
                with random_state(mix(s.seed, len(parts))):
                    parts.append(q.sample()[0])
        codes = torch.cat(parts).flatten(1).numpy()[:MOST_POINTS]
    return figures.dimension_histograms(codes, 50)


def samples(s: Scene):
    images = decode(s.model, prior_codes(s.model, 30, s.seed), condition_for(s, 30))
    return figures.sample_grid(pictures(images), 3, 10)


def morph_images(s: Scene, steps: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """(steps, H, W, C) from one held-out example to another of another class, and both ends."""
    y, last = labels(s), min(1, len(s.held) - 1)
    if y is not None and (y != y[0]).any():
        last = int(np.flatnonzero(y != y[0])[0])
    ends = s.held.gather(np.array([0, last]))
    codes = encode(s.model, Feed(s.held.x, s.held.y, s.held.format, s.held.index[[0, last]]))
    path = path_codes(codes[0], codes[1], steps, "slerp" if s.law else "linear")
    label = None if condition_for(s, 1) is None else np.full(steps, ends.y[0].item())  # pyright: ignore[reportOptionalSubscript]
    return pictures(decode(s.model, path, label)), pictures(ends.x.numpy())


def traversal(s: Scene):
    spread = s.evaluation.codes.std(0)
    order = np.argsort(-spread if s.evaluation.variance is None else -s.evaluation.variance)[:8]
    scale = 1.0 if s.law else float(spread[order].mean())
    values = np.linspace(-2.5, 2.5, 9) * scale
    start = np.zeros(s.size) if s.law else s.evaluation.codes.mean(0)
    codes = traversal_codes(start, order, values).reshape(-1, s.size)
    y = None if condition_for(s, 1) is None else np.zeros(len(codes), np.int64)
    images = pictures(decode(s.model, codes, y))
    images = images.reshape(len(order), len(values), *images.shape[1:])
    return figures.traversal(images, values, [f"z{i}" for i in order])  # pyright: ignore[reportArgumentType]


def feature_maps(s: Scene):
    batch = s.held.gather(np.array([0]))
    with torch.no_grad():
        maps = code_of(s.model.eval(), batch)[0].numpy()
    return figures.feature_maps(maps, pictures(batch.x.numpy())[0])


def network(s: Scene):
    return figures.layer_diagram(layer_table(s.model), parameter_counts(s.model)["total"])


def chosen(s: Scene) -> dict[str, Callable]:
    """Name and drawer of every picture that this model has."""
    flat2, many = s.size == 2 and s.image, len(s.held) > 1
    table: dict[str, tuple[bool, Callable]] = {
        "reconstructions": (s.image, reconstructions),
        "latent": (many, latent),
        "random-points": (flat2 and many, random_points),
        "decoded-grid": (flat2 and many, decoded_grid),
        "manifold": (s.image and s.size >= 2 and (s.law or flat2), manifold),
        "prior": (s.law and many, prior),
        "histograms": (many, histograms),
        "samples": (s.image, samples),
        "traversal": (s.image, traversal),
        "feature-maps": (len(s.model.code) == 3, feature_maps),
        "kl": (s.law, lambda s: figures.kl_per_dimension(s.evaluation.kl)),
        "curves": (bool(s.history), lambda s: figures.learning_curves(s.history)),
        "network": (True, network),
    }
    return {name: draw for name, (wanted, draw) in table.items() if wanted}


def draw_all(s: Scene, folder: Path, progress: Callable[[str], None] | None = None) -> list[str]:
    """Draw every picture that this model has into `folder`; returns the file names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in chosen(s).items():
        if progress:
            progress(f"drawing {name}")
        written.append(figures.save(draw(s), folder / f"{name}.png").name)
    if s.image and len(s.held) > 1:
        images, ends = morph_images(s)
        written.append(figures.save(figures.morph_strip(images, ends), folder / "morph.png").name)
        written.append(figures.save_gif(images, folder / "morph.gif").name)
    return written
