"""The adversarial autoencoder, and the course lesson's."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Sizes, assemble
from lemari.latents.point import PointCode
from lemari.model import Autoencoder
from lemari.networks.critic import code_critic
from lemari.terms.adversary import Judge, LogRatio, prior_and_codes
from lemari.terms.fit import Recon
from lemari.types import Schema


def aae(
    data: Schema, *, weight: float = 10.0, likelihood: str = "mse", **sizes: Unpack[Sizes]
) -> Autoencoder:
    """Adversarial autoencoder: a plain one whose codes, as a crowd, a critic drives to N(0, I).

    Use it for codes that rebuild sharply and can still be drawn from the prior. `weight` counts
    the crowd's distance against the error. Watch the critic's loss, `judge`: at 1.386 for a whole
    run it is idle. (Makhzani et al. 2015, arXiv:1511.05644)
    """
    terms = [Recon(), LogRatio(weight), Judge(prior_and_codes)]
    return assemble(data, PointCode(), terms, critic=code_critic, likelihood=likelihood, **sizes)


def lesson_aae(data: Schema, *, latent: int | None = 150, weight: float = 10.0) -> Autoencoder:
    """The lesson's adversarial autoencoder: 784 > 1000 x 3 > 150 and back, critic 500 x 4.

    In the lesson's own run the critic's loss stayed at 2 ln 2 = 1.386, that is, idle; here it is
    trained, and only by its own term.
    """
    return assemble(
        data,
        PointCode(),
        [Recon(), LogRatio(weight), Judge(prior_and_codes)],
        critic=partial(code_critic, widths=(500, 500, 500, 500)),
        latent=150 if latent is None else latent,
        network="mlp:1000-1000-1000",
        likelihood="mse",
    )


lesson_aae.network = "mlp"
