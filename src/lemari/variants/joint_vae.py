"""The VAE with a category in its code."""

from __future__ import annotations

import math
from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.errors import UsageError
from lemari.latents.joint import JointPosterior, JointPrior
from lemari.model import Autoencoder
from lemari.schedule import Ramp
from lemari.terms.fit import Recon
from lemari.terms.joint import PartKL
from lemari.types import Schema


def joint_vae(
    data: Schema,
    *,
    categories: int = 10,
    beta: float = 1.0,
    capacity: float = 0.0,
    category_capacity: float = 0.0,
    warm_up: int = 0,
    **shared: Unpack[Shared],
) -> Autoencoder:
    """VAE whose code is `latent` numbers and one of `categories`, found without labels.

    Use it to separate kinds from styles. With capacities (nats), each part's KL is drawn to its
    own, raised over `warm_up` steps and weighed by `beta`: about 2 for 10 categories, and a beta
    of 30, keep the category in use. (Dupont 2018, arXiv:1804.00104)
    """
    posterior = JointPosterior(categories)
    if category_capacity > math.log(categories):
        raise UsageError(
            f"One of {categories} categories carries at most {math.log(categories):.3g} nats; "
            f"lower --category-capacity, which is {category_capacity:g}."
        )
    numbers = PartKL("numbers", beta, Ramp(capacity, warm_up))
    kinds = PartKL("categories", beta, Ramp(category_capacity, warm_up))
    prior = partial(JointPrior, categories=categories)
    return assemble(data, posterior, [Recon(), numbers, kinds], prior=prior, **shared)
