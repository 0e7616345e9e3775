"""A law of sequences of discrete codes, each given those before it."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from lemari.errors import ModelFileError, UsageError
from lemari.latents.code_sequence import CodeSequence
from lemari.samplers.base import Codes, Parts, Sampler

LONGEST = 1024  # codes in one sequence that are still drawn one after the other
STEPS = 600


class Sequence(Sampler):
    """A small causal transformer over the numbers of the codes, for models with a codebook.

    It draws whole codes where a law of each position alone tears them apart. (van den Oord,
    Vinyals and Kavukcuoglu 2017, arXiv:1711.00937)
    """

    def __init__(self, law: CodeSequence, codebook: Any) -> None:
        self.law, self.codebook = law.eval(), codebook

    @classmethod
    def fit(cls, codes: Codes, seed: int) -> Self:
        made = cls(build(codes.parts), codes.parts.codebook)
        made.law.fit(made.codebook.indices_of(codes.z), seed, steps=STEPS)
        return made

    @torch.no_grad()
    def draw(self, count: int, seed: int = 0, y: Tensor | None = None) -> Tensor:
        return self.codebook.vectors(self.law.draw(count, seed)).flatten(1).float()

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.law.state_dict())

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], parts: Parts) -> Self:
        law = build(parts)
        try:
            law.load_state_dict(tensors)
        except RuntimeError as fault:
            raise ModelFileError(
                "The saved sampler is no law of this model's codes; fit it anew with --sampler "
                "auto --refit."
            ) from fault
        return cls(law, parts.codebook)


def build(parts: Parts) -> CodeSequence:
    """An untrained law of the codebook's sequences."""
    book = parts.codebook
    if book is None:
        raise UsageError(
            "The sampler sequence needs discrete codes, as vq-vae has; use mixture or flow."
        )
    if book.length > LONGEST:
        raise UsageError(
            f"The sampler sequence takes codes of up to {LONGEST} numbers, not {book.length}; use "
            "the prior."
        )
    return CodeSequence(book.codes, book.length)
