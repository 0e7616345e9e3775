"""The likelihood of mixed rows: Gaussian numbers, Bernoulli truths, categorical levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.laws import HALF_LOG_2PI
from lemari.mixed.format import MixedFormat

FLOOR = 0.05  # least standard deviation of a number
LARGEST = 30.0  # logits beyond are certain


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where each kind of feature lies among the F features of a row.

    `numbers` are values, times and turns of the clock, `gone` (as many) the feature that says that
    the value is missing, -1 where none does. `truths` are 0 or 1; `levels` are indicators and
    `group` (as many) counts the column that they belong to. All are int64.
    """

    numbers: Tensor
    gone: Tensor
    truths: Tensor
    levels: Tensor
    group: Tensor

    @classmethod
    def of(cls, fmt: MixedFormat) -> Places:
        """The places of a format; constants and the rarity of a level are not modelled."""
        numbers, gone, truths, levels, group = [], [], [], [], []
        for place, feature in enumerate(fmt.features):
            column = fmt.columns[feature.column]
            if feature.role == "missing":
                truths.append(place)
            elif column.kind == "constant" or feature.role == "rarity":
                continue
            elif feature.role == "level":
                levels.append(place)
                group.append(feature.column)
            elif column.base == "boolean":
                truths.append(place)
            else:
                numbers.append(place)
                end = fmt.span(feature.column).stop - 1
                gone.append(end if column.missing_share else -1)
        lists = (numbers, gone, truths, levels, np.unique(group, return_inverse=True)[1])
        return cls(*(torch.tensor(list(part), dtype=torch.int64) for part in lists))


class MixedLaw:
    """Independent laws of the features of a row, given the network's output h (K, B, F)."""

    event = 1

    def __init__(self, h: Tensor, variance: Tensor, places: Places) -> None:
        self.h, self.variance, self.places = h, variance, places

    @property
    def mean(self) -> Tensor:
        """Numbers as they are, the chance of each truth and level; (K, B, F)."""
        out, at = self.h.clone(), self.places
        out[..., at.truths] = self.h[..., at.truths].sigmoid()
        if len(at.levels):
            out[..., at.levels] = self._log_chances().exp()
        return out

    def log_prob(self, value: Tensor) -> Tensor:
        """Nats of rows (B, F), (K, B); missing numbers do not count."""
        at, there = self.places, known(value, self.places)
        error = (picked(value, at.numbers) - picked(self.h, at.numbers)).square()
        nats = -0.5 * (error / self.variance + self.variance.log()) - HALF_LOG_2PI
        found = (nats if there is None else nats * there).sum(-1)
        if len(at.truths):
            logits = picked(self.h, at.truths)
            found = found + (picked(value, at.truths) * logits - F.softplus(logits)).sum(-1)
        if len(at.levels):
            found = found + (picked(value, at.levels) * self._log_chances()).sum(-1)
        return found

    def _log_chances(self) -> Tensor:
        """The logarithm of the chance of each level of each column, (K, B, levels)."""
        at = self.places
        logits = picked(self.h, at.levels).clamp(-LARGEST, LARGEST)
        total = logits.new_zeros((*logits.shape[:-1], int(at.group[-1]) + 1))
        return logits - total.index_add(-1, at.group, logits.exp()).log()[..., at.group]


def picked(x: Tensor, places: Tensor) -> Tensor:
    """The features at these places, which ascend."""
    return x if len(places) == x.shape[-1] else x.index_select(-1, places)


def known(value: Tensor, at: Places) -> Tensor | None:
    """1 where a number is there and 0 where it is missing, (B, numbers); None when all are."""
    if not bool((at.gone >= 0).any()):
        return None
    return torch.where(at.gone >= 0, 1 - value[:, at.gone], 1.0)


class MixedLikelihood(nn.Module):
    """A law for each feature; the variance of each number is learned as a running mean."""

    variance: Tensor
    seen: Tensor

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places
        self.register_buffer("variance", torch.ones(len(places.numbers)))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, h: Tensor) -> MixedLaw:
        return MixedLaw(h, self.variance, self.places)

    @torch.no_grad()
    def observe(self, p: MixedLaw, x: Tensor, w: Tensor | None = None) -> None:
        """Take one training batch into the running variances."""
        at, there = self.places, known(x, self.places)
        error = (picked(x, at.numbers) - picked(p.h[0], at.numbers)).square()
        weight = torch.ones_like(error) if there is None else there
        self.seen += 1
        rate = max(1 / int(self.seen), 0.02)
        self.variance.lerp_((error * weight).sum(0) / weight.sum(0).clamp(min=1), rate)
        self.variance.clamp_(min=FLOOR**2)

    @property
    def sigma(self) -> float:
        """The root of the mean variance of the numbers."""
        return math.sqrt(float(self.variance.mean())) if len(self.variance) else 0.5

    def link(self, mean: Tensor) -> Tensor:
        """The network output that gives this mean row (F,)."""
        out, at = mean.clone(), self.places
        out[at.truths] = torch.logit(mean[at.truths].clamp(0.01, 0.99))
        out[at.levels] = mean[at.levels].clamp(min=0.001).log()
        return out
