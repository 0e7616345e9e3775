"""Networks that suit the data, put together with the parts that make a variant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TypedDict

from torch import nn

from lemari.decoders import Decoder
from lemari.latents.gaussian import StandardNormal
from lemari.likelihoods import likelihood_for
from lemari.model import Autoencoder
from lemari.networks.select import is_linear, parse, resolve, select
from lemari.terms.base import Term
from lemari.types import Schema


class Sizes(TypedDict, total=False):
    """Options of the networks, with the defaults of `assemble`."""

    latent: int | None
    network: str


class Shared(Sizes, total=False):
    """The same and those of the likelihood: what most variants leave to `assemble`."""

    likelihood: str
    sigma: float | None


def assemble(
    data: Schema,
    posterior: nn.Module,
    terms: Sequence[Term],
    *,
    prior: Callable[..., nn.Module] = StandardNormal,
    condition: nn.Module | None = None,
    corrupt: nn.Module | None = None,
    critic: Callable[..., nn.Module] | None = None,
    k: int = 1,
    latent: int | None = None,
    network: str = "auto",
    likelihood: str = "gaussian",
    sigma: float | None = None,
) -> Autoencoder:
    """An autoencoder of networks that suit the data and the posterior.

    `prior` and `critic` are functions of the shape of one code. A posterior with networks of its
    own is told that shape (`shape_to`); one whose code holds more than `latent` numbers says how
    many (`extra`). Raises UsageError for what does not fit.
    """
    heads, extra = posterior.heads, getattr(posterior, "extra", 0)
    width = getattr(condition, "width", 0)
    nets = select(data, network, latent=latent, heads=heads, condition=width, extra=extra)  # pyright: ignore[reportArgumentType]
    if hasattr(posterior, "shape_to"):
        posterior.shape_to(*nets.code)  # pyright: ignore[reportCallIssue]
    linear = is_linear(parse(resolve(network, data.kind))[0])
    return Autoencoder(
        data,
        encoder=nets.encoder,
        posterior=posterior,
        prior=prior(*nets.code),
        decoder=Decoder(nets.decoder, likelihood_for(data, likelihood, sigma, linear=linear)),
        terms=terms,
        condition=condition,
        corrupt=corrupt,
        critic=None if critic is None else critic(*nets.code),
        k=k,
    )


def options_of(variant: Callable) -> dict[str, inspect.Parameter]:
    """The options of a variant: its signature without the data.

    Where it ends in `**shared: Unpack[Shared]` (or `Sizes`), the options of that stand first.
    """
    own = dict(inspect.signature(variant).parameters)
    own.pop("data")
    every, first = inspect.signature(assemble).parameters, {}
    for name, parameter in list(own.items()):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kept = Shared if "Shared" in str(own.pop(name).annotation) else Sizes
            first = {key: every[key] for key in kept.__annotations__}
    return first | own
