"""Anomalies in pictures: unlike every stored normal picture, or unlikely from place to place.

Two experts look at the same features (see gradients.py): the distance to the nearest stored
pictures, and a Gaussian of all features together (Mahalanobis). Both are sums over places, which
gives the heat map. Nothing is trained by steps: a fit is one pass and one matrix inverse.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lemari.detect.gradients import Cells
from lemari.detect.tails import TailLaw
from lemari.errors import DataError, ModelFileError

MOST_STORED = 8_000  # pictures that are kept for distances
MOST_FITTED = 50_000
NEIGHBOURS = 5
RIDGE = 0.01  # of the mean variance of a feature
TRUSTED = 0.8
MOST_RANKED = 5_000
BLOCK = 1024
Progress = Callable[[str, float], None]


class Nearest:
    """The features (R, F) of stored pictures, and how far each is from its own neighbours (R,)."""

    def __init__(self, rows: Tensor, own: Tensor | None = None) -> None:
        self.rows, self.sizes = rows, rows.square().sum(1)
        self.own = torch.ones(len(rows)) if own is None else own
        if own is None:
            blocks = rows.split(BLOCK)
            self.own = torch.cat([self.find(part)[0].mean(1) for part in blocks])
        self.least = 1e-3 * float(self.own.mean()) + 1e-9

    def find(self, x: Tensor, k: int = NEIGHBOURS) -> tuple[Tensor, Tensor]:
        """Distances and places (N, k) of the nearest; one stored copy of itself is passed over."""
        k = max(1, min(k, len(self.rows) - 1))
        wanted = min(k + 1, len(self.rows))
        rough = self.sizes - 2 * x @ self.rows.T
        index = rough.topk(wanted, largest=False).indices
        far = torch.stack([(x - self.rows[column]).norm(dim=1) for column in index.T], 1)
        far, order = far.sort(dim=1, stable=True)
        index = index.gather(1, order)
        if wanted == 1:
            return far, index
        itself = far[:, :1] <= 1e-5 * (1 + x.abs().amax(1, keepdim=True))
        return (
            torch.where(itself, far[:, 1:], far[:, :-1]),
            torch.where(itself, index[:, 1:], index[:, :-1]),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Mean distance to the nearest five, over the root of theirs to their own: (N,)."""
        far, index = self.find(x)
        return far.mean(1) / (self.own[index].mean(1) + self.least).sqrt()

    def parts(self, x: Tensor) -> Tensor:
        """Mean squared difference from the nearest five, in each feature: (N, F)."""
        index = self.find(x)[1]
        return sum((x - self.rows[column]).square() for column in index.T) / index.shape[1]  # pyright: ignore


class Gaussian:
    """Mean (F,) and a root (F, F) of the precision of features; some weight on the diagonal."""

    def __init__(self, mean: Tensor, root: Tensor) -> None:
        self.mean, self.root = mean, root

    @classmethod
    def learn(cls, count: int, total: Tensor, products: Tensor) -> Gaussian:
        """From float64 sums over `count` rows: of x (F,) and of x^T x (F, F)."""
        mean = total / count
        covariance = products / count - mean[:, None] * mean
        ridge = RIDGE * covariance.diagonal().mean().clamp_min(1e-6)
        covariance.diagonal().add_(ridge)
        root = torch.linalg.cholesky(torch.linalg.inv(covariance))
        return cls(mean.float(), root.float())

    def __call__(self, x: Tensor) -> Tensor:
        """Mahalanobis distance: (N, F) -> (N,)."""
        return ((x - self.mean) @ self.root).norm(dim=1)

    def parts(self, x: Tensor) -> Tensor:
        """Squared distance, in standard deviations, from what all other features predict."""
        pull = (x - self.mean) @ self.root @ self.root.T
        return pull.square() / self.root.square().sum(1)


