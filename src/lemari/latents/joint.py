"""Numbers and a category in one code: a normal beside a relaxed one-hot vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.latents.gaussian import soft_bound
from lemari.laws import Normal, closed_form, kl_normal

SOFTNESS = 2 / 3  # of the relaxed category: Maddison et al. find this to suit most models


class Concrete:
    """A one-hot vector relaxed into the simplex: softmax of (logits + Gumbel noise) / softness.

    As `softness` goes to 0 a draw becomes one-hot, with the probabilities that the logits give.
    The density is with respect to all but one of the n coordinates.
    (Maddison, Mnih and Teh 2017, arXiv:1611.00712; Jang, Gu and Poole 2017, arXiv:1611.01144)
    """

    event = 1

    def __init__(self, logits: Tensor, softness: float = SOFTNESS) -> None:
        self.log_share, self.softness = logits.log_softmax(-1), softness

    @property
    def mean(self) -> Tensor:
        """The probabilities of the categories."""
        return self.log_share.exp()

    def rsample(self, k: int = 1) -> Tensor:
        even = torch.empty_like(self.log_share.expand(k, *self.log_share.shape)).exponential_()
        gumbel = -even.clamp(min=torch.finfo(even.dtype).tiny).log()
        return ((self.log_share + gumbel) / self.softness).softmax(-1)

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        n, t = value.shape[-1], self.softness
        log_value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
        tilted = self.log_share - t * log_value
        constant = math.lgamma(n) + (n - 1) * math.log(t)
        return constant + (tilted - log_value).sum(-1) - n * tilted.logsumexp(-1)

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A relaxed category has no density per dimension; use log_prob.")


class Joint:
    """Independent normals and one relaxed category; the category is the end of the flat code."""

    def __init__(self, normal: Normal, category: Concrete, shape: tuple[int, ...]) -> None:
        self.normal, self.category, self.shape = normal, category, shape
        self.event, self.numbers = len(shape), normal.mean.shape[-1]

    def joined(self, numbers: Tensor, category: Tensor) -> Tensor:
        return torch.cat((numbers, category), -1).unflatten(-1, self.shape)

    @property
    def mean(self) -> Tensor:
        return self.joined(self.normal.mean, self.category.mean)

    def rsample(self, k: int = 1) -> Tensor:
        return self.joined(self.normal.rsample(k), self.category.rsample(k))

    def sample(self, k: int = 1) -> Tensor:
        with torch.no_grad():
            return self.rsample(k)

    def log_prob(self, value: Tensor) -> Tensor:
        flat = value.flatten(-self.event)
        numbers, category = flat[..., : self.numbers], flat[..., self.numbers :]
        return self.normal.log_prob(numbers) + self.category.log_prob(category)

    def log_density(self, value: Tensor) -> Tensor:
        raise TypeError("A relaxed category has no density per dimension; use log_prob.")


@closed_form(Joint, Joint)
def kl_joint(q: Joint, p: Joint) -> Tensor:
    """KL of the normals, and of the categories rather than of their relaxed draws (Dupont 2018).

    Each category's share is q log(q / p) - q + p: none is negative, and they sum to the KL.
    """
    a, b = q.category.log_share, p.category.log_share
    category = a.exp() * (a - b) - a.exp() + b.exp()
    return q.joined(kl_normal(q.normal, p.normal), category)


class JointPosterior(nn.Module):
    """Mean and log sigma of the numbers and logits of `categories`, from the encoder's output."""

    heads = 2
    traits = frozenset({"density"})

    def __init__(self, categories: int) -> None:
        super().__init__()
        if categories < 2:
            raise UsageError(
                f"The code needs at least 2 categories and 1 number beside them, but categories "
                f"is {categories}; 10 are usual."
            )
        self.extra = categories  # the code holds these beside its `latent` numbers

    def forward(self, h: Tensor) -> Joint:
        first, second = h.chunk(2, 1)
        mean, log_sigma, shape = first.flatten(1), second.flatten(1), tuple(first.shape[1:])
        numbers = mean.shape[1] - self.extra
        sigma = soft_bound(log_sigma[:, :numbers], -9.0, 6.0)
        return Joint(Normal(mean[:, :numbers], sigma), Concrete(mean[:, numbers:]), shape)


class JointPrior(nn.Module):
    """N(0, I) for the numbers, and every category equally likely."""

    traits = frozenset({"density"})
    zero: Tensor

    def __init__(self, *shape: int, categories: int) -> None:
        super().__init__()
        self.shape, self.numbers = shape, math.prod(shape) - categories
        if self.numbers < 1:
            raise UsageError(
                f"The code needs at least 1 number beside its categories, but it has "
                f"{math.prod(shape)} in all and {categories} of them are categories; lower "
                "--categories."
            )
        self.categories = categories
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, c: Tensor) -> Joint:
        zero = self.zero.expand(len(c), self.numbers)
        even = Concrete(self.zero.expand(len(c), self.categories))
        return Joint(Normal(zero, zero), even, self.shape)
