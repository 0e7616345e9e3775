"""The estimator class of any variant, named after it: `beta-tc-vae` is `BetaTCVAE`."""

from __future__ import annotations

from functools import cache

from lemari.surfaces.estimator import base, restoring

SHORT = {"ae", "aae", "tc", "vq", "fsq", "rae", "wae", "dip", "gp", "l2", "mmd", "gan", "msssim"}


def class_name(variant: str) -> str:
    """The name of a variant's class.

    >>> class_name("beta-tc-vae"), class_name("sparse-ae"), class_name("infovae")
    ('BetaTCVAE', 'SparseAE', 'InfoVAE')
    """
    words = []
    for part in variant.split("-"):
        if part in SHORT or part.endswith("wae"):
            words.append(part.upper())
        else:
            stem = part.removesuffix("vae")
            words.append(stem.capitalize() + "VAE" * (stem != part))
    return "".join(words)


@cache
def estimator_of(variant: str) -> type[base.AutoencoderEstimator]:
    """The estimator class of a variant. Raises UsageError for an unknown name."""
    known = base.CLASSES | restoring.CLASSES
    if variant in known:
        return known[variant]
    return base.estimator(class_name(variant), variant, module="lemari.family")
