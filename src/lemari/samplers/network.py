"""Samplers that are a network fitted to standardised codes: how they are kept."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor

from lemari.errors import ModelFileError
from lemari.samplers.base import Parts, Sampler


class NetworkSampler(Sampler):
    """A network of codes with mean 0 and deviation 1, and the `centre` and `spread` (D,) of all."""

    what = ""

    def __init__(self, net: Any, centre: Tensor, spread: Tensor) -> None:
        self.net, self.centre, self.spread = net.eval(), centre, spread

    @staticmethod
    def build(size: int) -> Any:
        """The untrained network for codes of `size` numbers."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        net = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        return {"centre": self.centre, "spread": self.spread, **net}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        state = {n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")}
        try:
            net = cls.build(len(tensors["centre"]))
            net.load_state_dict(state)
            return cls(net, tensors["centre"], tensors["spread"])
        except (KeyError, RuntimeError, TypeError) as fault:
            raise ModelFileError(
                f"The saved sampler is no {cls.what}; fit it anew with --sampler auto --refit."
            ) from fault
