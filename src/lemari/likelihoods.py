"""Likelihoods: from the decoder network's output to a law of the data, p(x | z).

All are densities or masses of the values as the model sees them (pictures between 0 and 1,
tables in standard deviations), summed over the values of one example, in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.laws import Bernoulli, Isotropic, Law, Normal, Student, total
from lemari.types import Schema


class Limit(torch.autograd.Function):
    """Values cut to [0, 1]; a slope passes where it would bring a value back, and not further out.

    Left to itself a cut has no slope outside, so that a pixel that is wrongly black stays black.
    """

    @staticmethod
    def forward(ctx, h: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.save_for_backward(h)
        return h.clamp(0, 1)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (h,) = ctx.saved_tensors
        return slope.masked_fill(((h < 0) & (slope > 0)) | ((h > 1) & (slope < 0)), 0)


class GaussianLikelihood(nn.Module):
    """N(mean, sigma^2 I) with one sigma for all values, fixed or learned.

    A learned sigma is the one that maximises the likelihood given the decoder: the square root
    of the mean squared error (Rybkin et al. 2021, arXiv:2006.13202). It is followed by a running
    mean over training batches, so it needs no learning rate, has no gradient, and stays put
    when the model is used. It weighs reconstruction against KL with no beta to tune.

    The mean is the sigmoid of what the network gives (`squash`), that itself, or, with `limit`,
    that cut to [0, 1], so that black and white pixels cost a network of pixel values nothing.
    """

    variance: Tensor
    seen: Tensor
    floor = 1e-3  # a quarter of an 8-bit step: sigma cannot vanish on constant data

    limit = False

    def __init__(self, event: int, *, sigma: float | None = None, squash: bool = True) -> None:
        super().__init__()
        if sigma is not None and not sigma > 0:
            raise UsageError(f"sigma must be above 0, but is {sigma}.")
        self.event, self.squash, self.learned = event, squash, sigma is None
        self.register_buffer("variance", torch.tensor(1.0 if sigma is None else sigma**2))
        self.fixed = 1.0 if sigma is None else sigma**2
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, h: Tensor) -> Isotropic:
        variance = self.variance if self.learned else self.fixed
        return Isotropic(self.mean(h), variance, self.event)

    def mean(self, h: Tensor) -> Tensor:
        """The mean that the network's output stands for."""
        if self.squash:
            return h.sigmoid()
        return Limit.apply(h) if self.limit else h  # pyright: ignore[reportReturnType]

    @torch.no_grad()
    def observe(self, p: Isotropic, x: Tensor, w: Tensor | None = None) -> None:
        """Take one training batch into the running variance."""
        if not self.learned:
            return
        error = (x - p.mean).square()
        error = error.mean() if w is None else (error * w).sum() / (w.sum() * len(p.mean)).clamp(1)
        self.seen += 1
        self.variance.lerp_(error, torch.clamp(1 / self.seen, min=0.02).to(error.dtype))
        self.variance.clamp_(min=self.floor**2)

    @property
    def sigma(self) -> float:
        """The present standard deviation, in units of the model's values."""
        return math.sqrt(float(self.variance))

    def link(self, mean: Tensor) -> Tensor:
        """The network output that gives this mean."""
        return bounded_logit(mean) if self.squash else mean

    def floor_nats(self, x: Tensor) -> Tensor | None:
        """No finite bound is known: a density has no largest value."""
        return None


