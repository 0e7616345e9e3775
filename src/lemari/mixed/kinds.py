"""The kind of each column: numeric, boolean, category, date, constant or ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lemari.errors import DataError, UsageError
from lemari.mixed.cells import (
    Column,
    Text,
    dates_in,
    missing_in,
    numbers_in,
    text_in,
    truth_words,
    truths_in,
)
from lemari.mixed.frame import near

ASKED = ("numeric", "boolean", "category", "date", "ignored")
ODD = 0.01  # share of odd cells up to which a column of text still is numbers or dates
DISTINCT = 0.9  # share of distinct values from which text is an identifier
FEW = 30  # distinct values that are never an identifier


@dataclass(frozen=True, slots=True)
class Inferred:
    """The base of a column, its values (float64 with NaN, or used `Text`), and what to know.

    `words` are a boolean's words for false and true; `ignored` says why it is left out.
    """

    base: str
    values: Column
    words: tuple[str, ...] = ()
    note: str = ""
    ignored: bool = False


def check_types(types: Mapping[str, str] | None, names: Sequence[str]) -> dict[str, str]:
    """Kinds that a user asks for by column; UsageError for unknown names and kinds."""
    types = dict(types or {})
    known = set(names)
    for name, kind in types.items():
        if name not in known:
            raise UsageError(
                f"types names '{name}', but the nearest columns are {near(name, names)}."
            )
        if kind not in ASKED:
            raise UsageError(
                f"types asks for '{kind}' in column '{name}'; the kinds are {', '.join(ASKED)}, "
                f"the nearest is {near(kind, ASKED).split(',')[0]}."
            )
    return types


def infer(name: str, column: Column, wanted: str | None = None) -> Inferred:
    """The base and values of a training column, as the user wants it or by its cells.

    Raises DataError when the wanted kind does not fit any cell.
    """
    known = len(column) - int(missing_in(column).sum())
    base = "category" if isinstance(column, Text) else "numeric"
    if wanted == "ignored":
        return Inferred(base, column, note="ignored as asked", ignored=True)
    if not known:
        return Inferred(base, column, note="all values are missing; ignored", ignored=True)
    if wanted:
        return _asked(name, column, wanted, known)
    if isinstance(column, Text):
        return _text(column.used(), known)
    if column.dtype.kind == "b":
        return Inferred("boolean", truths_in(column)[0], ("False", "True"))
    if column.dtype.kind == "M":
        return Inferred("date", dates_in(column)[0])
    return Inferred("numeric", numbers_in(column)[0])


def _asked(name: str, column: Column, wanted: str, known: int) -> Inferred:
    """The column as the kind that the user asked for."""
    if wanted == "category":
        return Inferred("category", text_in(column).used())
    values, odd = read_as(wanted, column)
    if odd == known or (wanted == "boolean" and odd):
        what = {"numeric": "numbers", "date": "dates such as 2013-09-01 10:15"}
        raise DataError(
            f"Column '{name}' was asked to be {wanted}, but {odd:,} of its {known:,} cells are no "
            f"{what.get(wanted, 'true or false')}; ask for another kind or leave it out."
        )
    return Inferred(wanted, values, _words(column, wanted), odd_note(wanted, odd))


def read_as(base: str, column: Column) -> tuple[np.ndarray, int]:
    """The cells as numbers, truths (0 and 1) or dates (seconds), and how many are none."""
    readers = {"numeric": numbers_in, "boolean": truths_in, "date": dates_in}
    return readers[base](column)


def _words(column: Column, base: str) -> tuple[str, ...]:
    if base != "boolean":
        return ()
    levels = column.used().levels if isinstance(column, Text) else ()
    return truth_words(levels) or ("False", "True")


def odd_note(base: str, odd: int) -> str:
    """A sentence on cells that are present but of another kind; empty when there is none."""
    what = {"numeric": "a number", "date": "a date"}.get(base, "true or false")
    return f"cells that are not {what}, taken as missing: {odd:,}" if odd else ""


def _text(column: Text, known: int) -> Inferred:
    """Text: truths, numbers or dates when (almost) all of it reads so, else levels or names."""
    levels = column.levels
    if truth_words(levels) or (len(levels) == 1 and levels[0].lower() in ("true", "false")):
        return Inferred("boolean", truths_in(column)[0], truth_words(levels) or ("False", "True"))
    note = ""
    for base in ("numeric", "date"):
        values, odd = read_as(base, column)
        if odd <= ODD * known:
            return Inferred(base, values, note=odd_note(base, odd))
        if odd <= known / 2:
            kind = "numbers" if base == "numeric" else "dates"
            note = (
                f"{known - odd:,} of {known:,} cells are {kind}, too few to take the others as "
                f"missing, so all are texts; mend them, or ask for the kind {base}"
            )
    if len(levels) > max(FEW, DISTINCT * known):
        told = f"{len(levels):,} distinct texts in {known:,} rows: an identifier; ignored"
        note = f"{told} ({note})" if note else told
        return Inferred("category", column, note=note, ignored=True)
    return Inferred("category", column, note=note)
