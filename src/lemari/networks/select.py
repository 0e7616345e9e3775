"""From a name to networks: `auto`, a registered name, or a name with widths (`mlp:300-300`)."""

from __future__ import annotations

import torch

from lemari.errors import UsageError
from lemari.networks.layers import Nets
from lemari.registry import NETWORKS
from lemari.types import Schema


def parse(network: str) -> tuple[str, tuple[int, ...]]:
    """Name and widths.

    >>> parse("mlp:300-200"), parse("auto")
    (('mlp', (300, 200)), ('auto', ()))
    """
    name, _, rest = network.partition(":")
    try:
        widths = tuple(int(part) for part in rest.split("-")) if rest else ()
    except ValueError:
        widths = (0,)
    if any(not 1 <= width <= 65536 for width in widths):
        raise UsageError(
            f"Network {network!r}: widths are whole numbers joined by dashes, as in mlp:300-200."
        )
    return name, widths


def resolve(network: str, kind: str) -> str:
    """`auto` becomes the network that suits the kind of data; others stay as they are."""
    return {"image": "residual"}.get(kind, "mlp") if network == "auto" else network


def is_published(name: str) -> bool:
    """Whether the network must be trained as its source has it: first weights, constant rate."""
    return getattr(NETWORKS[name], "published", False)


def is_linear(name: str) -> bool:
    """Whether the network gives pixel values itself, so that no sigmoid follows it."""
    return getattr(NETWORKS[name], "linear", False)


def fits(network: str, kind: str, height: int, width: int) -> tuple[int, int]:
    """The picture size, equal or a little larger, for which the network's arithmetic closes."""
    rule = getattr(NETWORKS[parse(resolve(network, kind))[0]], "fits", None)
    return rule(height, width) if rule else (height, width)


def select(
    data: Schema,
    network: str,
    *,
    latent: int | None,
    heads: int,
    condition: int = 0,
    **further: int,
) -> Nets:
    """Build encoder and decoder for the data.

    `heads` is how many numbers the posterior needs for each number of the code; `further` goes to
    networks of whole pictures (`planes`, `scale`). Raises UsageError for an unknown name, for
    data that the network cannot take, and for a code below 1.
    """
    name, widths = parse(resolve(network, data.kind))
    build = NETWORKS[name]
    if latent is None and not getattr(build, "own_latent", False):
        latent = 16 if data.kind == "image" else max(1, min(8, data.size // 2))
    if latent is not None and not 1 <= latent <= 65536:
        raise UsageError(f"The code needs 1 to 65536 numbers, but latent is {latent}.")
    options: dict = ({"widths": widths} if widths else {}) | further
    try:
        nets = build(data, latent=latent, heads=heads, condition=condition, **options)
        nets.decoder.published = is_published(name) or is_linear(name)
        return nets
    except TypeError as fault:
        if widths and "widths" in str(fault):
            raise UsageError(f"Network {name!r} has fixed widths; leave ':...' out.") from fault
        raise


def code_shape(data: Schema, network: str, latent: int | None) -> tuple[int, ...]:
    """The shape of one code, found without making the network's weights."""
    with torch.device("meta"):
        return select(data, network, latent=latent, heads=1).code
