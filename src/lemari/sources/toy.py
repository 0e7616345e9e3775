"""Digits: 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; no download."""

from __future__ import annotations

import numpy as np

from lemari.sources.arrays import ArraySource, Scale
from lemari.sources.base import Options, one_split, row_ids


def open_digits(name: str, options: Options) -> ArraySource:
    """1,797 gray pictures of 8x8, values 0 to 16, labels 0 to 9; no official split."""
    from sklearn.datasets import load_digits

    one_split(name, options.split)
    bunch = load_digits()
    return ArraySource(
        name=name,
        array=bunch.images.astype(np.uint8),  # pyright: ignore[reportAttributeAccessIssue]
        layout="hw",
        shape=(1, 8, 8),
        scale=Scale("uint8", 16, 0.0, 16.0),
        y=bunch.target.astype(np.int64),  # pyright: ignore[reportAttributeAccessIssue]
        classes=tuple("0123456789"),
        ids=row_ids(len(bunch.images)),  # pyright: ignore[reportAttributeAccessIssue]
        size=options.size,
        channels=options.channels,
    )
