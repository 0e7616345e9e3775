"""Laws made by invertible maps: a prior that a flow bends, and posteriors that flows bend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import MissingExtra, UsageError
from lemari.latents.gaussian import soft_bound
from lemari.laws import HALF_LOG_2PI, Normal, closed_total, kl_normal, total

ONE = math.log(math.e - 1)  # softplus of this is 1
MOST_WEIGHTS = 200_000_000
FLOWS = ("iaf", "planar", "radial")
Map = Callable[[Tensor], tuple[Tensor, Tensor]]  # z (..., D) -> new z, log |det Jacobian| (...)


def autoregressive(size: int, transforms: int, context: int = 0) -> nn.Module:
    """zuko's masked autoregressive map of `size` numbers; `context` numbers may steer it.

    It starts as the identity. It is built on the CPU, because its masks are computed from values.
    """
    try:
        from zuko.flows import MAF
    except ImportError as fault:
        raise MissingExtra(
            'Autoregressive flows need zuko; install it with: pip install "lemari[flows]".'
        ) from fault
    hidden = max(128, 4 * size)
    weights = transforms * hidden * (3 * size + context + hidden)
    if weights > MOST_WEIGHTS:  # before they are made, even where the rest is only counted
        raise UsageError(
            f"{transforms} autoregressive maps of {size} numbers have {weights:,} weights, more "
            f"than {MOST_WEIGHTS:,}; choose a smaller --latent, or a network whose code is shorter."
        )
    with torch.device("cpu"):
        maf: Any = MAF(
            size, context, transforms=transforms, hidden_features=(hidden, hidden)
        ).transform
    for part in maf.transforms:  # a code of one number has no network, or none with masks
        last = part.hyper[-1] if hasattr(part, "hyper") else part.phi
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
    return maf


class Flowed:
    """The law of codes that `transform` takes to N(0, I), the same for each of `batch` rows.

    Its `mean` is the code that goes to 0: the centre of the law, not its expectation, which has no
    closed form.
    """

    def __init__(self, transform: Any, batch: int, shape: tuple[int, ...], like: Tensor) -> None:
        self.transform, self.batch, self.shape, self.like = transform, batch, shape, like
        self.event = len(shape)

    @property
    def mean(self) -> Tensor:
        centre = self.transform.inv(self.like.new_zeros(1, math.prod(self.shape)))
        return centre.view(self.shape).expand(self.batch, *self.shape)

    def rsample(self, k: int = 1) -> Tensor:
        noise = self.like.new_empty(k * self.batch, math.prod(self.shape)).normal_()
        return self.transform.inv(noise).view(k, self.batch, *self.shape)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        u, log_slope = self.transform.call_and_ladj(value.flatten(-self.event))
        return -0.5 * u.square().sum(-1) - u.shape[-1] * HALF_LOG_2PI + log_slope

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A flow has no density per dimension; use log_prob.")


@closed_total(Normal, Flowed)
def kl_flowed(q: Normal, p: Flowed, z: Tensor) -> Tensor:
    """KL(q || p), (B,) nats: exact from N(0, I), and from the drawn codes what p differs by.

    With less noise than log q - log p while the flow is near the identity.
    """
    standard = Normal(torch.zeros_like(q.mean), torch.zeros_like(q.mean), q.event)
    return total(kl_normal(q, standard), q.event) + (standard.log_prob(z) - p.log_prob(z)).mean(0)


class FlowPrior(nn.Module):
    """A masked autoregressive flow over codes: exact densities in one pass, draws in D passes.

    (Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057)
    """

    traits = frozenset({"density"})

    def __init__(self, *shape: int, transforms: int) -> None:
        super().__init__()
        check_transforms(transforms)
        self.shape = shape
        self.flow = autoregressive(math.prod(shape), transforms)

    def forward(self, c: Tensor) -> Flowed:
        return Flowed(self.flow(), len(c), self.shape, next(self.flow.parameters()))


def check_transforms(transforms: int) -> None:
    if transforms < 1:
        raise UsageError(f"A flow needs at least 1 transform, but transforms is {transforms}.")


class Bent:
    """The law of f(z0) with z0 from a normal `base`, known where f has been.

    `bend` gives f(z0) and log |det df/dz0|. The density is exact for the last draws and for the
    mean, f of the base's mean; TypeError for other codes, since f need not have an inverse.
    """

    def __init__(self, base: Normal, bend: Map, shape: tuple[int, ...]) -> None:
        self.base, self.bend, self.shape, self.event = base, bend, shape, len(shape)
        self.known: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def moved(self, name: str, start: Tensor) -> Tensor:
        """Move base points (K, B, D), and keep them and the log slopes there."""
        z, log_slope = self.bend(start)
        z = z.unflatten(-1, self.shape)
        self.known[name] = z, start, log_slope
        return z

    @property
    def mean(self) -> Tensor:
        if "mean" not in self.known:
            self.moved("mean", self.base.mean.unsqueeze(0))
        return self.known["mean"][0][0]

    def rsample(self, k: int = 1) -> Tensor:
        return self.moved("draw", self.base.rsample(k))

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        start, log_slope = self.origin(value)
        return self.base.log_prob(start) - log_slope

    def origin(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The base points of the last draws or of the mean, and the log slopes there."""
        for z, start, log_slope in self.known.values():
            if value is z or torch.equal(value, z):
                return start, log_slope
        raise TypeError("This posterior knows the density of its own last draws alone.")

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A flow has no density per dimension; use log_prob.")


