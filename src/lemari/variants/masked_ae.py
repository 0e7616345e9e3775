"""The masked autoencoder."""

from __future__ import annotations

from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.corrupt import Missing, MissingColumns
from lemari.errors import UsageError
from lemari.latents.gaussian import FittedNormal
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.terms.fit import Recon
from lemari.types import Schema


def masked_ae(
    data: Schema,
    *,
    mask: float = 0.5,
    block: int | None = None,
    likelihood: str = "mse",
    **sizes: Unpack[Sizes],
) -> Autoencoder:
    """Masked autoencoder: half of each example is hidden, and only that half is to be told.

    Use it to learn codes for other tasks, or of tables with gaps. `mask` is the hidden share of a
    picture, in squares of `block` pixels (a seventh of the shorter side when left out), or of the
    columns of a table. (He et al. 2022, arXiv:2111.06377)
    """
    if not 0 < mask < 1:
        raise UsageError(f"masked-ae hides a share of each example between 0 and 1, not {mask:g}.")
    if data.kind == "image":
        corrupt = Missing(mask, max(2, min(data.shape[1:]) // 7) if block is None else block)
    elif block is not None:
        raise UsageError("A table has no blocks of pixels; leave block out.")
    else:
        corrupt = MissingColumns(mask)
    corrupt.shape_of(data.shape)
    return assemble(
        data,
        PointCode(),
        [Recon(where="hidden")],
        prior=FittedNormal,
        corrupt=corrupt,
        likelihood=likelihood,
        **sizes,
    )
