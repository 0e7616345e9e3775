"""Adam, fused, with as little around it as a small network deserves.

torch's own step spends a fifth of a small network's training step on hooks, profiling marks and
the sorting of its lists; here the same kernel is called on lists that are made once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Adam:
    """Kingma and Ba 2015 (arXiv:1412.6980), over every trainable parameter of a model.

    `lr` is the learning rate of the next step. Parameters without a gradient are left as they
    are; all share one count of steps. The numbers are those of torch.optim.Adam(fused=True).
    """

    betas = (0.9, 0.999)
    eps = 1e-8

    def __init__(self, model: nn.Module, lr: float) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [p for _, p in named]
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        device = self.parameters[0].device if named else None
        self.lr, self.count = lr, torch.zeros((), device=device)

    def clear(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step along the gradients that are there."""
        slopes = [p.grad for p in self.parameters]
        lists: list = [self.parameters, slopes, self.first, self.second]
        if any(slope is None for slope in slopes):
            rows = [row for row in zip(*lists, strict=True) if row[1] is not None]
            lists = [list(column) for column in zip(*rows, strict=True)]
        if not (lists and lists[0]):
            return
        self.count += 1
        torch._fused_adam_(  # pyright: ignore[reportCallIssue, reportPrivateImportUsage]
            *lists,
            [],
            [self.count] * len(lists[0]),
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """All that must be stored to go on: name -> tensor."""
        tensors = {"count": self.count}
        for name, first, second in zip(self.names, self.first, self.second, strict=True):
            tensors |= {f"first.{name}": first, f"second.{name}": second}
        return tensors

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go back to a stored state. Raises KeyError or RuntimeError where it does not fit."""
        for name, own in self.state().items():
            own.copy_(tensors[name])
