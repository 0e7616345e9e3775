"""A fitted detector: experts whose scores are made comparable and added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lemari.detect.denoising import Denoiser, as_tensor
from lemari.detect.nearest import DistantRows, NearestRows
from lemari.detect.suspicion import Bag, Linear
from lemari.detect.tails import TailLaw
from lemari.detect.views import Ranks, standard

SAMPLE = 512  # trusted rows that distances are taken to when training rows may be anomalous
BLOCK = 32_768


@dataclass(eq=False)
class DetectorModel:
    """Rows (N, F) -> one score each, higher for more anomalous; the same at each call.

    `rows` (R, F) are stored training rows (none with memory=False). For training rows known to be
    normal the experts are distances to stored rows, as they are and by ranks, and the denoising
    networks; otherwise the distance to a sample of the trusted rows, or without stored rows a bag
    of tiny autoencoders and a linear denoiser, beside the networks.
    """

    features: int
    normal_only: bool
    rows: np.ndarray
    denoisers: list[Denoiser]
    scale: tuple[np.ndarray, np.ndarray] | None = None
    bag: Bag | None = None
    linear: Linear | None = None
    laws: tuple[TailLaw, ...] = ()

    def __post_init__(self) -> None:
        self.near = self.near_ranks = self.ranks = self.distant = None
        if not len(self.rows):
            return
        if self.normal_only:
            self.ranks = Ranks(self.rows)
            self.near = NearestRows(standard(self.rows))
            self.near_ranks = NearestRows(self.ranks(self.rows))
        elif self.scale:
            self.distant = DistantRows(self.rows[:SAMPLE], *self.scale)

    def experts(self, x: np.ndarray, member: int | None = None) -> np.ndarray:
        """Raw scores (N, E) of each expert; of the denoisers the mean, or one `member`."""
        if self.distant:
            return self.distant(x)[:, None]
        found = []
        if self.near and self.near_ranks and self.ranks:
            found += [self.near(standard(x)), self.near_ranks(self.ranks(x))]
        if self.bag and self.linear:
            found += [self.bag(x)[:, None], self.linear(x)[:, None]]
        nets = self.denoisers if member is None else [self.denoisers[member]]
        shown = as_tensor(standard(x))
        found.append(torch.stack([net(shown) for net in nets]).mean(0).double().numpy()[:, None])
        return np.concatenate(found, 1)

    def score(self, x: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,) float64."""
        parts = [self.joined(self.experts(x[i : i + BLOCK])) for i in range(0, len(x), BLOCK)]
        return np.concatenate(parts) if parts else np.empty(0)

    def joined(self, raw: np.ndarray) -> np.ndarray:
        """The sum over experts of log(1 - log p), p the tail probability of each: (N, E) -> (N,).

        The second logarithm keeps a single expert from deciding alone.
        """
        columns = zip(self.laws, raw.T, strict=True)
        return np.sum([np.log1p(law(column)) for law, column in columns], axis=0)