class PerValueLikelihood(GaussianLikelihood):
    """N(mean, diag(sigma^2)) with a learned sigma for each pixel or column.

    Where data is always the same its sigma is small, and an error costs much; where it is noise,
    sigma is large, and little is spent on it. Each is followed by a running mean of its own
    squared error, as the shared sigma of the base class is.
    """

    floor = 1e-2  # a pixel or column that never changes must not outweigh all others

    def __init__(self, shape: tuple[int, ...], *, squash: bool = True) -> None:
        super().__init__(len(shape), squash=squash)
        self.register_buffer("variance", torch.ones(shape))

    def forward(self, h: Tensor) -> Normal:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Normal(self.mean(h), 0.5 * self.variance.log(), self.event)

    @torch.no_grad()
    def observe(self, p: Normal, x: Tensor, w: Tensor | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one training batch into the running variances."""
        error, seen = (x - p.mean).square().mean(0), torch.ones_like(x) if w is None else w
        count = seen.sum(0)
        error = torch.where(count > 0, (error * seen).sum(0) / count.clamp(min=1), self.variance)
        self.seen += 1
        self.variance.lerp_(error, torch.clamp(1 / self.seen, min=0.02).to(error.dtype))
        self.variance.clamp_(min=self.floor**2)

    @property
    def sigma(self) -> float:
        """The root of the mean variance, in units of the model's values."""
        return math.sqrt(float(self.variance.mean()))


class StudentLikelihood(GaussianLikelihood):
    """A sigma of its own for each example, unknown and integrated out: a multivariate t.

    An error counts by its share of all errors of the example, so what is made smallest is the mean
    logarithm of the squared error: minus the mean PSNR, not the PSNR of the mean. The scale is
    followed by steps of expectation-maximisation, one a training batch (Liu and Rubin 1995).
    """

    def __init__(self, event: int, *, squash: bool = True) -> None:
        super().__init__(event, squash=squash)

    def forward(self, h: Tensor) -> Student:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Student(self.mean(h), self.variance.sqrt(), self.event)

    @torch.no_grad()
    def observe(self, p: Student, x: Tensor, w: Tensor | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take one training batch into the running scale."""
        error, n = total((x - p.mean).square(), self.event), p.freedom
        size = x[0].numel()
        if self.seen:
            weight = (n + size) / (n * self.variance + error)
            error = error * weight * self.variance
        self.seen += 1
        self.variance.lerp_(error.mean() / size, torch.clamp(1 / self.seen, min=0.02).to(error))
        self.variance.clamp_(min=self.floor**2)


class BernoulliLikelihood(nn.Module):
    """Independent Bernoulli pixels, for values between 0 and 1.

    On grey pixels the smallest possible loss is not 0 but the entropy of the pixels themselves:
    `floor_nats` says how much of a loss no model can remove.
    """

    sigma = 0.5  # near p = 1/2 the cross-entropy curves like a Gaussian of variance p(1-p) = 1/4
    learned = False

    def __init__(self, event: int) -> None:
        super().__init__()
        self.event = event

    def forward(self, h: Tensor) -> Bernoulli:
        return Bernoulli(h, self.event)

    def observe(self, p: Law, x: Tensor, w: Tensor | None = None) -> None:
        """Nothing to learn."""

    def link(self, mean: Tensor) -> Tensor:
        """The network output that gives this mean."""
        return bounded_logit(mean)

    def floor_nats(self, x: Tensor) -> Tensor:
        """Entropy of the values, summed over each example: shape (B,), nats."""
        entropy = torch.special.entr(x) + torch.special.entr(1 - x)
        return entropy.flatten(1).sum(1)


def bounded_logit(mean: Tensor) -> Tensor:
    """Inverse of the sigmoid, kept within the range in which a sigmoid still has a slope."""
    return torch.logit(mean.clamp(0.02, 0.98))


LIKELIHOODS = ("gaussian", "per-value", "student", "mse", "bernoulli")


def likelihood_for(
    data: Schema,
    name: str = "gaussian",
    sigma: float | None = None,
    *,
    linear: bool = False,
    limit: bool = False,
) -> nn.Module:
    """`gaussian` (learned sigma unless given), per-value, student, mse (sigma 1) or bernoulli.

    `linear` says that the network gives the mean itself; a sigmoid makes it for other pictures.
    With `limit` such a mean is cut to [0, 1].
    """
    event, squash = len(data.shape), data.kind == "image" and not linear
    if name == "bernoulli" and linear:
        raise UsageError("A Bernoulli likelihood does not suit this network; use mse or gaussian.")
    if name == "bernoulli":
        if sigma is not None:
            raise UsageError("A Bernoulli likelihood has no sigma; leave it out, or use gaussian.")
        if not squash:
            raise UsageError(
                "A Bernoulli likelihood needs values between 0 and 1, as pictures have; "
                "use gaussian for tables."
            )
        return BernoulliLikelihood(event)
    if name not in LIKELIHOODS:
        raise UsageError(f"There is no likelihood {name!r}. Known: {', '.join(LIKELIHOODS)}.")
    if name == "mse" and sigma is not None:
        raise UsageError("The mse likelihood has sigma 1; leave sigma out, or use gaussian.")
    if name in ("per-value", "student") and sigma is not None:
        raise UsageError(f"The {name} likelihood learns its sigmas; leave sigma out.")
    if name == "student" and data.kind != "image":  # missing values need a density per value
        raise UsageError("The student likelihood is for pictures; use gaussian or per-value.")
    if name == "per-value":
        law = PerValueLikelihood(data.shape, squash=squash)
    elif name == "student":
        law = StudentLikelihood(event, squash=squash)
    else:
        law = GaussianLikelihood(event, sigma=1.0 if name == "mse" else sigma, squash=squash)
    law.limit = limit
    return law