@closed_total(Bent, Normal)
def kl_bent(q: Bent, p: Normal, z: Tensor) -> Tensor:
    """KL(q || p), (B,) nats: exact for the base, and from the drawn codes what the maps change."""
    start, log_slope = q.origin(z)
    flat = Normal(p.mean.flatten(1), p.log_sigma.flatten(1))
    change = flat.log_prob(start) - log_slope - p.log_prob(z)
    return kl_normal(q.base, flat).sum(1) + change.mean(0)


class FlowPosterior(nn.Module):
    """A diagonal normal bent by `transforms` maps that the example steers.

    The encoder gives mean, log sigma and a context. `iaf` maps are autoregressive networks that
    read the context; `planar` and `radial` maps take their few parameters from it by a linear
    layer. (Kingma et al. 2016, arXiv:1606.04934; Rezende and Mohamed 2015, arXiv:1505.05770)
    """

    heads = 3
    traits = frozenset({"density"})
    net: nn.Module

    def __init__(self, flow: str, transforms: int) -> None:
        super().__init__()
        check_transforms(transforms)
        if flow not in FLOWS:
            raise UsageError(f"flow is {', '.join(FLOWS)}, but {flow!r} was given.")
        self.flow, self.transforms = flow, transforms

    def shape_to(self, *shape: int) -> None:
        """Make the maps, once the shape of a code is known."""
        size = math.prod(shape)
        if self.flow == "iaf":
            self.net = autoregressive(size, self.transforms, context=size)
        else:
            width = 2 * size + 1 if self.flow == "planar" else size + 2
            self.net = nn.Linear(size, self.transforms * width)

    def forward(self, h: Tensor) -> Bent:
        mean, log_sigma, context = h.chunk(3, 1)
        shape, context = tuple(mean.shape[1:]), context.flatten(1)
        base = Normal(mean.flatten(1), soft_bound(log_sigma.flatten(1), -9.0, 6.0))
        if self.flow == "iaf":
            return Bent(base, self.net(context).call_and_ladj, shape)
        step = planar if self.flow == "planar" else radial
        parts = self.net(context).chunk(self.transforms, -1)

        def bend(z: Tensor) -> tuple[Tensor, Tensor]:
            whole = z.new_zeros(z.shape[:-1])
            for part in parts:
                z, log_slope = step(z, part)
                whole = whole + log_slope
            return z, whole

        return Bent(base, bend, shape)


def planar(z: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """z + u tanh(w.z + b), with u.w kept above -1, which makes it invertible.

    Shapes: z (K, B, D), part (B, 2 D + 1) holds w, u and b.
    """
    size = z.shape[-1]
    w, u, b = part.split((size, size, 1), -1)
    inner = (w * u).sum(-1, keepdim=True)
    length = w.square().sum(-1, keepdim=True).clamp(min=1e-8)
    u = u + (F.softplus(inner + ONE) - 1 - inner) * w / length
    height = torch.tanh((w * z).sum(-1, keepdim=True) + b)
    slope = (1 - height.square()).squeeze(-1) * (w * u).sum(-1)
    return z + u * height, torch.log1p(slope)


def radial(z: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """z + b (z - centre) / (a + r), r the distance to the centre; a > 0 and b > -a.

    Shapes: z (K, B, D), part (B, D + 2) holds centre, a and b before their bounds.
    """
    centre, a, b = part.split((z.shape[-1], 1, 1), -1)
    a = F.softplus(a)
    b = a * (F.softplus(b + ONE) - 1)  # above -a
    off = z - centre
    r = (off.square().sum(-1, keepdim=True) + 1e-12).sqrt()
    h = 1 / (a + r)
    across, along = 1 + b * h, 1 + b * h - b * r * h.square()
    log_slope = (z.shape[-1] - 1) * across.log() + along.log()
    return z + b * h * off, log_slope.squeeze(-1)
