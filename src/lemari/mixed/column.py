"""What is known of one column, and which features it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["numeric", "boolean", "category", "date", "constant", "ignored"]
KINDS: tuple[str, ...] = ("numeric", "boolean", "category", "date", "constant", "ignored")
BASES: tuple[str, ...] = ("numeric", "boolean", "category", "date")
CYCLES = {"hour": 86_400.0, "weekday": 604_800.0}  # seconds of a full turn

MOST_INDICATED = 29  # levels with an indicator of their own; "other" is the thirtieth
MOST_LEVELS = 10_000  # levels that are kept; rarer ones count as new
COMMON = 0.01  # share of rows from which a level of a many-level column has an indicator
BOUND = 1e4  # features are clipped to +- this; no training row of 1e8 or fewer can reach it
UNUSUAL = 10.0  # the feature of a changed constant, and of a value missing where none ever was


@dataclass(frozen=True, slots=True)
class MixedColumn:
    """One column of the training rows.

    `base` is what its values are, also where `kind` is constant or ignored. Numbers, truths (0
    and 1) and dates (seconds since 1970, UTC) have a mean `center` and standard deviation
    `scale`, and lie within `low` and `high`; `whole` says that all numbers are whole, or all
    dates without a time. A category has its `levels`, most frequent first, with their `counts`;
    its center and scale are those of the rarity. `levels` of a boolean are its words for false
    and true. `missing_share` is in [0, 1].
    """

    name: str
    kind: Kind
    base: str = "numeric"
    levels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 0.0
    missing_share: float = 0.0
    whole: bool = False
    cycles: tuple[str, ...] = ()
    note: str = ""

    @property
    def many(self) -> bool:
        """Whether this is a category with too many levels for an indicator each."""
        return self.kind == "category" and len(self.levels) > MOST_INDICATED

    def indicated(self, rows: int) -> int:
        """How many of the first levels have an indicator, of a category seen in `rows` rows."""
        if not self.many:
            return len(self.levels)
        common = sum(count >= COMMON * rows for count in self.counts[:MOST_INDICATED])
        return common


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of an encoded row.

    Roles: "value" (standardised number or truth; a constant's change), "level" (1 for that level,
    None for any other), "rarity" (standardised -log frequency of the level), "missing" (1 where
    missing), "time" (standardised seconds), "hour" and "weekday" (level "sin" or "cos").
    """

    column: int
    role: str
    level: str | None = None


def features_of(index: int, column: MixedColumn, rows: int) -> list[Feature]:
    """The features of one column, in order; none when it is ignored."""
    if column.kind == "ignored":
        return []
    if column.kind == "category":
        out = [Feature(index, "rarity")] if column.many else []
        out += [Feature(index, "level", v) for v in column.levels[: column.indicated(rows)]]
        out.append(Feature(index, "level", None))
    else:
        out = [Feature(index, "time" if column.kind == "date" else "value")]
        out += [Feature(index, c, part) for c in column.cycles for part in ("sin", "cos")]
    return [*out, Feature(index, "missing")] if column.missing_share else out
