"""A law of sequences of discrete codes: each code given all those before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lemari.errors import DataError, UsageError
from lemari.optimise import Adam
from lemari.schedule import Cosine

AT_ONCE = 1 << 24  # numbers in one block of attention or of log-chances


class Block(nn.Module):
    """Attention to what came before, then two layers at each place, both added to their input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        b, t, w = x.shape
        parts = self.ask(self.first(x)).view(b, t, 3, self.heads, w // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        heard = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.answer(heard.transpose(1, 2).reshape(b, t, w))
        return x + self.inner(self.second(x))


class CodeSequence(nn.Module):
    """p(i_1) p(i_2 | i_1) ... by a small causal transformer over numbers of codes.

    For drawing whole codes of a trained model with discrete codes, which a law of independent
    positions tears apart. `fit` trains it on the codes of the training rows; the model itself is
    not touched. Shapes: indices (N, length), each below `codes`. (Vaswani et al. 2017,
    arXiv:1706.03762; as a prior over codes van den Oord et al. 2017, arXiv:1711.00937)
    """

    def __init__(
        self, codes: int, length: int, width: int = 64, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(
                f"A width of {width} cannot be shared by {heads} heads; give a multiple of {heads}."
            )
        self.codes, self.length = codes, length
        self.known = nn.Embedding(codes + 1, width)  # the last row stands before the first code
        self.place = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, codes))

    def forward(self, before: Tensor) -> Tensor:
        """Logits of each code: before (B, T) begins with the start row -> (B, T, codes)."""
        here = torch.arange(before.shape[1], device=before.device)
        return self.last(self.blocks(self.known(before) + self.place(here)))

    def shifted(self, indices: Tensor) -> Tensor:
        """What is known at each place: the start row, then all codes but the last."""
        return F.pad(indices, (1, 0), value=self.codes)[:, :-1]

    def nats(self, indices: Tensor) -> Tensor:
        """-log p of each code given those before it: (N, length)."""
        logits = self(self.shifted(indices))
        return F.cross_entropy(logits.transpose(1, 2), indices, reduction="none")

    @torch.no_grad()
    def log_prob(self, indices: Tensor) -> Tensor:
        """log p of whole sequences, in nats: (N, length) -> (N,)."""
        self.check(indices)
        block = max(1, AT_ONCE // (self.length * max(self.codes, 4 * self.length)))
        return torch.cat([-self.nats(part).sum(1) for part in indices.split(block)])

    def fit(
        self,
        indices: Tensor,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
        steps: int = 600,
        batch_size: int = 64,
        lr: float = 2e-3,
    ) -> None:
        """Train on these sequences, from weights drawn anew; the seed decides everything."""
        self.check(indices)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for layer in self.modules():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()  # pyright: ignore[reportCallIssue]
            optimiser, rate = Adam(self, lr), Cosine(lr, steps, warm=min(50, steps // 10))
            for step in range(steps):
                rows = torch.randint(len(indices), (min(batch_size, len(indices)),))
                optimiser.clear()
                self.nats(indices[rows]).mean().backward()
                optimiser.lr = rate(step)
                optimiser.step()
                if progress:
                    progress(step + 1, steps)
        for parameter in self.parameters():
            parameter.grad = None

    @torch.no_grad()
    def draw(self, count: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """New sequences, (count, length). A temperature below 1 keeps to the likelier codes."""
        if not temperature > 0:
            raise UsageError(f"The temperature must be above 0, but is {temperature}; try 1.")
        block = max(1, AT_ONCE // (4 * self.length * self.length + self.codes))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            sizes = [min(block, count - first) for first in range(0, count, block)]
            parts = [self.drawn(size, temperature) for size in sizes]
        return torch.cat([torch.empty(0, self.length, dtype=torch.long), *parts])

    def drawn(self, count: int, temperature: float) -> Tensor:
        known = torch.full((count, 1), self.codes)
        for _ in range(self.length):
            chances = (self(known)[:, -1] / temperature).softmax(1)
            known = torch.cat((known, torch.multinomial(chances, 1)), 1)
        return known[:, 1:]

    def check(self, indices: Tensor) -> None:
        """Sequences of the right length with numbers of known codes, or a sentence."""
        fits = indices.dim() == 2 and indices.shape[1] == self.length and len(indices) > 0
        if not fits or int(indices.min()) < 0 or int(indices.max()) >= self.codes:
            raise DataError(
                f"Sequences of {self.length} whole numbers from 0 to {self.codes - 1} are needed, "
                f"but an array of shape {tuple(indices.shape)} was given that is not; take them "
                "from the codebook of the same model."
            )
