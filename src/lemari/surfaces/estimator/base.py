"""scikit-learn estimators: one class a variant, made from the variant's signature.

    VAE(latent=2).fit(X).transform(X)

`X` is an array of rows or pictures ((N, D), (N, H, W), (N, H, W, C) or (N, C, H, W)), or anything
that `lemari.open_data` takes: a folder of pictures, a file, a name such as "digits".
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.machine import threads
from lemari.metrics.likelihood import scores
from lemari.registry import nearest
from lemari.sources import open_data
from lemari.sources.base import label_name
from lemari.store import Fitted, build
from lemari.tasks.detector_files import is_detector
from lemari.tasks.embed import decode, encode, reconstruct
from lemari.tasks.examine import course, findings
from lemari.tasks.generate import own_prior, settle
from lemari.tasks.plan import (
    Request,
    network_of,
    recipe_for,
    set_apart,
    sized,
    variant_options,
)
from lemari.train import Training
from lemari.types import Finding, Rows

TRAINING = ("epochs", "batch_size", "lr", "schedule", "threads", "precision", "augment", "patience")
FIRST = {"latent": 2, "network": "auto", "epochs": 10, "batch_size": 128, "lr": 1e-3,
         "random_state": 0}  # fmt: skip
LAST = {"shape": None, "schedule": None, "threads": None, "precision": None, "augment": "none",
        "patience": None}  # fmt: skip
BLOCK = 512


class AutoencoderEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What every variant's estimator does."""

    variant = ""
    conditional = False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on X. `y` (N,) classes is needed by conditional variants and ignored by others."""
        X, y = self._checked(X, y, reset=True)
        source = open_data(X, shape=self.shape, label=y)  # pyright: ignore[reportAttributeAccessIssue]
        chosen = {k: getattr(self, k) for k in variant_options(self.variant)}
        fmt, _ = sized(source.learn(), network_of(self.variant, chosen))
        names = getattr(self, "feature_names_in_", None)
        if isinstance(fmt, TableFormat) and names is not None:
            fmt = replace(fmt, columns=tuple(map(str, names)))
        rows = source.load(fmt)
        training = {k: getattr(self, k) for k in TRAINING}
        seed = seed_of(self.random_state)  # pyright: ignore[reportAttributeAccessIssue]
        request = Request(self.variant, chosen, seed=seed, held_out=0.0, **training)
        recipe = recipe_for(fmt.schema, request)
        model = build(fmt.schema, recipe)
        train, valid = np.arange(len(rows)), None
        if recipe.patience:
            train, valid = set_apart(train, recipe.seed)
            valid = Feed(rows.x, rows.y, fmt, valid)
        feed = Feed(rows.x, rows.y, fmt, train)
        with threads(recipe.threads):
            self.history_ = [r for r in Training(model, feed, recipe.plan, valid).run()
                             if hasattr(r, "number")]  # fmt: skip
            settle(model, feed)
            self.findings_ = self._examined(model, feed)
        self._keep(Fitted(model.eval(), fmt, recipe))
        return self

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Codes (posterior means), (N, latent). `y` (N,) tells a conditional model the classes."""
        feed, kept = self._feed(X, y)
        with self._threads():
            return encode(self.fitted_.model, feed).astype(kept) if kept != np.float64 else (
                np.concatenate([self._codes(b) for b in feed.batches(BLOCK)]))  # fmt: skip

    def inverse_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Decoded examples of codes (N, latent), in the shape and range that `fit` was given."""
        check_is_fitted(self)
        return self._user(decode(self.fitted_.model, np.asarray(X), self._classes(y, len(X))))

    def reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        """What the model makes of each example, in the shape and range that `fit` was given.

        `y` (N,) tells a conditional model the classes; others take no notice of it.
        """
        feed, _ = self._feed(X, y)
        with self._threads(), torch.no_grad():
            parts = [reconstruct(self.fitted_.model, b).numpy() for b in feed.batches(BLOCK)]
        return self._user(np.concatenate(parts))

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Log-likelihood bound at the posterior mean, (N,), nats; higher is more normal."""
        feed, _ = self._feed(X, y)
        with self._threads():
            parts = [scores(self.fitted_.model, b).double() for b in feed.batches(BLOCK)]
        return torch.cat(parts).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`: nats per example, higher is better."""
        return float(self.score_samples(X, y).mean())

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = 0, sampler: Any = None
    ) -> np.ndarray:
        """New examples from the prior or a `lemari.samplers.fit`; `y` asks for a class, if told."""
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise UsageError(f"n_samples is a whole number of 1 or more, not {n_samples!r}.")
        law = own_prior(self.fitted_.model) if sampler is None else sampler.draw
        codes = law(n_samples, seed_of(random_state)).numpy()
        return self._user(decode(self.fitted_.model, codes, self._classes(y, n_samples)))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write recipe, format and weights into a folder that `lemari.load` reads."""
        check_is_fitted(self)
        return self.fitted_.save(Path(path))

    @property
    def _n_features_out(self) -> int:
        return int(np.prod(self.fitted_.model.code))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.conditional
        return tags

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """Rows of numbers checked as scikit-learn does it; pictures and names as they are."""
        if isinstance(X, str | os.PathLike) or getattr(np.asarray(X), "ndim", 2) > 2:
            return X, y if self.conditional else None
        if not self.conditional or not reset:
            return validate_data(self, X, reset=reset, ensure_min_samples=1), None
        X, y = validate_data(self, X, y, reset=True, multi_output=True, dtype="numeric")
        return X, column_or_1d(y, warn=True)

    def _examined(self, model: Any, feed: Feed) -> list[Finding]:
        run = course(model, self.history_, len(feed), self.batch_size)  # pyright: ignore[reportAttributeAccessIssue]
        return findings(model, feed, run)

    def _rows(self, X: Any) -> Rows:
        check_is_fitted(self)
        X, _ = self._checked(X, None, reset=False)
        if isinstance(X, str | os.PathLike):
            return open_data(X).load(self.fitted_.format)
        return Rows(self.fitted_.format.from_array(X), None, ())

    def _feed(self, X: Any, y: Any = None) -> tuple[Feed, np.dtype]:
        """The rows as the model sees them, and the type in which results are returned."""
        rows = self._rows(X)
        double = self.fitted_.model.data.kind == "table"
        given = getattr(X, "dtype", np.dtype(np.float64))
        kept = given if given == np.float32 else np.dtype(np.float64)
        unit = Double(self.fitted_.format) if double else self.fitted_.format
        classes = self._classes(y, len(rows.x)) if self.conditional else None
        return Feed(rows.x, classes, unit), kept

    @torch.no_grad()
    def _codes(self, batch) -> np.ndarray:
        model = self.fitted_.model
        return model.encode(model.corrupt.given(batch.x), model.condition(batch)).mean.flatten(
            1).double().numpy()  # fmt: skip

    def _user(self, x: np.ndarray) -> np.ndarray:
        return self.fitted_.format.to_user(x)

    def _classes(self, y: Any, count: int) -> np.ndarray | None:
        """Class names (or one for all) as class numbers."""
        if y is None:
            return None
        if np.ndim(y) and np.shape(y) != (count,):
            raise UsageError(f"y is one class, or one for each of {count} rows, not {len(y)}.")
        names = [label_name(v) for v in np.broadcast_to(np.asarray(y), (count,)).tolist()]
        classes = self.fitted_.format.classes
        index = {name: i for i, name in enumerate(classes)}
        for name in names:
            if name is not None and name not in index:
                raise UsageError(nearest(name, classes, "class"))
        return np.array([index[name] if name is not None else -1 for name in names], np.int64)

    def _threads(self):
        return threads(self.fitted_.recipe.threads)

    def _keep(self, fitted: Fitted) -> None:
        """Tables are used in double precision, so that a row's result never depends on others."""
        if fitted.model.data.kind == "table":
            fitted.model.double()
        self.fitted_ = fitted


class Double:
    """A format whose values the model sees in double precision."""

    def __init__(self, format: Any) -> None:
        self.format = format

    def unit(self, x: torch.Tensor) -> torch.Tensor:
        return self.format.unit(x).double()


def seed_of(random_state: Any) -> int:
    """A whole number is the seed itself; anything else is asked for one."""
    if isinstance(random_state, int | np.integer) and 0 <= random_state < 2**31:
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def estimator(
    name: str,
    variant: str,
    base: type[AutoencoderEstimator] = AutoencoderEstimator,
    further: Mapping[str, Any] = MappingProxyType({}),
    module: str | None = None,
) -> type[AutoencoderEstimator]:
    """The estimator class of a variant, its constructor derived from the variant's signature."""
    own = variant_options(variant)
    first = FIRST | dict(further)
    defaults = first | {k: p.default for k, p in own.items() if k not in first} | LAST
    parameters = [inspect.Parameter(k, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=v)
                  for k, v in defaults.items()]  # fmt: skip

    def construct(self, *args: Any, **given: Any) -> None:
        bound = signature.bind(self, *args, **given)
        bound.apply_defaults()
        for key, value in list(bound.arguments.items())[1:]:
            setattr(self, key, value)

    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([me, *parameters])
    construct.__signature__ = signature
    from lemari.registry import VARIANTS

    function = VARIANTS[variant]
    doc = (function.__doc__ or "") + "\n    As a scikit-learn transformer."
    body = {"__init__": construct, "variant": variant, "__doc__": doc,
            "__module__": module or base.__module__,
            "conditional": getattr(function, "conditional", False)}  # fmt: skip
    return type(name, (base,), body)


AE = estimator("AE", "ae")
VAE = estimator("VAE", "vae")
BetaVAE = estimator("BetaVAE", "beta-vae")
CVAE = estimator("CVAE", "cvae")
CLASSES = {cls.variant: cls for cls in (AE, VAE, BetaVAE, CVAE)}


def load(path: str | os.PathLike[str]) -> Any:
    """The estimator of a saved model or run folder; every part is checked and none can run code.

    Raises ModelFileError when the folder is incomplete, was changed, or is not ours.
    """
    if is_detector(path):  # pyright: ignore[reportArgumentType]
        from lemari.surfaces.estimator import detecting

        return detecting.load(path)  # pyright: ignore[reportArgumentType]
    fitted = Fitted.load(path)  # pyright: ignore[reportArgumentType]
    recipe = fitted.recipe
    from lemari.surfaces.estimator.naming import estimator_of

    kind = estimator_of(recipe.variant)
    given = {k: p.default for k, p in variant_options(recipe.variant).items()} | recipe.options
    names = inspect.signature(kind.__init__).parameters
    given |= {k: getattr(recipe, k) for k in TRAINING}
    made = kind(**{k: v for k, v in given.items() if k in names}, random_state=recipe.seed)  # pyright: ignore[reportCallIssue]
    made._keep(fitted)
    if fitted.format.kind == "table":
        columns = fitted.format.columns  # pyright: ignore[reportAttributeAccessIssue]
        made.n_features_in_ = len(columns)  # pyright: ignore[reportAttributeAccessIssue]
        if columns[0] != "column 0":
            made.feature_names_in_ = np.array(columns, object)  # pyright: ignore[reportAttributeAccessIssue]
    elif fitted.format.layout == "flat":  # pyright: ignore[reportAttributeAccessIssue]
        c, h, w = fitted.format.shape  # pyright: ignore[reportAttributeAccessIssue]
        made.shape = (c, *(fitted.format.native or (h, w)))  # pyright: ignore[reportAttributeAccessIssue]
    return made
