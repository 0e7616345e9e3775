"""What rounds a vector to one of a finite number of vectors.

Each takes vectors (M, width) and returns the rounded ones with a gradient for the encoder, the
numbers of the codes that were picked (M, depth), and how far the vectors lay from them (M,).
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from lemari.errors import UsageError

MOST_CODES = 65536
DEAD = 0.05  # of the mean use: below it, a code is put where a vector of the batch lies


def library():
    """vector_quantize_pytorch, or a sentence that says how to get it."""
    try:
        import vector_quantize_pytorch
    except ImportError as fault:
        raise UsageError(
            "Variants with discrete codes need the vector-quantize-pytorch package; install it "
            'with: pip install "lemari[vq]".'
        ) from fault
    return vector_quantize_pytorch


class VectorBooks(nn.Module):
    """A learned table of vectors, or several in a row of which each rounds what the last left.

    The tables follow the running means of the vectors that picked them (van den Oord et al.
    2017, appendix), so they are buffers. A code that is hardly ever picked is moved onto a vector
    of the batch; the fewer vectors a batch has, the longer it is given.
    """

    books: Any

    def __init__(self, width: int, codes: int, depth: int = 1, decay: float = 0.99) -> None:
        super().__init__()
        if not 2 <= codes <= MOST_CODES:
            raise UsageError(f"A codebook holds 2 to {MOST_CODES} codes, but codes is {codes}.")
        if not 1 <= depth <= 64:
            raise UsageError(f"There may be 1 to 64 quantizers in a row, not {depth}.")
        if not 0 < decay < 1:
            raise UsageError(f"decay must lie between 0 and 1, but is {decay}; try 0.99.")
        self.codes, self.depth = codes, depth
        book = library().VectorQuantize
        options: dict = {"decay": decay, "commitment_weight": 0.0, "rotation_trick": False}
        self.books = nn.ModuleList(
            book(width, codes, threshold_ema_dead_code=1, **options) for _ in range(depth)
        )

    def tables(self, dtype: torch.dtype) -> list[Tensor]:
        """The vectors of each code, one (codes, width) for each quantizer."""
        return [book.codebook.to(dtype) for book in self.books]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rest, far, picked = x, x.new_zeros(()), []
        value = torch.zeros_like(x)
        for book, table in zip(self.books, self.tables(x.dtype), strict=True):
            index = nearest(rest.detach(), table)
            near = table[index]
            far = far + (rest - near).square().sum(-1)
            if self.training:
                self.learn(book, rest.detach(), index)
            rest, value = rest - near, value + near
            picked.append(index)
        return value + (x - x.detach()), torch.stack(picked, -1), far

    @torch.no_grad()
    def learn(self, book: Any, x: Tensor, index: Tensor) -> None:
        """Draw the running means towards the vectors of this batch, and revive dead codes."""
        means, share = book._codebook, len(x) / self.codes
        means.threshold_ema_dead_code = DEAD * share
        means.reset_cluster_size = share
        book.update_indices(x[None], index[None])

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Begin with codes that are different vectors of the data, picked at random."""
        for book in self.books:
            different = torch.unique(x, dim=0)
            order = torch.randperm(len(different)).repeat(-(-self.codes // len(different)))
            table = different[order[: self.codes]]
            spread = 0.01 * x.std(0, correction=0)
            table = torch.where(
                torch.arange(self.codes, device=x.device)[:, None] < len(different),
                table,
                table + spread * torch.randn_like(table),
            )
            means = book._codebook
            means.embed.copy_(table[None])
            means.embed_avg.copy_(table[None])
            x = x - table[nearest(x, table)]


class ScalarLevels(nn.Module):
    """Every number of a vector is rounded to one of a few levels: no table to learn, none to die.

    A linear layer brings a vector of another width to as many numbers as there are levels, and
    another brings it back.
    """

    scalar: Any
    depth = 1

    def __init__(self, width: int, levels: str) -> None:
        super().__init__()
        steps = levels_of(levels)
        self.codes = prod(steps)
        scalar = library().FSQ
        self.scalar = scalar(steps, width, return_indices=False, preserve_symmetry=2 in steps)

    def tables(self, dtype: torch.dtype) -> list[Tensor]:
        """The vectors of each code: one (codes, width)."""
        every = torch.arange(self.codes, device=self.scalar._levels.device)
        steps = self.scalar.indices_to_level_indices(every).to(dtype)
        return [self.scalar.project_out(self.scalar._scale_and_shift_inverse(steps))]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rounded = self.scalar.quantize(self.scalar.project_in(x))
        index = self.scalar.codes_to_indices(rounded.detach()).long()
        return self.scalar.project_out(rounded), index[:, None], x.new_zeros(len(x))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Scale the layer before the levels so that the vectors of the data spread over them."""
        layer = self.scalar.project_in
        if isinstance(layer, nn.Linear):
            y = layer(x)
            spread = y.std(0, correction=0).clamp(min=1e-6)
            layer.weight /= spread[:, None]
            layer.bias.copy_((layer.bias - y.mean(0)) / spread)


def levels_of(text: str) -> list[int]:
    """The levels of each number.

    >>> levels_of("8-5-5-5")
    [8, 5, 5, 5]
    """
    parts = text.split("-")
    steps = [int(p) if p.isascii() and p.isdigit() and len(p) < 6 else 0 for p in parts]
    if min(steps) < 2 or prod(steps) > MOST_CODES:
        raise UsageError(
            "levels are whole numbers of at least 2 joined by dashes, as in 8-5-5-5, whose product "
            f"is at most {MOST_CODES}; {text[:40]!r} is not."
        )
    return steps


def nearest(x: Tensor, table: Tensor) -> Tensor:
    """The row of the table nearest to each vector: (M, W), (N, W) -> (M,)."""
    return (table.square().sum(1) - 2 * x @ table.T).argmin(1)


def search(x: Tensor, tables: list[Tensor], beam: int) -> Tensor:
    """Codes whose vectors add up to x as nearly as a search that keeps `beam` sums can find.

    Shapes: x (M, W), tables (N, W) each -> (M, len(tables)). A beam of 1 is what `forward` does.
    """
    rest, picked = x[:, None], torch.empty(len(x), 1, 0, dtype=torch.long, device=x.device)
    for table in tables:
        cost = rest.square().sum(-1, keepdim=True) - 2 * rest @ table.T + table.square().sum(1)
        best = cost.flatten(1).topk(min(beam, cost.shape[1] * cost.shape[2]), largest=False).indices
        row, code = best // len(table), best % len(table)
        picked = torch.cat((picked.gather(1, expanded(row, picked)), code[..., None]), -1)
        rest = rest.gather(1, expanded(row, rest)) - table[code]
    return picked[:, 0]


def expanded(row: Tensor, like: Tensor) -> Tensor:
    """Row numbers (M, beam) for a gather from `like` (M, before, W)."""
    return row[..., None].expand(*row.shape, like.shape[-1])
