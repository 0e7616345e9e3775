"""Noise and other damage of a random strength."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite

import torch
from torch import Tensor, nn

from lemari import degrade
from lemari.errors import UsageError
from lemari.types import Batch, View

Degrade = Callable[[Tensor, Tensor], Tensor]
# kind: (function, name of its level, smallest, largest)
KINDS: dict[str, tuple[Degrade, str, float, float]] = {
    "gaussian": (degrade.gaussian, "standard deviation", 0, inf),
    "poisson": (degrade.poisson, "peak number of photons", 1e-6, inf),
    "salt-pepper": (degrade.salt_pepper, "share of pixels", 0, 1),
    "speckle": (degrade.speckle, "standard deviation", 0, inf),
    "jpeg": (degrade.jpeg, "quality", 1, 100),
    "blur": (degrade.blur, "spread in pixels", 0, 100),
}
PLANES = ("gaussian", "speckle")


def noise_range(text: str) -> tuple[float, float | None]:
    """Read a level of noise, or a range of them; UsageError for anything else.

    >>> noise_range("0.3"), noise_range("0:0.2")
    ((0.3, None), (0.0, 0.2))
    """
    try:
        levels = [float(part) for part in str(text).split(":")]
    except ValueError:
        levels = []
    fine = all(isfinite(v) and v >= 0 for v in levels) and levels == sorted(levels)
    if not fine or len(levels) not in (1, 2):
        raise UsageError(
            f"'{text}' is no level of noise; give a number such as 0.3, or a range such as 0:0.2."
        )
    return levels[0], (levels[1] if len(levels) == 2 else None)


class Noise(nn.Module):
    """Noise of a level drawn for each picture from [low, high]; always `low` without `high`.

    The level is the standard deviation of gaussian and speckle noise and of a blur in pixels, the
    peak photon count of poisson, the share of pixels of salt-pepper, the quality of jpeg. `mean`
    shifts gaussian noise; `clip` limits the result to [0, 1]. With `plane` the encoder also gets
    a plane that holds the level (gaussian and speckle; Zhang et al. 2018, FFDNet).
    """

    def __init__(
        self,
        kind: str = "gaussian",
        low: float = 0.1,
        high: float | None = None,
        mean: float = 0.0,
        clip: bool = False,
        plane: bool = False,
    ) -> None:
        super().__init__()
        self.kind, self.low, self.high = kind, low, high
        self.mean, self.clip, self.planes = mean, clip, int(plane)
        self._check()

    def _check(self) -> None:
        """A UsageError for options that do not fit together."""
        if self.kind not in KINDS:
            raise UsageError(f"There is no noise '{self.kind}'; choose one of {', '.join(KINDS)}.")
        _, name, least, most = KINDS[self.kind]
        top = self.low if self.high is None else self.high
        whole = self.kind != "jpeg" or (self.low == int(self.low) and top == int(top))
        if not (least <= self.low <= top <= most and isfinite(top) and whole):
            number = "whole number" if self.kind == "jpeg" else "number"
            upper = f"to {most:g}" if isfinite(most) else "up"
            raise UsageError(
                f"The level of {self.kind} noise is its {name}, a {number} from {least:g} {upper}, "
                f"or a rising range of them; {self.low:g} to {top:g} is not."
            )
        if self.planes and self.kind not in PLANES:
            raise UsageError(
                f"A plane with the level is for gaussian and speckle noise, not for {self.kind}; "
                "leave it out."
            )
        if self.kind != "gaussian" and self.mean:
            raise UsageError(f"Only gaussian noise has a mean; leave it out for {self.kind}.")

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of `view.x`: that of the data, with a channel more for the plane."""
        return (shape[0] + self.planes, *shape[1:])

    def levels(self, x: Tensor) -> Tensor:
        """One level (B,) for each picture of x."""
        if self.high is None:
            return torch.full((len(x),), self.low, dtype=x.dtype, device=x.device)
        if self.kind == "jpeg":
            drawn = torch.randint(int(self.low), int(self.high) + 1, (len(x),), device=x.device)
            return drawn.to(x.dtype)
        u = torch.rand(len(x), dtype=x.dtype, device=x.device)
        return self.low + (self.high - self.low) * u

    def forward(self, batch: Batch) -> View:
        if batch.given is not None:
            return self.given(batch.given)
        level = self.levels(batch.x)
        x = KINDS[self.kind][0](batch.x, level)
        if self.mean:
            x = x + self.mean
        return self.given(x.clamp(0, 1) if self.clip else x, level)

    def given(self, x: Tensor, level: Tensor | None = None, seen: Tensor | None = None) -> View:
        """The view of noisy pictures x (B, C, H, W) whose level (B,) is known.

        UsageError when a plane is needed, no level is given, and the level is not a fixed one.
        """
        if not self.planes:
            return View(x, seen)
        if level is None and self.high is not None:
            raise UsageError(
                "This model needs the noise level of each picture; give it, or have it estimated."
            )
        level = self.levels(x) if level is None else level.to(x)
        plane = level.view(-1, 1, 1, 1).expand(len(x), 1, *x.shape[2:])
        return View(torch.cat((x, plane), 1), seen)
