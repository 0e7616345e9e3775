"""An estimator class for every variant, built in or installed.

>>> from lemari.family import BetaVAE

A class is named after its variant: `beta-tc-vae` is `BetaTCVAE`, `sparse-ae` is `SparseAE`.
"""

from __future__ import annotations

from lemari.registry import VARIANTS
from lemari.surfaces.estimator.naming import class_name, estimator_of


def __getattr__(name: str):
    for variant in VARIANTS:
        if class_name(variant) == name:
            return estimator_of(variant)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(class_name(variant) for variant in VARIANTS)
