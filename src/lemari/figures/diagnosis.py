"""Pictures for a verdict: shares of the latent area, quality between codes, scores compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lemari.figures.style import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    PAPER,
    SECOND,
    WIDTH,
    class_look,
    counted,
    drawn,
    limits,
    number,
    page,
    shorten,
)


@drawn
def class_share(shares: Mapping[str, float], empty: float) -> Figure:
    """How much of the latent area each class takes, and how much holds no class at all.

    `shares` maps a class to its part of the area in [0, 1], `empty` is the part without data.
    """
    names = sorted(shares, key=lambda name: -shares[name])
    places = {name: i for i, name in enumerate(shares)}
    values = np.nan_to_num(np.array([shares[name] for name in names] + [empty], float))
    even = (1 - values[-1]) / max(1, len(names))
    note = "Share of the area that the codes span."
    note += " Line: an even share of the part that is filled." if len(names) > 1 else ""
    title = f"{100 * values[-1]:.0f} % of the latent area is empty"
    figure = page(WIDTH * 0.7, 0.4 + 0.2 * len(values), title, note)
    axes = figure.add_subplot()
    colours = [class_look(places[name])[0] for name in names]
    rows = np.arange(len(values))
    axes.barh(rows[:-1], 100 * values[:-1], color=colours, height=0.68)
    axes.barh(
        rows[-1:], 100 * values[-1:], color="none", edgecolor=MUTED, hatch="////", height=0.68
    )
    for row, value in zip(rows, values, strict=True):
        axes.annotate(
            f"{100 * value:.1f} %", (100 * value, row), (4, 0), va="center", size=7,
            textcoords="offset points", bbox={"facecolor": PAPER, "pad": 0.8, "linewidth": 0},
        )  # fmt: skip
    if len(names) > 1:
        axes.plot([100 * even] * 2, [-0.5, len(names) - 0.5], color=INK, linewidth=0.8, zorder=2)
    axes.set_yticks(rows, [*(shorten(name, 24) for name in names), "empty"])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(xlim=(0, 100 * max(values.max(), 0.01) * 1.12), ylim=(len(values) - 0.5, -0.5))
    axes.set_xlabel("share of the area, %")
    return figure


@drawn
def neighbour_quality(distance: np.ndarray, error: np.ndarray) -> Figure:
    """How well the decoder does between two neighbouring codes, by how far these lie apart.

    Shapes: distance (N,) between the two codes, error (N,) of the picture decoded midway.
    """
    far, off = (np.asarray(a, float).reshape(-1) for a in (distance, error))
    keep = np.isfinite(far) & np.isfinite(off)
    far, off = far[keep], off[keep]
    note = f"{counted(len(far), 'point')} midway between neighbouring codes"
    note += ". Line: median of each tenth." if len(far) >= 30 else "."
    figure = page(WIDTH * 0.7, 3.0, "Decode error between codes", note)
    axes = figure.add_subplot()
    area = float(np.clip(8000 / max(1, len(far)), 2, 20))
    axes.scatter(far, off, s=area, c=ACCENT, alpha=0.4, linewidths=0)
    if len(far) >= 30:
        tenths = np.array_split(np.argsort(far, kind="stable"), 10)
        middle = np.array([[np.median(far[t]), np.median(off[t])] for t in tenths])
        axes.plot(middle[:, 0], middle[:, 1], color=SECOND, marker="o", markersize=3.5)
    axes.set(xlim=limits(far), ylim=limits(off))
    axes.set(xlabel="distance between the two codes", ylabel="error midway")
    axes.grid(True)
    return figure


@drawn
def comparison_bars(
    rows: Sequence[Mapping[str, object]], title: str, better: str = "lower"
) -> Figure:
    """A score beside its baselines, as bars; the first row is the model and stands out.

    `rows` hold `name` and `value`; `better` is "lower" or "higher".
    """
    names = [shorten(row["name"], 26) for row in rows]
    values = np.array([float(row["value"]) for row in rows])  # pyright: ignore[reportArgumentType]
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    figure = page(WIDTH * 0.6, 0.25 + 0.24 * len(rows), title, f"{better.capitalize()} is better.")
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    axes.barh(places, finite, color=[ACCENT] + [FAINT] * (len(rows) - 1), height=0.66)
    for place, value, bar in zip(places, values, finite, strict=True):
        axes.annotate(
            number(value), (bar, place), (4 if bar >= 0 else -4, 0), va="center", size=7.5,
            ha="left" if bar >= 0 else "right", textcoords="offset points",
            weight="bold" if place == 0 else "normal",
        )  # fmt: skip
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=8)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    span = max(np.ptp([0, *finite]), 1e-12)
    low = finite.min(initial=0)
    axes.set_xlim(low - 0.14 * span * (low < 0), finite.max(initial=0) + 0.14 * span)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    return figure
