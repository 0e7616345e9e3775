"""A model as a table of layers: output shapes and parameter counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from lemari.corrupt import Given
from lemari.model import Autoencoder, effective_beta
from lemari.types import Batch


def count(module: nn.Module) -> int:
    """Trainable numbers."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def parameter_counts(model: Autoencoder) -> dict[str, int]:
    """encoder, decoder, anything else, and the total."""
    total, encoder, decoder = count(model), count(model.encoder), count(model.decoder)
    return {
        "encoder": encoder,
        "decoder": decoder,
        "other": total - encoder - decoder,
        "total": total,
    }


def kind_of(layer: nn.Module) -> str:
    """The name that users know: torch's, for our own forms of its layers.

    >>> kind_of(type('Fast', (nn.Conv2d,), {})(1, 1, 3))
    'Conv2d'
    """
    plain = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    return next((k.__name__ for k in plain if isinstance(layer, k)), type(layer).__name__)


def layers_of(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and layer of each part; those of a list, which is never called itself, one by one."""
    for name, layer in net.named_children():
        if isinstance(layer, nn.ModuleList):
            yield from ((f"{name}.{number}", inner) for number, inner in enumerate(layer))
        else:
            yield name, layer


@torch.no_grad()
def layer_table(model: Autoencoder) -> list[dict[str, Any]]:
    """One row a layer: name, kind, output shape without the batch, parameters, part.

    Found by running one example of zeros through the model.
    """
    rows: list[dict[str, Any]] = []
    handles = []

    def watch(part: str, name: str, layer: nn.Module) -> None:
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            shape, full = tuple(output.shape[1:]), f"{part}.{name}"
            if all(row["name"] != full for row in rows):  # a prior may run the encoder again
                rows.append({"name": full, "kind": kind_of(module), "output": shape,
                             "parameters": count(module), "part": part})  # fmt: skip

        handles.append(layer.register_forward_hook(hook))

    for part, net in (("encoder", model.encoder), ("decoder", model.decoder.net)):
        for name, layer in layers_of(net):
            watch(part, name, layer)
    was = model.training
    try:
        x = torch.zeros(2, *model.data.shape)
        model.eval()(Batch(x, given=x if isinstance(model.corrupt, Given) else None))
    finally:
        model.train(was)
        for handle in handles:
            handle.remove()
    return rows


def describe(model: Autoencoder) -> dict[str, Any]:
    """Layers, parameter counts, code and effective beta: what `lemari models show` prints."""
    return {
        "shape": list(model.data.shape),
        "code": list(model.code),
        "layers": [row | {"output": list(row["output"])} for row in layer_table(model)],
        "parameters": parameter_counts(model),
        "terms": [term.name for term in model.terms],
        "effective_beta": effective_beta(model),
    }
