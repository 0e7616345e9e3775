"""The cases that the laws run over: every variant, with every network, on every kind of data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.formats import ImageFormat, TableFormat
from lemari.model import Autoencoder
from lemari.registry import NETWORKS, VARIANTS
from lemari.store import Recipe, build
from lemari.tasks.plan import variant_options
from lemari.train import Plan, Training
from lemari.types import Batch, Schema

CLASSES = ("a", "b", "c")
FORMATS = {
    "gray": ImageFormat((1, 8, 8), layout="hw", native=(8, 8), classes=CLASSES),
    "colour": ImageFormat((3, 12, 20), layout="hwc", native=(12, 20), classes=CLASSES),
    "alpha": ImageFormat((4, 16, 16), layout="chw", native=(16, 16), classes=CLASSES),
    "table": TableFormat(tuple("uvwxy"), (0.0,) * 5, (1.0,) * 5, (0.0,) * 5, CLASSES),
}
SCHEMAS: dict[str, Schema] = {name: fmt.schema for name, fmt in FORMATS.items()}

# What a network says it can take; one that is not listed may take anything or refuse it.
CLAIMS = {
    "mlp": lambda d: True,
    "mlp-tanh": lambda d: True,
    "lesson-mlp": lambda d: True,
    "linear": lambda d: True,
    "residual": lambda d: d.kind == "image",
    "maps": lambda d: d.kind == "image",
    "conv": lambda d: d.kind == "image",
    "patches": lambda d: d.kind == "image",
    "chapter": lambda d: d.kind == "image" and not any(s % 8 for s in d.shape[1:]),
    "chapter-faces": lambda d: d.kind == "image" and not any(s % 16 for s in d.shape[1:]),
    "lesson-conv": lambda d: d.kind == "image" and all(s % 8 == 4 for s in d.shape[1:]),
}
PRESETS = {
    "chapter-ae": "chapter",
    "chapter-vae": "chapter",
    "chapter-faces-vae": "chapter-faces",
    "lesson-conv-ae": "lesson-conv",
    "lesson-mlp-vae": "lesson-mlp",
    "lesson-conv-vae": "lesson-conv",
    "linear-ae": "linear",
}
PICTURES_ONLY = {
    *("lesson-conv-ae", "lesson-mlp-vae", "lesson-conv-vae"),
    *("denoising-ae", "super-resolution-ae", "inpainting-ae"),
    "msssim-vae",
}
SMALL = {
    "mlp": "mlp:16",
    "mlp-tanh": "mlp-tanh:16",
    "residual": "residual:8",
    "maps": "maps:8-8",
    "conv": "conv:8",
    "patches": "patches:16-8",
    "unet": "unet:4-8",
    "upscale": "upscale:4-4",
}


@dataclass(frozen=True)
class Case:
    """One variant with one network (None: its own) on one kind of data."""

    variant: str
    network: str | None
    kind: str

    @property
    def data(self) -> Schema:
        return SCHEMAS[self.kind]

    @property
    def options(self) -> dict:
        if self.network is None:
            return {}
        own = self.network in ("lesson-conv", "unet", "upscale")
        latent = {} if own else {"latent": 3}
        return {"network": SMALL.get(self.network, self.network), **latent}

    @property
    def recipe(self) -> Recipe:
        return Recipe(variant=self.variant, options=self.options)

    def build(self, seed: int = 0) -> Autoencoder:
        return build(self.data, self.recipe.model_copy(update={"seed": seed}))

    @property
    def claimed(self) -> bool | None:
        """Whether it must build; None for rows of others, which may refuse."""
        network = self.network or PRESETS.get(self.variant)
        if network not in CLAIMS:
            return None
        fits = CLAIMS[network](self.data)
        return fits and not (self.variant in PICTURES_ONLY and self.data.kind != "image")

    def __str__(self) -> str:
        return "-".join(filter(None, (self.variant, self.network, self.kind)))


ALL = [
    Case(variant, network, kind)
    for variant in VARIANTS
    for network in (NETWORKS if "network" in variant_options(variant) else [None])
    for kind in FORMATS
]


@cache
def builds(case: Case) -> bool:
    try:
        case.build()
    except UsageError:
        return False
    return True


FITTING = [case for case in ALL if case.claimed or (case.claimed is None and builds(case))]
# One case a variant and a network, on the smallest data that it takes.
EACH = list({(c.variant, c.network): c for c in reversed(FITTING)}.values())
# One case a variant.
FEW = list({c.variant: c for c in reversed(FITTING)}.values())


def is_core(case: Case) -> bool:
    """Whether the quick suite runs it: each variant with its usual network on small pictures and
    tables, and each network with two plain variants. The whole product is for the full suite."""
    usual = case.network in (None, "mlp") and case.kind in ("gray", "table")
    return usual or (case.variant in ("vae", "cvae") and case.kind in ("gray", "colour"))


def marked(cases: list[Case]) -> list:
    """The cases, those outside the core marked slow."""
    return [c if is_core(c) else pytest.param(c, marks=pytest.mark.slow) for c in cases]


def stored(data: Schema, rows: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows as they are stored, near one of four prototypes, and their classes."""
    rng = np.random.default_rng(seed)
    which = np.arange(rows) % 4
    if data.kind == "image":
        c, h, w = data.shape
        models = rng.choice([20.0, 230.0], (4, c, h // 4, w // 4)).repeat(4, 2).repeat(4, 3)
        x = models[which] + rng.normal(0, 8, (rows, *data.shape))
        x = np.clip(x, 0, 255).astype(np.uint8)
    else:
        x = rng.normal(0, 1, (4, *data.shape))[which] + rng.normal(0, 0.1, (rows, *data.shape))
        x = x.astype(np.float32)
    return x, (which % 3).astype(np.int64)


def feed_of(case: Case, rows: int = 32, seed: int = 0) -> Feed:
    x, y = stored(case.data, rows, seed)
    return Feed(x, y, FORMATS[case.kind])


def batch_of(case: Case, rows: int = 6, seed: int = 0) -> Batch:
    return feed_of(case, rows, seed).gather(np.arange(rows))


def training_of(case: Case, rows: int = 40, seed: int = 0, **plan) -> Training:
    model = case.build(seed)
    return Training(model, feed_of(case, rows), Plan(**{"seed": seed, "batch_size": 7} | plan))


def run(training: Training) -> list:
    return list(training.run())


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def differing(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that are not equal bit for bit."""
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]
