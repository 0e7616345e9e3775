"""The autoencoder: parts put together, and the one data flow through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lemari.condition import Unlabelled
from lemari.corrupt import Clean
from lemari.errors import UsageError
from lemari.laws import Density, Law, widened
from lemari.terms.base import Term
from lemari.types import Batch, Schema, Trace, View


class Autoencoder(nn.Module):
    """x -> corrupt -> view -> encoder -> posterior -> q(z) -> z -> decoder -> p(x).

    Any part may be exchanged; what a variant is, is the choice of parts and terms. A `critic`
    takes no part in the data flow: only terms ask it, and only terms that name it train it. `k`
    is the number of codes drawn for each example. `mixed`
    runs the networks (never the laws or the loss) in bfloat16, which is up to twice as fast.
    """

    data: Schema
    terms: Sequence[Term]
    encoder: Any
    posterior: Any
    prior: Any
    decoder: Any
    condition: Any
    corrupt: Any
    critic: Any

    def __init__(
        self,
        data: Schema,
        *,
        encoder: nn.Module,
        posterior: nn.Module,
        prior: nn.Module,
        decoder: nn.Module,
        terms: Sequence[Term],
        condition: nn.Module | None = None,
        corrupt: nn.Module | None = None,
        critic: nn.Module | None = None,
        k: int = 1,
    ) -> None:
        super().__init__()
        self.data, self.k, self.mixed = data, k, False
        self.encoder, self.posterior, self.prior, self.decoder = encoder, posterior, prior, decoder
        self.condition = condition or Unlabelled()
        self.corrupt = corrupt or Clean()
        if critic is not None:
            self.critic = critic
        self.terms = nn.ModuleList(terms)  # pyright: ignore
        check_parts(self)

    def forward(self, batch: Batch, step: int = 0) -> Trace:
        """Record the whole data flow for one batch."""
        c = self.condition(batch)
        view = self.corrupt(batch)
        q = self.encode(view, c)
        z = q.rsample(self.k)
        return Trace(batch, view, c, q, z, self.prior(c), self.decode(z, c), step)

    def encode(self, view: View, c: Tensor) -> Law:
        """q(z | view, c), batch (B,), event Z."""
        with self.precision(view.x):
            h = self.encoder(view.x, c)
        return self.posterior(widened(h))

    def decode(self, z: Tensor, c: Tensor) -> Density:
        """p(x | z, c), batch (K, B), event S. Shapes: z (K, B, *Z), c (B, C)."""
        with self.precision(z):
            return self.decoder(z, c)

    def precision(self, x: Tensor) -> AbstractContextManager:
        return torch.autocast(x.device.type, torch.bfloat16) if self.mixed else nullcontext()

    def loss(self, t: Trace) -> dict[str, Tensor]:
        """Each term per example, unweighted, in nats: name -> (B,)."""
        return {term.name: term(t, self) for term in self.terms}

    @property
    def code(self) -> tuple[int, ...]:
        """Shape Z of one code."""
        return self.prior.shape


OFFERED = {"codes": "Codebook"}  # posteriors that have what a term may need


def check_parts(model: Autoencoder) -> None:
    """Say at once, in a sentence, which part does not fit which term."""
    has = getattr(model.posterior, "traits", frozenset())
    names = {name for name, _ in model.named_children()}
    for term in model.terms:
        if not term.needs <= has:
            raise UsageError(
                f"{type(term).__name__} needs a posterior with "
                f"{' and '.join(sorted(term.needs - has))}, but {type(model.posterior).__name__} "
                f"has none; use {OFFERED.get(min(term.needs - has), 'DiagonalGaussian')}, or leave "
                "the term out."
            )
        if unknown := set(term.trains) - names:
            raise UsageError(
                f"{type(term).__name__} trains {sorted(unknown)}, but the model has only "
                f"{sorted(names)}."
            )


def likelihood_of(model: Autoencoder) -> Any:
    """The likelihood at the end of the decoder."""
    return model.decoder.likelihood


def effective_beta(model: Autoencoder) -> float | None:
    """The KL weight relative to a Gaussian likelihood of unit variance; None without these two.

    Dividing the loss by 1 / sigma^2 shows it: SSE / (2 sigma^2) + beta KL is as good as
    SSE / 2 + beta sigma^2 KL. With a learned sigma it is the value at the present sigma; a
    Bernoulli likelihood counts with the variance 1/4 that its curvature has at p = 1/2.
    """
    weights = {term.name: term.weight(10**9) for term in model.terms}
    rate = rate_weight(weights)
    if rate is None or not weights.get("recon"):
        return None
    return rate / weights["recon"] * likelihood_of(model).sigma ** 2


def rate_weight(weights: Mapping[str, float]) -> float | None:
    """The weight of the KL, or the largest of a KL in parts (`kl_numbers`); None without one."""
    found = [w for name, w in weights.items() if name == "kl" or name.startswith("kl_")]
    return max(found) if found else None
