"""`lemari models`: the variants, and one of them in full."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import typer

from lemari.surfaces.cli.show import JSON, finish, table
from lemari.surfaces.cli.sourcing import numbers

if TYPE_CHECKING:
    from lemari.types import Schema

MOST_SHOWN = 1 << 22  # numbers in one example, which is run through the model


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="List the variants, or show one.", invoke_without_command=True)
    group.callback(invoke_without_command=True)(listing)
    group.command("show")(show)
    group.command("list")(plain)
    app.add_typer(group, name="models")


def listing(context: typer.Context, as_json: bool = JSON) -> None:
    """List the variants with one line each, and the networks."""
    if context.invoked_subcommand is None:
        every(as_json)


def plain(as_json: bool = JSON) -> None:
    """List the variants with one line each, and the networks."""
    every(as_json)


def every(as_json: bool) -> None:
    from lemari.errors import UsageError
    from lemari.registry import NETWORKS, VARIANTS

    def first(registry, name: str) -> str:
        """The first line of what a row says of itself; of a broken one, why it cannot be loaded."""
        try:
            return ((registry[name].__doc__ or "").strip().splitlines() or [""])[0]
        except UsageError as fault:
            return str(fault)

    variants = {name: first(VARIANTS, name) for name in VARIANTS}
    networks = {"auto": "residual for pictures, mlp for tables."}
    networks |= {name: first(NETWORKS, name) for name in NETWORKS}
    text = table(list(variants.items()), ("variant", "what it is")) + "\n\n"
    text += table(list(networks.items()), ("network", "what it is"))
    finish(as_json, {"variants": variants, "networks": networks}, text,
           "lemari models show vae --network chapter --latent 2 --shape 1,32,32")  # fmt: skip


def show(
    variant: str = typer.Argument(..., help="A variant's name."),
    network: str = typer.Option(None, help="auto, residual, mlp, mlp:300-300, chapter, ..."),
    latent: int = typer.Option(None, help="Numbers in a code."),
    shape: str = typer.Option("1,28,28", metavar="C,H,W", help="One example; D alone: a table."),
    classes: int = typer.Option(10, help="Classes, for conditional variants."),
    as_json: bool = JSON,
) -> None:
    """Options, layers with output shapes and parameter counts, and the effective beta."""
    import torch

    from lemari.layers_table import describe
    from lemari.registry import VARIANTS
    from lemari.tasks.plan import check_options, check_size, network_of, variant_options

    given = {k: v for k, v in {"network": network, "latent": latent}.items() if v is not None}
    check_options(variant, given)
    schema = schema_of(shape, classes, network_of(variant, given))
    with torch.device("meta"):
        check_size(VARIANTS[variant](schema, **given))
    about = describe(VARIANTS[variant](schema, **given))
    doc = " ".join((VARIANTS[variant].__doc__ or "").split())
    options = {k: p.default for k, p in variant_options(variant).items()}
    listed = "options: " + ", ".join(f"--{k.replace('_', '-')} ({v})" for k, v in options.items())
    text = "\n".join([f"{variant}: {doc}", "", listed, "", *described(about)])
    finish(as_json, {"variant": variant, "doc": doc, "options": options} | about, text,
           f"lemari train digits --variant {variant}")  # fmt: skip


def schema_of(shape: str, classes: int, network: str) -> Schema:
    """The data of `--shape`, at the size that `train` would give a network; or a UsageError."""
    from lemari.errors import UsageError
    from lemari.networks.select import fits
    from lemari.types import Schema

    sides = numbers(shape, "--shape") or ()
    kind = "image" if len(sides) > 1 else "table"
    sides = (1, *sides) if len(sides) == 2 else sides
    if len(sides) > 3 or math.prod(sides) > MOST_SHOWN:
        raise UsageError(
            f"--shape is C,H,W or D, of at most {MOST_SHOWN:,} numbers, not {shape!r}."
        )
    if kind == "image":
        sides = (*sides[:1], *fits(network, kind, *sides[1:]))
    return Schema(kind, sides, tuple(map(str, range(classes))))


def described(about: dict[str, Any]) -> list[str]:
    """The layers as a table, the counts of parameters and the effective beta: lines."""
    rows = [(r["name"], r["kind"], "x".join(map(str, r["output"])), r["parameters"])
            for r in about["layers"]]  # fmt: skip
    counts, beta = about["parameters"], about["effective_beta"]
    return [
        table(rows, ("layer", "kind", "output", "parameters")),
        "",
        f"encoder {counts['encoder']:,} + decoder {counts['decoder']:,} = total "
        f"{counts['total']:,} parameters; code {'x'.join(map(str, about['code']))}",
        "effective beta (unit-variance Gaussian): " + ("no KL" if beta is None else f"{beta:.4g}"),
    ]
