"""Discrete codes: the encoder's output, cut into vectors and rounded to those of a codebook."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lemari.errors import UsageError
from lemari.latents.quantisers import search
from lemari.laws import Point, widened

if TYPE_CHECKING:
    from lemari.feed import Feed

LOOKED_AT = 1 << 22  # values of training rows from which a codebook starts
AT_ONCE = 1 << 25  # distances held at a time
BEAMS = (4, 16, 64)  # sums kept where greed does not lead back to a code, then where these fail


class Quantised(Point):
    """All mass on one code, which is known by number.

    `indices` (B, L) are the numbers of its codes: place by place, for each place vector by vector,
    for each vector quantizer by quantizer. `commitment` (B,) is the squared distance between
    the encoder's output and the code.
    """

    def __init__(self, value: Tensor, indices: Tensor, commitment: Tensor, event: int) -> None:
        super().__init__(value, event)
        self.indices, self.commitment = indices, commitment


class Codebook(nn.Module):
    """Posterior with all its mass on the nearest code; gradients pass straight through.

    A code of shape (C, ...) is cut at every place into C / width vectors: one for each place of
    feature maps unless `width` says otherwise, and pieces of 4 numbers or fewer for a plain
    vector. `quantiser` is a function of the width.

    The encoder's output is first brought to mean 0 and variance 1 by running moments. A fresh
    network's output is so small that all of it falls on few codes, from which training does not
    find out; and a drift of it would saturate what has fixed levels.
    """

    heads = 1
    traits = frozenset({"point", "codes"})
    counts: Tensor
    centre: Tensor
    variance: Tensor
    pace = 0.02

    def __init__(
        self, quantiser: Callable[..., Any], shape: tuple[int, ...], width: int | None = None
    ) -> None:
        super().__init__()
        self.shape, self.width = shape, width_for(shape, width)
        self.quantiser = quantiser(self.width)
        self.codes: int = self.quantiser.codes
        self.length = prod(shape) // self.width * self.quantiser.depth
        zero = torch.zeros(self.quantiser.depth, self.codes, dtype=torch.int64)
        self.register_buffer("counts", zero)
        self.register_buffer("centre", torch.zeros(self.width))
        self.register_buffer("variance", torch.ones(self.width))

    def forward(self, h: Tensor) -> Quantised:
        x = self.split(h)
        value, indices, far = self.quantiser((x - self.centre) / self.variance.sqrt())
        if self.training:
            self.follow(x, indices)
        indices, far = indices.view(len(h), self.length), far.view(len(h), -1).sum(1)
        return Quantised(self.join(value), indices, far, event=len(self.shape))

    def split(self, z: Tensor) -> Tensor:
        """Codes as vectors, place by place: (B, *Z) -> (M, width)."""
        cut = z.reshape(len(z), -1, self.width, prod(self.shape[1:]))
        return cut.permute(0, 3, 1, 2).reshape(-1, self.width)

    def join(self, vectors: Tensor) -> Tensor:
        """The way back: (M, width) -> (B, *Z)."""
        places = prod(self.shape[1:])
        cut = vectors.reshape(-1, places, self.shape[0] // self.width, self.width)
        return cut.permute(0, 2, 3, 1).reshape(-1, *self.shape)

    def vectors(self, indices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The codes with these numbers: (N, L) -> (N, *Z)."""
        tables = self.quantiser.tables(dtype)
        each = indices.reshape(-1, len(tables)).unbind(1)
        return self.join(sum(table[i] for table, i in zip(tables, each, strict=True)))  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def indices_of(self, codes: Tensor) -> Tensor:
        """The numbers of codes given as vectors: (N, *Z) or (N, D) -> (N, L).

        Vectors of several quantizers add up to a code; where picking the nearest one after the
        other does not lead back to it, more sums are tried: enough for codes of this posterior,
        but an arbitrary sum may come back as another one near it.
        """
        tables = self.quantiser.tables(codes.dtype)
        block = max(1, AT_ONCE // (self.codes * self.length))
        return torch.cat([self.numbers(part, tables) for part in codes.split(block)])

    def numbers(self, codes: Tensor, tables: list[Tensor]) -> Tensor:
        x = self.split(codes.view(len(codes), *self.shape))
        found = search(x, tables, 1)
        for beam in BEAMS if len(tables) > 1 else ():
            off = x - sum(table[i] for table, i in zip(tables, found.T, strict=True))
            missed = off.square().sum(1) > 1e-8 * x.square().sum(1).clamp(min=1e-8)
            for rows in missed.nonzero()[:, 0].split(max(1, AT_ONCE // (beam * self.codes))):
                found[rows] = search(x[rows], tables, beam)
        return found.view(len(codes), self.length)

    @torch.no_grad()
    def prepare(self, model: Any, feed: Feed) -> None:
        """Let the codes start among the vectors that the encoder makes of some training rows."""
        rows = min(len(feed), 1024, max(32, LOOKED_AT // model.data.size))
        batch = feed.gather(torch.randperm(len(feed))[:rows].numpy())
        training = model.training
        model.eval()
        with model.precision(batch.x):
            h = model.encoder(model.corrupt(batch).x, model.condition(batch))
        model.train(training)
        x = self.split(widened(h))
        self.centre.copy_(x.mean(0))
        self.variance.copy_(x.var(0, correction=0).clamp(min=1e-12))
        self.quantiser.start((x - self.centre) / self.variance.sqrt())

    @torch.no_grad()
    def follow(self, x: Tensor, indices: Tensor) -> None:
        """Take one training batch into the running moments, and count the codes it picked."""
        self.centre.lerp_(x.mean(0), self.pace)
        off = (x - self.centre).square().mean(0)
        self.variance.lerp_(off, self.pace).clamp_(min=1e-12)
        for counts, index in zip(self.counts, indices.T, strict=True):
            counts += torch.bincount(index, minlength=self.codes)

    def measures(self) -> dict[str, float]:
        """How the codebook was used since this was last asked; counting starts anew.

        `usage` is the share of codes that were picked at all, `perplexity` the number of equally
        frequent codes that would be as hard to guess; both are means over the quantizers.
        """
        total = self.counts.sum(1, keepdim=True).clamp(min=1)
        chance = self.counts.double() / total
        found = {
            "usage": float((self.counts > 0).double().mean()),
            "perplexity": float(torch.special.entr(chance).sum(1).exp().mean()),
        }
        self.counts.zero_()
        return found


def width_for(shape: tuple[int, ...], width: int | None) -> int:
    """The width of the vectors into which a code is cut.

    >>> width_for((16,), None), width_for((6,), None), width_for((16, 7, 7), None)
    (4, 3, 16)
    """
    channels = shape[0]
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    if width is None:
        return channels if len(shape) > 1 else max(n for n in divisors if n <= 4)
    if width not in divisors:
        raise UsageError(
            f"The code has {channels} numbers at each place, which cannot be cut into vectors of "
            f"{width}; give a width that divides {channels}: {', '.join(map(str, divisors))}."
        )
    return width


class CodeLaw:
    """Independent codes: each position of the sequence draws its number with its own chances.

    Shapes: chances (L, N). The mean is that of the vectors, so it is no code itself.
    """

    def __init__(self, codebook: Codebook, chances: Tensor, batch: int) -> None:
        self.codebook, self.chances, self.batch = codebook, chances, batch
        self.event = len(codebook.shape)

    @property
    def mean(self) -> Tensor:
        tables = self.codebook.quantiser.tables(self.chances.dtype)
        chances = self.chances.view(-1, len(tables), self.codebook.codes).unbind(1)
        centre = sum(chance @ table for chance, table in zip(chances, tables, strict=True))
        return self.codebook.join(centre).expand(self.batch, *self.codebook.shape)  # pyright: ignore[reportArgumentType]

    @torch.no_grad()
    def sample(self, k: int = 1) -> Tensor:
        indices = torch.multinomial(self.chances, k * self.batch, replacement=True).T
        drawn = self.codebook.vectors(indices, self.chances.dtype)
        return drawn.view(k, self.batch, *self.codebook.shape)

    def rsample(self, k: int = 1) -> Tensor:
        return self.sample(k)

    def tempered(self, temperature: float) -> CodeLaw:
        """Likely codes made likelier below 1, and rare ones above; at 0 the likeliest alone."""
        chances = (self.chances.log() / max(temperature, 1e-6)).softmax(1)
        return CodeLaw(self.codebook, chances, self.batch)


class FittedCodes(nn.Module):
    """Prior over discrete codes: how often each position held each code among training rows.

    `fit` is called once, after training; until then all codes are equally likely. The codebook
    is the posterior's: neither saved nor trained here.
    """

    traits = frozenset({"codes"})
    chances: Tensor

    def __init__(self, codebook: Codebook) -> None:
        super().__init__()
        self.shape, self.borrowed = codebook.shape, (codebook,)
        even = torch.full((codebook.length, codebook.codes), 1 / codebook.codes)
        self.register_buffer("chances", even)

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Count the codes of shape (N, D), which are looked up in the codebook."""
        self.count(self.borrowed[0].indices_of(codes))

    @torch.no_grad()
    def count(self, indices: Tensor) -> None:
        """Take the chances from the codes of each row, (N, L)."""
        for chance, index in zip(self.chances, indices.T, strict=True):
            chance.copy_(torch.bincount(index, minlength=self.borrowed[0].codes)).div_(len(indices))

    def forward(self, c: Tensor) -> CodeLaw:
        return CodeLaw(self.borrowed[0], self.chances, len(c))
