"""Lemari: autoencoders from unlabelled data, and the use of their codes.

>>> from lemari import VAE, load

Names are resolved when first used, so that `import lemari` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lemari.errors import LemariError
    from lemari.sources import open_data
    from lemari.surfaces.estimator import AE, CVAE, VAE, BetaVAE, load
    from lemari.surfaces.estimator.detecting import Detector
    from lemari.surfaces.estimator.oversampling import Oversampler
    from lemari.surfaces.estimator.restoring import DenoisingAE, InpaintingAE, SuperResolutionAE

__version__ = "0.1.0"

PLACES = {
    "AE": "lemari.surfaces.estimator",
    "VAE": "lemari.surfaces.estimator",
    "BetaVAE": "lemari.surfaces.estimator",
    "CVAE": "lemari.surfaces.estimator",
    "DenoisingAE": "lemari.surfaces.estimator.restoring",
    "InpaintingAE": "lemari.surfaces.estimator.restoring",
    "SuperResolutionAE": "lemari.surfaces.estimator.restoring",
    "Detector": "lemari.surfaces.estimator.detecting",
    "Oversampler": "lemari.surfaces.estimator.oversampling",
    "load": "lemari.surfaces.estimator",
    "open_data": "lemari.sources",
    "LemariError": "lemari.errors",
}
__all__ = [
    "AE",
    "CVAE",
    "VAE",
    "BetaVAE",
    "DenoisingAE",
    "Detector",
    "InpaintingAE",
    "LemariError",
    "Oversampler",
    "SuperResolutionAE",
    "__version__",
    "load",
    "open_data",
]


def __getattr__(name: str):
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'lemari' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
