"""What a picture looks like at each place, told by the directions of its edges.

At every cell of a coarse grid: how much brightness rises in each of eight directions nearby, on a
logarithmic scale, and the blurred brightness of each colour. Small shifts change little of that,
and faint texture counts as much as strong edges (after the histograms of oriented gradients of
Dalal and Triggs 2005).
"""

from __future__ import annotations

from math import ceil, cos, pi, sin

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

WORKING = 64  # longest side that is looked at, in pixels
CELLS = 12  # at most that many along the longest side
DIRECTIONS = 8
FIRST_BLUR = 0.5  # pixels
WIDTH = 2 / 3  # spread of the window of a cell, in units of the distance between cells
FAINT = 0.1  # added before the logarithm, in units of the mean rise in the training pictures
BRIGHTNESS = 0.5  # weight of the brightness against the directions
BLOCK = 2048


def blurring(side: int, sigma: float, places: Tensor) -> Tensor:
    """The matrix (places, side) of a Gaussian blur along one axis, read at some places.

    Pixels beyond the border are taken to be like the last one.
    """
    reach = ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1)
    window = torch.exp(-(steps.double() ** 2) / (2 * sigma**2))
    source = (places.long()[:, None] + steps).clamp(0, side - 1)
    matrix = torch.zeros(len(places), side, dtype=torch.float64)
    return matrix.scatter_add_(1, source, (window / window.sum()).expand(source.shape)).float()


def rises(x: Tensor) -> Tensor:
    """Rise of brightness in each of eight directions, mean over colours: (N, 8, H, W)."""
    down, right = (blurring(side, FIRST_BLUR, torch.arange(side)) for side in x.shape[2:])
    x = F.pad(down @ x @ right.T, (1, 1, 1, 1), mode="replicate")
    across = x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2]
    along = x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]
    found = x.new_empty(len(x), DIRECTIONS, *across.shape[2:])
    for i in range(DIRECTIONS):
        angle = 2 * pi * i / DIRECTIONS
        torch.mean((across * cos(angle) + along * sin(angle)).clamp_min(0), 1, out=found[:, i])
    return found


class Cells:
    """Pictures -> features of the cells, in units learned from training pictures.

    Shapes: pictures (N, C, H, W), bytes or numbers in [0, 1]; features (N, K * h * w), K = 8 + C.
    """

    def __init__(self, shape: tuple[int, int, int], units: np.ndarray | None = None) -> None:
        self.shape = shape
        colours, *sides = shape
        shrink = min(1.0, WORKING / max(sides))
        height, width = (max(1, round(side * shrink)) for side in sides)
        self.working = height, width
        self.step = ceil(max(self.working) / CELLS)
        self.grid = tuple(ceil(side / self.step) for side in self.working)
        self.kinds = DIRECTIONS + colours
        self.units = np.ones(3) if units is None else units

    @classmethod
    def learn(cls, x: np.ndarray) -> tuple[Cells, np.ndarray]:
        """The cells for pictures like x, and the features of x."""
        cells = cls((x.shape[1], x.shape[2], x.shape[3]))
        pairs = [cells._measured(part) for part in _blocks(x)]
        edges, light = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        cells.units[0] = float(edges.mean(dtype=torch.float64)) or 1.0
        cells.units[1] = _spread((edges / cells.units[0] + FAINT).log_())
        cells.units[2] = _spread(light)
        return cells, cells._scaled(edges, light).numpy()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, features) float32."""
        parts = [self._scaled(*self._measured(part)).numpy() for part in _blocks(x)]
        return np.concatenate(parts) if parts else np.empty((0, self.features), np.float32)

    @property
    def features(self) -> int:
        return self.kinds * self.grid[0] * self.grid[1]

    def _measured(self, x: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean rises (N, 8, h, w) and mean brightness (N, C, h, w) of each cell."""
        shown = torch.from_numpy(np.array(x, np.float32, order="C"))
        if x.dtype == np.uint8:
            shown /= 255
        if max(x.shape[2:]) > WORKING:
            shown = F.adaptive_avg_pool2d(shown, self.working)
        down, right = (
            blurring(side, WIDTH * self.step, self._start(side, n) + self.step * torch.arange(n))
            for side, n in self._sides()
        )
        return down @ rises(shown) @ right.T, down @ shown @ right.T

    def _scaled(self, edges: Tensor, light: Tensor) -> Tensor:
        edges = (edges / self.units[0] + FAINT).log_() / self.units[1]
        weight = BRIGHTNESS * (DIRECTIONS / light.shape[1]) ** 0.5
        return torch.cat([edges, light * (weight / self.units[2])], 1).flatten(1)

    def _start(self, side: int, cells: int) -> int:
        """The pixel of the first cell, so that the grid lies in the middle."""
        return (side - 1 - (cells - 1) * self.step) // 2

    def _sides(self):
        return zip(self.working, self.grid, strict=True)

    def spread(self, parts: np.ndarray) -> np.ndarray:
        """Sum of feature contributions (N, features) over kinds, enlarged to (N, H, W)."""
        cells = torch.from_numpy(parts).reshape(-1, self.kinds, *self.grid).sum(1)
        where = [self._places(side, n) for side, n in self._sides()]
        rows = _between(cells, where[0], 1)
        full = _between(rows, where[1], 2)
        if self.working != self.shape[1:]:
            full = F.interpolate(full[:, None], self.shape[1:], mode="bilinear")[:, 0]
        return full.numpy()

    def _places(self, side: int, cells: int) -> Tensor:
        """Position of each pixel on the grid, in cells; at most the last cell."""
        start = self._start(side, cells)
        return ((torch.arange(side) - start) / self.step).clamp(0, cells - 1)


def _between(x: Tensor, places: Tensor, axis: int) -> Tensor:
    """Linear interpolation of x along an axis, at the given places."""
    low = places.floor().long()
    high = (low + 1).clamp_max(x.shape[axis] - 1)
    share = (places - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)]).to(x.dtype)
    return x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share


def _spread(x: Tensor) -> float:
    """Root of the mean variance over pictures, 1 where nothing varies."""
    return float(x.flatten(1).double().var(0, correction=0).mean().sqrt()) or 1.0


def _blocks(x: np.ndarray) -> list[np.ndarray]:
    return [x[i : i + BLOCK] for i in range(0, len(x), BLOCK)]
