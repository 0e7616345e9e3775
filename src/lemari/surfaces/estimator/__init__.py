"""scikit-learn estimators: a class for each variant, and `load` for any saved model."""

from lemari.surfaces.estimator.base import (
    AE,
    CLASSES,
    CVAE,
    VAE,
    AutoencoderEstimator,
    BetaVAE,
    estimator,
    load,
)

__all__ = [
    "AE",
    "CLASSES",
    "CVAE",
    "VAE",
    "AutoencoderEstimator",
    "BetaVAE",
    "estimator",
    "load",
]
