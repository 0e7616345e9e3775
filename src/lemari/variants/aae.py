"""The adversarial autoencoder, and the course lesson's."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from lemari.assemble import Shared, assemble
from lemari.latents.point import StandardisedCode
from lemari.model import Autoencoder
from lemari.networks.critic import code_critic
from lemari.terms.adversary import Judge, LogRatio, prior_and_codes
from lemari.terms.fit import Recon
from lemari.types import Schema


def aae(data: Schema, *, weight: float = 3.0, **shared: Unpack[Shared]) -> Autoencoder:
    """Adversarial autoencoder: a plain one whose codes, as a crowd, a critic drives to N(0, I).

    Use it for codes that rebuild sharply and can still be drawn from the prior. `weight` counts the
    crowd's distance (nats) against the error. Watch the critic's loss, `judge`: at 1.386 for a
    whole run it is idle. (Makhzani et al. 2015, arXiv:1511.05644)
    """
    terms = [Recon(), LogRatio(weight), Judge(prior_and_codes)]
    return assemble(data, StandardisedCode(), terms, critic=code_critic, **shared)


def lesson_aae(data: Schema, *, latent: int | None = 150, weight: float = 3.0) -> Autoencoder:
    """The lesson's adversarial autoencoder: 784 > 1000 x 3 > 150 and back, critic 500 x 4.

    In the lesson's own run the critic's loss stayed at 2 ln 2 = 1.386: it was idle. Here its own
    term trains it, and the codes start at the prior's scale, so that there is something to judge.
    """
    return assemble(
        data,
        StandardisedCode(),
        [Recon(), LogRatio(weight), Judge(prior_and_codes)],
        critic=partial(code_critic, widths=(500, 500, 500, 500)),
        latent=150 if latent is None else latent,
        network="mlp:1000-1000-1000",
    )


lesson_aae.network = "mlp"
