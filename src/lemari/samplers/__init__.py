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

    Raises UsageError for an unknown name, and for a sampler that does not suit the codes;
    DataError for codes that are not finite numbers.
    """
    import numpy as np
    import torch

    from lemari.errors import DataError
    from lemari.registry import SAMPLERS
    from lemari.samplers.base import Codes

    given = np.asarray(codes, np.float32)
    if given.ndim != 2 or not np.isfinite(given).all():
        raise DataError("Codes are a table (N, D) of finite numbers; leave out rows with others.")
    order = np.random.default_rng(seed).permutation(len(given))
    z, cut = torch.from_numpy(given[order]), max(1, len(order) // 10)
    return SAMPLERS[sampler].fit(Codes(z[cut:], z[:cut]), seed)
