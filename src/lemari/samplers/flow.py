"""A masked autoregressive flow over codes."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from lemari.errors import MissingExtra
from lemari.samplers.base import Codes, need_narrow
from lemari.samplers.moments import standard
from lemari.samplers.network import NetworkSampler
from lemari.starting import random_state

STEPS, BATCH, RATE, EVERY = 800, 256, 2e-3, 100


class Flow(NetworkSampler):
    """A masked autoregressive flow from N(0, I) to the codes. (Papamakarios, Pavlakou and Murray
    2017, arXiv:1705.07057)

    Of its states in training, the one is kept that makes held-out codes likeliest.
    """

    what = "flow"

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        need_narrow(codes, "A flow")
        centre, spread = standard(codes.z)
        white, held = ((z - centre) / spread for z in (codes.z, codes.held))
        with random_state(seed):
            net = cls.build(codes.z.shape[1])
            learn(net, white, held)
        return cls(net, centre, spread)

    def drawn(self, count: int, y: Tensor | None) -> Tensor:
        return self.net().sample((count,)) * self.spread + self.centre

    @staticmethod
    def build(size: int) -> Any:
        """Three autoregressive transforms of codes of `size` numbers."""
        try:
            from zuko.flows import MAF
        except ImportError as fault:
            raise MissingExtra(
                'The sampler flow needs zuko; install it with pip install "lemari[flows]".'
            ) from fault
        return MAF(features=size, transforms=3, hidden_features=(96, 96))


def learn(net: Any, z: Tensor, held: Tensor) -> None:
    """Maximise the likelihood of standardised codes (N, D); keep the best state on `held`."""
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    best, highest = None, -math.inf
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
        batch = z[torch.randint(len(z), (min(BATCH, len(z)),))]
        loss = -net().log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        if (step + 1) % EVERY == 0:
            with torch.no_grad():
                score = float(net().log_prob(held).mean())
            if score > highest:
                best = {n: t.clone() for n, t in net.state_dict().items()}
                highest = score
    if best is not None:
        net.load_state_dict(best)
