"""A fitted model as a folder: a recipe, a format, weights, and an index with their sums.

    recipe.json format.json weights.safetensors     what the model is
    index.json                                      version and sha256 of each, written last

Nothing in it is code or names code: variants and networks come from closed registries.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from lemari.assemble import options_of
from lemari.errors import ModelFileError, RunError, UsageError
from lemari.files import read_json, write_json
from lemari.folder_index import check_sums, write_index
from lemari.formats import Format, format_from_json
from lemari.model import Autoencoder
from lemari.registry import VARIANTS, nearest
from lemari.train import Plan, random_state
from lemari.types import Schema
from lemari.weights import read_tensors, write_tensors

PARTS = ("recipe.json", "format.json", "weights.safetensors")
KINDS = {
    "None": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
    "str": (str,),
}
WORDS = {
    "None": "none",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
}
LONGEST = 200  # characters of an option that is text, such as a network's name
Finite = Annotated[float, Field(allow_inf_nan=False)]
Option = Annotated[str, Field(max_length=LONGEST)] | int | Finite | bool | None


class Reading(BaseModel):
    """How the data was read: all that a recipe may pass on to `open_data`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    data_dir: str = ""
    shape: list[int] = []
    size: int | list[int] = 0
    label: str = ""
    channels: int = 0
    fit: str = ""
    drop: str | list[str] = []
    max_skipped: float = 0.5
    patch: int = 0
    degraded: str = ""


class DataReference(BaseModel):
    """Where the training data came from, and what is needed to see whether it is the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    rows: int = 0
    fingerprint: str = ""
    official_split: bool = False

    @field_validator("options")
    @classmethod
    def known(cls, options: dict[str, Any]) -> dict[str, Any]:
        Reading.model_validate(options)
        return options


class Recipe(BaseModel):
    """All that leads from data to weights; with the same machine and threads, bit for bit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    variant: str
    options: dict[str, Option] = Field(default_factory=dict)
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=1)
    lr: float = Field(1e-3, gt=0, allow_inf_nan=False)
    seed: int = Field(0, ge=-(2**63), lt=2**63)
    schedule: Literal["constant", "cosine"] = "cosine"
    augment: Literal["none", "flip", "dihedral"] = "none"
    patience: int | None = Field(None, ge=1)
    threads: int = Field(1, ge=1, le=1024)
    precision: Literal["float32", "bfloat16"] = "float32"
    held_out: float = Field(0.1, ge=0, lt=1)
    data: DataReference = DataReference()

    @property
    def plan(self) -> Plan:
        return Plan(self.epochs, self.batch_size, self.lr, self.seed, self.schedule, self.augment,
                    self.patience)  # fmt: skip


def build(schema: Schema, recipe: Recipe) -> Autoencoder:
    """The untrained model of a recipe, its first weights drawn from the recipe's seed."""
    with random_state(recipe.seed):
        model = VARIANTS[recipe.variant](schema, **recipe.options)
    model.mixed = recipe.precision == "bfloat16"
    return model.to(memory_format=torch.channels_last)


@dataclass
class Fitted:
    """A trained model with the format that its data came in and the recipe that made it."""

    model: Autoencoder
    format: Format
    recipe: Recipe

    def save(self, folder: Path | str) -> Path:
        """Write the parts and, last, the index. What was there stays whole until then."""
        folder = Path(folder)
        if folder.is_file():
            raise RunError(f"{folder} is a file; give a folder to save the model in.")
        write_json(folder / "recipe.json", self.recipe.model_dump())
        write_json(folder / "format.json", self.format.to_json())
        write_tensors(folder / "weights.safetensors", single(self.model.state_dict()))
        write_index(folder, PARTS)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> Fitted:
        """Read a folder back, every part checked first. Raises ModelFileError."""
        folder = Path(folder)
        check_index(folder)
        recipe = read_recipe(folder / "recipe.json")
        format = format_from_json(read_json(folder / "format.json"))
        expected = shapes_of(format.schema, recipe)
        tensors = read_tensors(folder / "weights.safetensors", expected)
        model = build(format.schema, recipe)
        model.load_state_dict(tensors)
        return cls(model.eval(), format, recipe)


def single(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """float64 weights as float32: tables are used in double precision, but trained in single."""
    return {n: t.float() if t.dtype == torch.float64 else t for n, t in tensors.items()}


def check_index(folder: Path) -> None:
    """Every part is there and has the sum that was written last."""
    if (folder / "detector.json").is_file():
        raise ModelFileError(f"{folder} is a detector, which has no code; use `lemari detect`.")
    if not (folder / "index.json").is_file():
        if not (folder / "recipe.json").is_file():
            where = "holds no model" if folder.exists() else "does not exist"
            raise ModelFileError(f"{folder} {where}; give the folder of a run or of a saved model.")
        raise ModelFileError(
            f"{folder} holds no finished model; finish it with `lemari train --resume {folder}`."
        )
    check_sums(folder, PARTS)


def read_recipe(path: Path) -> Recipe:
    """A recipe, strictly: unknown keys and wrong types are refused."""
    try:
        return Recipe.model_validate(read_json(path), strict=True)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelFileError(
            f"{path} was changed or is of another version ({place[:80]!r}: {first['msg'][:200]}); "
            "use a backup, or train again."
        ) from fault


def shapes_of(schema: Schema, recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that a recipe leads to, without allocating them."""
    if recipe.variant not in VARIANTS:
        raise ModelFileError(
            nearest(recipe.variant[:80], VARIANTS, "variant")
            + " If a package provides it, install that package."
        )
    try:
        check_types(recipe.variant, recipe.options)
        with torch.device("meta"):
            model = VARIANTS[recipe.variant](schema, **recipe.options)
    except Exception as fault:  # whatever a changed recipe provokes, it is the file's fault
        raise ModelFileError(
            f"The recipe cannot be built ({str(fault)[:300]}); recipe.json or format.json was "
            "changed. Use a backup, or train again."
        ) from fault
    return {name: tuple(t.shape) for name, t in model.state_dict().items()}


def check_types(variant: str, options: dict[str, Any]) -> None:
    """Each option is of the type that the variant's signature says."""
    known = options_of(VARIANTS[variant])
    for name, value in options.items():
        note = str(known[name].annotation) if name in known else "Any"
        kinds = [KINDS.get(part.strip()) for part in note.split("|")]
        if None not in kinds and not any(type(value) in kind for kind in kinds if kind):
            raise UsageError(f"{name} is {worded(note)}, not {str(value)[:80]!r}.")


def worded(note: str) -> str:
    """A type of a signature in words.

    >>> worded("int | None"), worded("str")
    ('a whole number or none', 'text')
    """
    return " or ".join(WORDS.get(part.strip(), part.strip()) for part in note.split("|"))
