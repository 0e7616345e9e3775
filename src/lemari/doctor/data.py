"""Findings on the data: constant, of a range that the model cannot give, of a scale set by few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lemari.doctor.evidence import Evidence
from lemari.formats import Format, ImageFormat, TableFormat
from lemari.types import Finding

FLAT_VARIANCE = 1e-6
ROUNDING = 1e-4  # a thousand roundings of a float32 near 1, and a fortieth of an 8-bit step
NARROW = 0.33  # a tenth of the 3.29 sigma of a normal column's central 90 %
SMALL = 1 / 16  # of the range: 4 bits of 8 are lost
FAR = 10.0  # training sigmas; at most one training row in a hundred lies there (Chebyshev)


def constant_data(e: Evidence) -> Iterator[Finding]:
    """There is nothing to learn: all examples are equal."""
    if len(e.inputs) > 1 and float(np.var(e.inputs, axis=0).mean()) <= FLAT_VARIANCE:
        yield Finding(
            "constant-data",
            "warning",
            f"All {len(e.inputs)} held-out examples are equal (variance below {FLAT_VARIANCE:g}).",
            "Check that the data was exported as it should be; give examples that differ.",
        )


def pixel_range(e: Evidence) -> Iterator[Finding]:
    """Float pictures whose values do not lie between 0 and 1 were rescaled."""
    for note in e.notes:
        if "pixel range" in note:
            yield Finding(
                "pixel-range",
                "warning",
                note,
                "Scale pixels to 0..1 (or store them as 8 or 16 bit) if this range is not meant.",
            )


def support(e: Evidence) -> Iterator[Finding]:
    """Targets lie where the likelihood has no mass, or the sigmoid cannot get."""
    if not e.probe.bounded or not e.inputs.size:
        return
    low, high = float(e.inputs.min()), float(e.inputs.max())
    outside = float(np.mean((e.inputs < -ROUNDING) | (e.inputs > 1 + ROUNDING)))
    if outside:
        yield Finding(
            "outside-support",
            "error",
            f"Values reach from {low:.3g} to {high:.3g}, {outside:.1%} of them outside of 0 to 1, "
            "where this model's outputs lie.",
            "Scale the data to 0..1 before training.",
        )


def columns(e: Evidence) -> Iterator[Finding]:
    """Columns of a table whose scale a few rows have set, or that lie elsewhere than in training.

    Columns are standardised by the training rows, so both show in rows that the model is given.
    """
    if not e.probe.columns or len(e.inputs) < 50:
        return
    x = e.inputs.reshape(len(e.inputs), -1)
    low, middle, high = np.quantile(x, (0.05, 0.5, 0.95), axis=0)
    for name, width, centre in zip(e.probe.columns, high - low, middle, strict=True):
        if abs(centre) > FAR:
            yield Finding(
                "other-range",
                "error",
                f"Half of the rows of column {name!r} lie more than {FAR:g} training standard "
                f"deviations away from its training mean (median {centre:.3g}).",
                "Bring the column to the unit that it had in training.",
            )
        elif 0 < width < NARROW:
            yield Finding(
                "column-scale",
                "warning",
                f"Of column {name!r}, 90 % of the rows lie within {width:.2g} standard deviations "
                "(3.29 for a normal law): a few huge values set its scale and hide the others.",
                "Take the logarithm of this column, or clip it, before training.",
            )


def other_range(known: Format, new: Format) -> Iterator[Finding]:
    """New data whose values lie elsewhere than those of the training data.

    Picture files are left out: reading them brings any depth to the range of the format.
    """
    if isinstance(known, ImageFormat) and isinstance(new, ImageFormat):
        if new.layout == "files":
            return
        span = known.high - known.low
        low, high = ((v - known.low) / span for v in (new.low, new.high))
        if low < -1 / 255 or high > 1 + 1 / 255 or high - low < SMALL:
            yield mismatch("Pixels", (new.low, new.high), (known.low, known.high), "range")
    elif isinstance(known, TableFormat) and isinstance(new, TableFormat):
        place = {name: i for i, name in enumerate(new.columns)}
        for i, name in enumerate(known.columns):
            if (j := place.get(name)) is None:
                continue
            off = abs(new.mean[j] - known.mean[i]) / known.scale[i]
            ratio = new.scale[j] / known.scale[i]
            if off > FAR or not 1 / FAR < ratio < FAR:
                pairs = (new.mean[j], new.scale[j]), (known.mean[i], known.scale[i])
                yield mismatch(f"Values of column {name!r}", *pairs, "mean and scale")


def mismatch(what: str, new: tuple[float, float], known: tuple[float, float], kind: str) -> Finding:
    """New data of another range, or of another mean and scale."""
    return Finding(
        "other-range",
        "error",
        f"{what} of the new data have the {kind} {new[0]:.4g}, {new[1]:.4g}; in training they had "
        f"{known[0]:.4g}, {known[1]:.4g}.",
        "Bring the new data to the units of the training data.",
    )


FINDERS = (constant_data, pixel_range, support, columns)
