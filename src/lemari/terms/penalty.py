"""Terms on the code and on the maps to and from it, for codes without a law of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import UsageError
from lemari.schedule import Schedule
from lemari.terms.base import Term
from lemari.types import Trace, View


class Sparsity(Term):
    """Few numbers of a code are large.

    `l1` is the sum of |z|; `kl` is the divergence, summed over the numbers of a code, of a coin
    that falls on 1 at `rate` from one with the mean of that number over the batch. It needs codes
    between 0 and 1. (Ng 2011, lecture notes on sparse autoencoders)
    """

    name = "sparsity"

    def __init__(
        self, weight: float | Schedule = 1.0, kind: str = "l1", rate: float = 0.05
    ) -> None:
        super().__init__(weight)
        if kind not in ("l1", "kl"):
            raise UsageError(f"There is no sparsity {kind!r}; choose l1 or kl.")
        if not 0 < rate < 1:
            raise UsageError(f"The rate of active numbers is between 0 and 1, not {rate:g}.")
        self.kind, self.rate = kind, rate

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        z = t.z.flatten(2)
        if self.kind == "l1":
            return z.abs().sum(-1).mean(0)
        mean = z.mean((0, 1)).clamp(1e-6, 1 - 1e-6)
        off = self.rate * (self.rate / mean).log()
        on = (1 - self.rate) * ((1 - self.rate) / (1 - mean)).log()
        return (off + on).sum().expand(z.shape[1])


class CodeNorm(Term):
    """Half the squared length of the code: keeps codes together around 0."""

    name = "norm"

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        return 0.5 * t.z.square().flatten(2).sum(-1).mean(0)


class Decay(Term):
    """Half the sum of the decoder's squared weights (biases left out), the same for each example.

    Without it a penalty on the size of codes is met by shrinking them and enlarging the decoder.
    """

    name = "decay"

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        squares = [p.square().sum() for p in model.decoder.parameters() if p.dim() > 1]  # pyright: ignore
        return 0.5 * torch.stack(squares).sum().expand(t.z.shape[1])


def squared_slope(y: Tensor, x: Tensor, draws: int = 1) -> Tensor:
    """Unbiased estimate of each example's squared Frobenius norm of dy/dx: (B,).

    ||J||^2 is the mean of ||J' v||^2 over directions v of random signs (Hutchinson 1990), each of
    which costs one backward pass whatever the size of J. Shapes: y (B, ...), x (B, ...).
    """
    found = []
    for _ in range(draws):
        signs = torch.randint(0, 2, y.shape, device=y.device).to(y) * 2 - 1
        (slope,) = torch.autograd.grad(y, x, signs, create_graph=True)
        found.append(slope.square().flatten(1).sum(1))
    return torch.stack(found).mean(0)


class Contraction(Term):
    """Squared Frobenius norm of the encoder's Jacobian: how much a code moves with its example.

    Estimated from `draws` random directions; the encoder is run once more for it.
    """

    name = "contraction"

    def __init__(self, weight: float | Schedule = 1.0, draws: int = 1) -> None:
        super().__init__(weight)
        self.draws = draws

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        with torch.enable_grad():
            x = t.view.x.detach().requires_grad_()
            q = model.encode(View(x, t.view.seen), t.c)  # pyright: ignore[reportCallIssue]
            return squared_slope(q.mean, x, self.draws)


class Smoothness(Term):
    """Half the squared Frobenius norm of the decoder's Jacobian, at the codes of the batch.

    The codes are taken as they are: only the decoder is drawn to change slowly with them.
    """

    name = "smoothness"

    def __init__(self, weight: float | Schedule = 1.0, draws: int = 1) -> None:
        super().__init__(weight)
        self.draws = draws

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        with torch.enable_grad():
            z = t.z[0].detach().requires_grad_()
            p = model.decode(z.unsqueeze(0), t.c)  # pyright: ignore[reportCallIssue]
            return 0.5 * squared_slope(p.mean[0], z, self.draws)


class Covariance(Term):
    """Codes of a batch that are uncorrelated and of variance 1, in squares of the difference.

    `kind` "i" looks at the covariance of the posterior means; "ii" adds the mean of the
    posterior's own variances, which makes it that of the codes. `diagonal` weighs the variances
    against the correlations. (Kumar, Sattigeri and Balakrishnan 2018, arXiv:1711.00848)
    """

    name = "covariance"
    needs = frozenset({"gaussian"})

    def __init__(
        self, weight: float | Schedule = 1.0, kind: str = "ii", diagonal: float = 1.0
    ) -> None:
        super().__init__(weight)
        if kind not in ("i", "ii"):
            raise UsageError(f"There is no DIP-VAE {kind!r}; choose i or ii.")
        if not 0 <= diagonal < math.inf:
            raise UsageError(f"The weight of the diagonal must be 0 or more, but is {diagonal:g}.")
        self.kind, self.diagonal = kind, diagonal

    def forward(self, t: Trace, model: nn.Module) -> Tensor:
        mean = t.q.mean.flatten(1)
        off = mean - mean.mean(0)
        covariance = off.T @ off / len(mean)
        if self.kind == "ii":
            covariance = covariance + t.q.sigma.square().flatten(1).mean(0).diag()  # pyright: ignore
        variances = covariance.diagonal()
        others = (covariance - variances.diag()).square().sum()
        own = F.mse_loss(variances, torch.ones_like(variances), reduction="sum")
        return (others + self.diagonal * own).expand(len(mean))
