"""Scores on held-out rows, each beside its baselines: which there are, and which are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.laws import Density
from lemari.metrics.likelihood import model_posterior
from lemari.metrics.pca import fit_pca
from lemari.model import Autoencoder
from lemari.registry import nearest
from lemari.store import Recipe
from lemari.tasks import score_code, score_fit
from lemari.tasks.embed import encode
from lemari.tasks.score import Evaluation, Score, Subject, flat_blocks
from lemari.tasks.score_generation import generation_scores

__all__ = ["MEASURES", "Evaluation", "Score", "evaluate"]

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measure:
    """How some scores are taken, what they need, and whether that is done unasked."""

    run: Callable[[Subject], None]
    about: str
    needs: tuple[str, ...] = ()
    cheap: bool = False


MEASURES: dict[str, Measure] = {
    "reconstruction": Measure(score_fit.reconstruction_scores, "MSE, PSNR, SSIM, MS-SSIM", (),
                              True),
    "likelihood": Measure(score_fit.likelihood_scores, "loss, distortion, KL, active units", (),
                          True),
    "nll": Measure(score_fit.nll_scores, "NLL by importance sampling, bits per dimension",
                   ("density",)),
    "information": Measure(score_fit.information_scores, "mutual information of example and code",
                           ("density", "untold")),
    "neighbours": Measure(score_code.neighbour_scores, "kNN-5 accuracy", ("labels",), True),
    "probe": Measure(score_code.probe_scores, "linear classifier", ("labels", "untold")),
    "few-labels": Measure(score_code.few_label_scores, "fine-tuning with 10, 100, 1000 labels",
                          ("labels", "untold", "recipe")),
    "clusters": Measure(score_code.cluster_scores, "k-means accuracy, NMI, ARI",
                        ("labels", "untold")),
    "map": Measure(score_code.map_scores, "trustworthiness, continuity"),
    "generation": Measure(generation_scores, "Frechet and kernel distance, precision, recall"),
    "disentanglement": Measure(score_code.disentanglement_scores,
                               "MIG, DCI, SAP, FactorVAE and BetaVAE scores", ("factors",)),
}  # fmt: skip
CHEAP = tuple(name for name, measure in MEASURES.items() if measure.cheap)
WHY = {
    "density": "it needs a posterior and a prior with a density, as --variant vae has",
    "labels": "no row has a known class",
    "untold": "the model is told the class of each example",
    "recipe": "how to build the network anew is not known",
    "factors": "the factors are known only of the held-out part of `sprites`",
}


def chosen_measures(text: str | None) -> tuple[str, ...]:
    """The measures that the user names: NAME,NAME,... or all; the cheap ones unless he does.

    >>> chosen_measures("probe,map")
    ('probe', 'map')
    """
    if text is None:
        return CHEAP
    names = tuple(MEASURES) if text == "all" else tuple(n.strip() for n in text.split(","))
    for name in names:
        if name not in MEASURES:
            raise UsageError(nearest(name, (*MEASURES, "all"), "measure"))
    return names


def lacking(s: Subject, measure: Measure) -> str | None:
    """Why a measure cannot be taken, or None."""
    there = {
        "density": lambda: has_density(s.model, s.held),
        "labels": lambda: s.labelled,
        "untold": lambda: not s.told,
        "recipe": lambda: s.recipe is not None,
        "factors": lambda: s.factors is not None,
    }
    return next((WHY[need] for need in measure.needs if not there[need]()), None)


def has_density(model: Autoencoder, feed: Feed) -> bool:
    """Whether codes have a law with a density, given an example and before any."""
    batch = next(feed.batches(1))
    prior = model.prior(model.condition(batch))
    return isinstance(model_posterior(model, feed), Density) and hasattr(prior, "log_prob")


def evaluate(
    model: Autoencoder,
    train: Feed,
    held: Feed,
    *,
    split: str = "test",
    measures: Iterable[str] = CHEAP,
    nll_samples: int = 0,
    seed: int = 0,
    recipe: Recipe | None = None,
    factors: np.ndarray | None = None,
    strict: bool = False,
    progress: Say | None = None,
) -> Evaluation:
    """The scores of these measures, those that model and data allow, on the rows of `held`.

    `train` gives the training rows for baselines and neighbours; `nll_samples` above 0 adds the
    importance-sampled likelihood with so many draws. What cannot be taken is noted in `left_out`,
    or, when `strict`, a UsageError.
    """
    say = progress or (lambda text: None)
    y, held_y = (None if f.y is None else f.y[f.index] for f in (train, held))
    nothing = np.empty((0, 0), np.float32)
    e = Evaluation([], nothing, nothing, y, held_y)
    s = Subject(model, train, held, e, split, seed, nll_samples or 100, recipe, factors, say)
    asked = {*measures, *(("nll",) if nll_samples else ())}
    possible = [MEASURES[name] for name in possible_of(s, asked, strict, nll_samples > 0)]
    say("encoding")
    e.codes, e.held_codes = encode(model, train), encode(model, held)
    say("measuring the reconstruction")
    width = model.data.size
    mixed = np.random.default_rng(0).permutation(len(train))  # where only some rows are used
    e.pca = fit_pca(flat_blocks(train, mixed), min(e.codes.shape[1], width), len(train), width)
    for measure in possible:
        measure.run(s)
    return e


def possible_of(s: Subject, asked: set[str], strict: bool, nll: bool) -> list[str]:
    """Which of the measures asked for can be taken, in the order of the table; notes the others.

    UsageError for one that cannot when the user named it.
    """
    found = []
    for name, measure in MEASURES.items():
        why = lacking(s, measure) if name in asked else None
        if why and (strict or (nll and name == "nll")):
            raise UsageError(f"The measure {name!r} cannot be taken: {why}; leave it out.")
        if why:
            s.e.left_out[name] = why
        elif name in asked:
            found.append(name)
    return found
