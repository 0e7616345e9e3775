"""Bits per dimension: what each number of an example would cost to store."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from lemari.likelihoods import BernoulliLikelihood, GaussianLikelihood
from lemari.model import Autoencoder, likelihood_of


def bits_per_dimension(nll: float, size: int, levels: int = 0, sigma: float | None = None) -> float:
    """From nats an example to bits a number.

    With `levels` steps between the smallest value (0) and the largest (1), a density is turned
    into the probability of a cell of width 1/levels, and the result counts bits of the stored
    whole numbers: log2(levels + 1) for a uniform law. A normal law whose `sigma` is given is not
    flat inside a cell; 1 / (24 levels^2 sigma^2) nats are added for that, which makes the result
    an upper bound (Jensen's inequality over the cell; Theis et al. 2016, arXiv:1511.01844). With
    0 levels the values are continuous: the result depends on their unit and may be negative.

    >>> round(bits_per_dimension(2 * math.log(255 / 256) * -1, 2, 255), 6)
    8.0
    """
    nats = nll / size
    if levels:
        nats += math.log(levels)
        nats += 0.0 if sigma is None else 1 / (24 * levels**2 * sigma**2)
    return nats / math.log(2)


def bits_of(model: Autoencoder, nll: float) -> float | None:
    """Bits per dimension of a model whose mean NLL is `nll` nats; None where they mean nothing.

    A Bernoulli law of black and white values is a probability already; of gray values it is
    neither a probability nor a density.
    """
    data, likelihood = model.data, likelihood_of(model)
    if isinstance(likelihood, BernoulliLikelihood):
        return bits_per_dimension(nll, data.size) if data.levels == 1 else None
    if isinstance(likelihood, GaussianLikelihood):
        return bits_per_dimension(nll, data.size, data.levels, likelihood.sigma)
    return None


def independent_bits(
    train: Iterable[np.ndarray], held: Iterable[np.ndarray], levels: int, size: int
) -> float:
    """Bits per dimension when each number is stored by itself: the baseline of a likelihood.

    The law of each number is its share among the training rows (one added to each count), or, for
    continuous values, a normal law. `train` and `held` are blocks (n, D).
    """
    return histogram_bits(train, held, levels, size) if levels else normal_bits(train, held, size)


def histogram_bits(train, held, levels: int, size: int) -> float:
    counts = np.ones((size, levels + 1))
    columns = np.arange(size)
    for block in train:
        np.add.at(counts, (columns, np.rint(block * levels).astype(np.int64)), 1)
    bits = np.log2(counts.sum(1, keepdims=True)) - np.log2(counts)
    total, rows = 0.0, 0
    for block in held:
        total += bits[columns, np.rint(block * levels).astype(np.int64)].sum()
        rows += len(block)
    return float(total / (rows * size))


def normal_bits(train, held, size: int) -> float:
    count, first, second = 0, np.zeros(size), np.zeros(size)
    for block in train:
        x = block.astype(np.float64)
        count, first, second = count + len(x), first + x.sum(0), second + np.square(x).sum(0)
    mean = first / count
    variance = np.maximum(second / count - mean**2, 1e-6)
    total, rows = 0.0, 0
    for block in held:
        off = np.square(block - mean) / variance + np.log(2 * math.pi * variance)
        total, rows = total + 0.5 * off.sum(), rows + len(block)
    return float(total / (rows * size * math.log(2)))