class PictureDetector:
    """Pictures (N, C, H, W) -> one score each, higher for more anomalous; the same at each call."""

    def __init__(
        self,
        cells: Cells,
        nearest: Nearest,
        gaussian: Gaussian,
        laws: tuple[TailLaw, TailLaw],
        usual: np.ndarray,
    ) -> None:
        self.cells, self.nearest, self.gaussian = cells, nearest, gaussian
        self.laws, self.usual = laws, usual

    @classmethod
    def learn(
        cls,
        x: np.ndarray,
        normal_only: bool = True,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> tuple[PictureDetector, np.ndarray]:
        """(detector, scores of training pictures as if they were new) from pictures (N, C, H, W).

        With `normal_only` all pictures are taken as normal; otherwise the fifth that is most
        suspicious is left out of the fit, and scored with the rest. The scores are in the order of
        a draw; a picture that is neither stored nor left out has none. Raises DataError for
        pictures that are not finite, and for fewer than two different ones.
        """
        say = progress or (lambda what, done: None)
        x = as_pictures(x)
        if len(x) < 2 or not (x != x[0]).any():
            raise DataError(
                "A picture detector needs at least two different pictures; give it more of them."
            )
        order = np.random.default_rng(seed).permutation(len(x))[:MOST_FITTED]
        say("describing pictures", 0.0)
        cells, found = Cells.learn(x[order])
        features = _rounded(found)
        kept = torch.arange(len(features))
        if not normal_only:
            say("ranking pictures by suspicion", 0.2)
            kept = _trusted(features)
        return cls._fit(cells, features, kept, say)

    @classmethod
    def _fit(
        cls, cells: Cells, features: Tensor, kept: Tensor, say: Progress
    ) -> tuple[PictureDetector, np.ndarray]:
        say("measuring distances", 0.4)
        nearest = Nearest(features[kept[:MOST_STORED]])
        say("fitting the Gaussian", 0.7)
        gaussian, unlikely = _fitted(features, kept)
        say("calibrating", 0.9)
        shown = torch.ones(len(features), dtype=torch.bool)
        shown[kept[MOST_STORED:]] = False
        raw = torch.stack([_by_blocks(nearest, features[shown]), unlikely[shown]], 1).numpy()
        some = features[kept[:BLOCK]]
        found = [nearest.parts(some), gaussian.parts(some)]
        usual = np.array([max(float(part.mean()), 1e-9) for part in found])
        inside = raw[torch.isin(torch.arange(len(features))[shown], kept).numpy()]
        laws = TailLaw.learn(inside[:, 0]), TailLaw.learn(inside[:, 1])
        made = cls(cells, nearest, gaussian, laws, usual)
        return made, made._joined(raw)

    def score(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N,) float64."""
        parts = [self._joined(self._experts(part)) for part in self._features(x)]
        return np.concatenate(parts) if parts else np.empty(0)

    def heat(self, x: np.ndarray) -> np.ndarray:
        """Where pictures (N, C, H, W) are unusual: (N, H, W), at least 0, about 2 where usual."""
        maps = [np.empty((0, *self.cells.shape[1:]), np.float32)]
        for part in self._features(x):
            near, alone = self.nearest.parts(part), self.gaussian.parts(part)
            both = near / float(self.usual[0]) + alone / float(self.usual[1])
            maps.append(self.cells.spread((both / self.cells.kinds).numpy()))
        return np.concatenate(maps)

    def _features(self, x: np.ndarray):
        x = as_pictures(x)
        if x.shape[1:] != self.cells.shape:
            raise DataError(
                f"The pictures have shape {x.shape[1:]} (colours, height, width), and the detector "
                f"was fitted to {self.cells.shape}; resize or convert them."
            )
        for i in range(0, len(x), BLOCK):
            yield _rounded(self.cells(x[i : i + BLOCK]))

    def _experts(self, features: Tensor) -> np.ndarray:
        return torch.stack([self.nearest(features), self.gaussian(features)], 1).numpy()

    def _joined(self, raw: np.ndarray) -> np.ndarray:
        """Sum over experts of log(1 - log p), p the tail probability of each: (N, 2) -> (N,)."""
        columns = zip(self.laws, raw.astype(np.float64).T, strict=True)
        return np.sum([np.log1p(law(column)) for law, column in columns], axis=0)

    @property
    def config(self) -> dict:
        """What `from_tensors` needs beside the tensors; JSON."""
        return {"shape": list(self.cells.shape)}

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything that was learned, as arrays for safe storage."""
        return {
            "units": self.cells.units,
            "rows": self.nearest.rows.half().numpy(),
            "own": self.nearest.own.numpy(),
            "mean": self.gaussian.mean.numpy(),
            "root": self.gaussian.root.numpy(),
            "knots": np.stack([law.knots for law in self.laws]),
            "levels": np.stack([law.levels for law in self.laws]),
            "slopes": np.array([law.slope for law in self.laws]),
            "usual": self.usual,
        }

    @classmethod
    def from_tensors(cls, config: dict, tensors: dict[str, np.ndarray]) -> PictureDetector:
        """The detector that `config` and `tensors` came from. Raises ModelFileError if they lack
        something or do not fit each other."""
        try:
            colours, height, width = (int(side) for side in config["shape"])
            cells = Cells((colours, height, width), tensors["units"])
            t = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
            count, wide, knots = len(t["rows"]), cells.features, t["knots"].shape[1]
            wanted = {"units": (3,), "rows": (count, wide), "own": (count,), "mean": (wide,)}
            wanted |= {"root": (wide, wide), "slopes": (2,), "usual": (2,)}
            wanted |= {"knots": (2, knots), "levels": (2, knots)}
            if not count or any(t[name].shape != shape for name, shape in wanted.items()):
                raise ValueError("sizes differ")
        except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as fault:
            raise ModelFileError(
                "The stored picture detector is incomplete or its parts do not fit; train it again."
            ) from fault
        triples = zip(tensors["knots"], tensors["levels"], tensors["slopes"], strict=True)
        first, second = (TailLaw(a, b, float(c)) for a, b, c in triples)
        nearest, gaussian = Nearest(t["rows"].float(), t["own"]), Gaussian(t["mean"], t["root"])
        return cls(cells, nearest, gaussian, (first, second), tensors["usual"])


def as_pictures(x: np.ndarray) -> np.ndarray:
    """Pictures (N, C, H, W) or (N, H, W), bytes or numbers in [0, 1] -> (N, C, H, W).

    Raises DataError for another number of axes, empty sides and values that are not finite.
    """
    x = np.asarray(x)
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise DataError(
            f"Pictures must come as (N, colours, height, width), not {x.shape}; reshape them."
        )
    if x.dtype != np.uint8 and not np.isfinite(x).all():
        raise DataError("Some pixels are not finite numbers; replace or leave out those pictures.")
    return x


def _rounded(features: np.ndarray) -> Tensor:
    """As they are stored, in half precision, so that a copy of a stored picture is known as one."""
    return torch.from_numpy(features).half().float()


def _by_blocks(expert: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([expert(part) for part in x.split(BLOCK)])


def _trusted(features: Tensor) -> Tensor:
    """Places of the most normal four fifths, by the distance to the k-th nearest of a sample.

    k is a fortieth of the sample, so that a small group of anomalies cannot hide together.
    """
    finder = Nearest(features[:MOST_RANKED], torch.ones(1))
    k = max(3, round(len(finder.rows) / 40))
    far = _by_blocks(lambda part: finder.find(part, k)[0][:, -1], features)
    return torch.nonzero(far <= far.quantile(TRUSTED))[:, 0]


def _fitted(features: Tensor, kept: Tensor) -> tuple[Gaussian, Tensor]:
    """A Gaussian of the kept rows, and the distances (N,) of all rows from one made without them.

    Leaving out one of n rows that lies at squared distance m from the mean of all makes it
    c m / (1 - c m / n), c = n / (n - 1), by the formula of Sherman and Morrison.
    """
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    products = torch.zeros(len(total), len(total), dtype=torch.float64)
    for places in kept.split(BLOCK):
        part = features[places].double()
        total += part.sum(0)
        products += part.T @ part
    made = Gaussian.learn(len(kept), total, products)
    exact = Gaussian(made.mean.double(), made.root.double())
    found = _by_blocks(lambda part: exact(part.double()), features)
    c = len(kept) / (len(kept) - 1)
    inside = c * found[kept].square()
    found[kept] = (inside / (1 - inside / len(kept)).clamp_min(1e-6)).sqrt()
    return made, found.float()
