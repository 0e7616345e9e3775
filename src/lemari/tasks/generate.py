"""New examples: random codes, grids, traversals, and paths between two examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.laws import FullNormal, Law, Normal
from lemari.model import Autoencoder
from lemari.starting import random_state
from lemari.tasks.embed import BLOCK, encode


@torch.no_grad()
def prior_codes(
    model: Autoencoder,
    count: int,
    seed: int = 0,
    temperature: float = 1.0,
    truncation: float | None = None,
) -> np.ndarray:
    """Draws from the model's prior, flattened: (count, D) float32.

    `temperature` scales the distance from the prior's mean: below 1 gives safer, duller draws.
    `truncation` leaves out what lies further out than so many standard deviations of a number.
    """
    law = model.prior(torch.zeros(count, 0))
    if hasattr(law, "tempered"):  # its draws do not lie in straight lines from its mean
        law, temperature = law.tempered(temperature), 1.0
    with random_state(seed):
        drawn = law.sample()[0] if truncation is None else truncated(law, truncation)
    return (law.mean + temperature * (drawn - law.mean)).flatten(1).numpy()


def truncated(law: Law, limit: float) -> Tensor:
    """One draw of a normal law whose noise has no value beyond `limit` (Marchesi 2017, used by
    Brock et al. 2019, arXiv:1809.11096)."""
    if not isinstance(law, Normal | FullNormal):
        raise UsageError(
            f"--truncation needs a normal prior, and this model's is a {type(law).__name__}; use "
            "--temperature."
        )
    reach = torch.special.ndtr(torch.tensor(-limit, dtype=torch.float64))
    share = reach + (1 - 2 * reach) * torch.rand(law.mean.shape, dtype=torch.float64)
    noise = torch.special.ndtri(share).clamp(-limit, limit).to(law.mean.dtype)
    if isinstance(law, Normal):
        return law.mean + law.sigma * noise
    return law.mean + (noise.flatten(-law.event) @ law.factor.T).view(noise.shape)


def own_prior(model: Autoencoder) -> Callable[[int, int], Tensor]:
    """Draws (count, seed) -> codes (count, D) from the model's own prior."""
    return lambda count, seed: torch.from_numpy(prior_codes(model, count, seed))


def settle(model: Autoencoder, feed: Feed) -> None:
    """Fit the prior to the codes of these rows, where it is one that is fitted afterwards."""
    if hasattr(model.prior, "count"):
        model.prior.count(indices(model, feed))
    elif hasattr(model.prior, "fit"):
        model.prior.fit(torch.from_numpy(encode(model, feed)))


@torch.no_grad()
def indices(model: Autoencoder, feed: Feed) -> Tensor:
    """The discrete codes of each row, (N, L), of a model that has them."""
    model.eval()
    found = [
        model.encode(model.corrupt.given(b.x), model.condition(b)).indices.flatten(1)  # pyright: ignore[reportAttributeAccessIssue]
        for b in feed.batches(BLOCK)
    ]
    return torch.cat(found)


def grid_codes(side: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """An even side x side grid over a box in the plane of the code, lowest row first.

    Shapes: low, high (2,) -> (side * side, 2); the first coordinate runs to the right.
    """
    x = np.linspace(low[0], high[0], side)
    y = np.linspace(low[1], high[1], side)
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)


def embed_plane(points: np.ndarray, size: int, axes: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Points of a plane as codes of `size` numbers, the others 0: (N, 2) -> (N, size)."""
    codes = np.zeros((len(points), size), np.float32)
    if size == 1:
        codes[:, 0] = points[:, 0]
    else:
        codes[:, axes] = points
    return codes


def traversal_codes(start: np.ndarray, dimensions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`start` with one number changed at a time: (D,) -> (len(dimensions), len(values), D)."""
    codes = np.tile(start, (len(dimensions), len(values), 1)).astype(np.float32)
    for row, dimension in enumerate(dimensions):
        codes[row, :, dimension] = values
    return codes


def path_codes(first: np.ndarray, last: np.ndarray, steps: int, how: str = "linear") -> np.ndarray:
    """Codes from one to another, both ends included: (steps, D).

    `linear` takes the straight line; `slerp` turns at constant angular speed, so that the length
    stays near that of typical N(0, I) codes (White 2016, arXiv:1609.04468).
    """
    if steps < 2:
        raise UsageError(f"A path needs at least 2 steps, but {steps} were asked for.")
    first, last = first.astype(np.float64), last.astype(np.float64)
    t = np.linspace(0, 1, steps)[:, None]
    straight = (1 - t) * first + t * last
    if how == "linear":
        return straight.astype(np.float32)
    if how != "slerp":
        raise UsageError(f"A path is linear or slerp, not {how!r}.")
    lengths = np.linalg.norm(first) * np.linalg.norm(last)
    cosine = np.clip(first @ last / max(lengths, 1e-12), -1, 1)
    angle = np.arccos(cosine)
    if np.sin(angle) < 1e-4 or lengths < 1e-12:
        return straight.astype(np.float32)
    turned = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
    return turned.astype(np.float32)
