"""Samplers: laws fitted to the codes of a trained model, from which new codes are drawn.

law = lemari.samplers.fit("mixture", model.transform(X))
model.sample(100, sampler=law)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from lemari.samplers.base import Sampler


def fit(sampler: str, codes: ArrayLike, seed: int = 0) -> Sampler:
    """A sampler by its name, fitted to codes (N, D); a tenth of them only chooses its settings.

    Raises UsageError for an unknown name, and for a sampler that does not suit the codes.
    """
    import numpy as np
    import torch

    from lemari.registry import SAMPLERS
    from lemari.samplers.base import Codes

    order = np.random.default_rng(seed).permutation(len(np.asarray(codes)))
    z, cut = torch.from_numpy(np.asarray(codes, np.float32)[order]), max(1, len(order) // 10)
    return SAMPLERS[sampler].fit(Codes(z[cut:], z[:cut]), seed)
