"""Training over the epochs, and how much each dimension of the code carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lemari.figures.style import (
    ACCENT,
    FAINT,
    INK,
    MUTED,
    SECOND,
    WIDTH,
    drawn,
    number,
    page,
    quiet,
    shorten,
)

Record = Mapping[str, object]
_STEP_NAMES = ("learning_rate", "lr")


def _value(record: Record, *path: str) -> float:
    found: object = record
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, (int, float)) and np.isfinite(found):
        return float(found)
    return float("nan")


def _series(history: Sequence[Record], *path: str) -> np.ndarray:
    return np.array([_value(record, *path) for record in history])


def _step_size(history: Sequence[Record]) -> np.ndarray:
    for path in [(n,) for n in _STEP_NAMES] + [("measures", n) for n in _STEP_NAMES]:
        values = _series(history, *path)
        if np.isfinite(values).any():
            return values
    return np.array([])


def _term_names(history: Sequence[Record]) -> list[str]:
    names: dict[str, None] = {}
    for record in history:
        terms = record.get("terms")
        names.update(dict.fromkeys(terms if isinstance(terms, Mapping) else ()))
    return list(names)[:10]


@drawn
def loss_curves(history: Sequence[Record]) -> Figure:
    """Loss on training and held-out rows, each of its terms, and the learning rate.

    `history` holds one record an epoch: number, loss, terms {name: value}, valid {"loss": value,
    name: value}, all in nats per example, and learning_rate (or lr) where it is known.
    """
    extra = (("learning rate", _step_size(history)),)
    return _curves(history, "Loss over the epochs", extra)


@drawn
def learning_curves(history: Sequence[Record]) -> Figure:
    """Loss, its terms, use of discrete codes and throughput. Records as in `loss_curves`."""
    names = {"usage": "share of codes used", "perplexity": "perplexity of codes"}
    told = [(title, _series(history, "measures", name)) for name, title in names.items()]
    extra = (*told, ("throughput, rows per second", _series(history, "rate")))
    return _curves(history, "Learning curves", extra)


def _curves(
    history: Sequence[Record], title: str, extra: Sequence[tuple[str, np.ndarray]]
) -> Figure:
    if not len(history):
        figure = page(WIDTH * 0.6, 1.2, title)
        words = {"ha": "center", "va": "center", "color": MUTED}
        quiet(figure.add_subplot()).text(0.5, 0.5, "No epoch has been recorded.", **words)  # pyright: ignore[reportArgumentType]
        return figure
    epochs = _series(history, "number")
    epochs = np.where(np.isfinite(epochs), epochs, np.arange(1, len(history) + 1))
    panels = [("loss", _series(history, "loss"), _series(history, "valid", "loss"))]
    for name in _term_names(history):
        panels.append((name, _series(history, "terms", name), _series(history, "valid", name)))
    panels += [(name, values, np.array([])) for name, values in extra]
    panels = [p for p in panels if np.isfinite(p[1]).any() or np.isfinite(p[2]).any()]
    columns = 2 if len(panels) == 4 else min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    note = "Nats per example. Solid: training rows. Dashed: rows not trained on."
    figure = page(WIDTH * (0.34 + 0.22 * columns), 2.3 * rows, title, note)
    for i, (name, train, held) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, i + 1)
        _curve(axes, epochs, train, held)
        axes.set_title(shorten(name, 34))
        if i + columns >= len(panels):
            axes.set_xlabel("epoch")
    return figure


def _curve(axes: Axes, epochs: np.ndarray, train: np.ndarray, held: np.ndarray) -> None:
    marker = "o" if len(epochs) <= 20 else ""
    for values, colour, line in ((train, ACCENT, "-"), (held, SECOND, "--")):
        if len(values) == len(epochs) and np.isfinite(values).any():
            axes.plot(epochs, values, line, color=colour, marker=marker, markersize=2.5)
    values = np.concatenate([train, held])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() / values.min() > 50:
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}".replace("-", "−")))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
    axes.grid(True, axis="y")


@drawn
def kl_per_dimension(kl: np.ndarray, threshold: float = 0.01) -> Figure:
    """How many nats each dimension carries, sorted, with the line under which it counts as idle.

    Shapes: kl (D,), the mean KL divergence of each dimension in nats.
    """
    values = np.nan_to_num(np.asarray(kl, float).reshape(-1))
    order = np.argsort(-values, kind="stable")
    ranked, active = values[order], int((values > threshold).sum())
    note = f"{number(values.sum())} nats in all. Idle: under {threshold:g} nats (dashed). The axis"
    note += " is logarithmic above that line."
    title = f"{active} of {len(values)} dimensions are in use"
    figure = page(WIDTH if len(values) > 12 else WIDTH * 0.6, 2.6, title, note)
    axes = figure.add_subplot()
    edges = np.arange(len(ranked) + 1) - 0.5
    gap = 0.35 if len(ranked) <= 80 else 0.0
    for part, colour in ((ranked > threshold, ACCENT), (ranked <= threshold, FAINT)):
        places = np.flatnonzero(part)
        axes.bar(places, ranked[places], width=1 - gap, color=colour, linewidth=0)
    axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yscale("symlog", linthresh=threshold, linscale=0.5)
    axes.set_xlim(edges[0] - 0.2, max(edges[-1], 4) + 0.2)
    axes.set_ylim(min(0.0, ranked.min()), max(10 * threshold, ranked.max() * 1.3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_ylabel("KL, nats")
    _dimension_ticks(axes, order)
    return figure


def _dimension_ticks(axes: Axes, order: np.ndarray) -> None:
    if len(order) <= 40:
        axes.set_xticks(np.arange(len(order)), [f"z{i}" for i in order])
        axes.tick_params(axis="x", labelrotation=90 if len(order) > 20 else 0, length=0)
        axes.set_xlabel("dimension")
    else:
        axes.set_xlabel("dimensions, from the most to the least used")
