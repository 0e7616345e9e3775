"""The network as an hourglass of blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from lemari.figures.style import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SECOND,
    WIDTH,
    drawn,
    page,
    quiet,
    shorten,
)

Layer = Mapping[str, object]
_UPRIGHT = 9


@drawn
def layer_diagram(layers: Sequence[Layer], total: int | None = None) -> Figure:
    """Encoder and decoder as an hourglass: one block a layer, with its output and parameters.

    `layers` hold `name`, `kind`, `output` (a shape without the batch), `parameters` and `part`
    ("encoder" or "decoder"). Height follows the size of the feature map, width the channels; in
    a network of vectors, height follows their length.
    """
    layers = list(layers)
    counts = {p: sum(_count(n) for n in layers if _part(n) == p) for p in ("encoder", "decoder")}
    everything = sum(counts.values()) if total is None else total
    note = f"Encoder {counts['encoder']:,}, decoder {counts['decoder']:,} parameters. Pale blocks"
    note += " have none."
    steep = len(layers) > _UPRIGHT
    width = float(np.clip(0.3 * len(layers), WIDTH, 13))
    figure = page(
        width, 3.0 + (0.75 if steep else 0.1), f"The network: {everything:,} parameters", note
    )
    axes = quiet(figure.add_subplot())
    high, wide = _heights(layers), _widths(layers)
    for i, layer in enumerate(layers):
        _block(axes, layer, i + 0.5, wide[i], high[i])
        _label(axes, layer, i + 0.5, steep, len(layers))
    _divide(axes, layers)
    axes.set(xlim=(0, max(1, len(layers))), ylim=(-1.7 if steep else -0.95, 0.72))
    return figure


def _part(layer: Layer) -> str:
    return "decoder" if layer.get("part") == "decoder" else "encoder"


def _count(layer: Layer) -> int:
    return int(layer.get("parameters") or 0)  # pyright: ignore[reportArgumentType]


def _shape(layer: Layer) -> tuple[int, ...]:
    return tuple(int(side) for side in layer.get("output") or ()) or (1,)  # pyright: ignore[reportGeneralTypeIssues]


def _maps(layers: Sequence[Layer]) -> bool:
    return 2 * sum(len(_shape(layer)) > 1 for layer in layers) >= len(layers)


def _heights(layers: Sequence[Layer]) -> np.ndarray:
    if _maps(layers):
        sides = [max(_shape(n)[1:], default=1) for n in layers]
        values = np.sqrt(np.array(sides, float))
    else:
        values = np.sqrt(np.array([prod(_shape(n)) for n in layers], float))
    return np.clip(values / max(values.max(initial=1.0), 1e-9), 0.06, 1.0)


def _widths(layers: Sequence[Layer]) -> np.ndarray:
    """Parts of a layer's place along the page, at most 0.84."""
    if not _maps(layers):
        return np.full(len(layers), 0.5)
    values = np.log2(1 + np.array([_shape(n)[0] for n in layers], float)) + 0.5
    return 0.84 * values / values.max(initial=1.0)


def _block(axes: Axes, layer: Layer, centre: float, width: float, height: float) -> None:
    colour = ACCENT if _part(layer) == "encoder" else SECOND
    axes.add_patch(
        FancyBboxPatch(
            (centre - width / 2, -height / 2), width, height, boxstyle="square,pad=0",
            facecolor=colour, alpha=1.0 if _count(layer) else 0.3, edgecolor=PAPER, linewidth=0.6,
        )
    )  # fmt: skip


def _label(axes: Axes, layer: Layer, centre: float, steep: bool, many: int) -> None:
    kind = shorten(layer.get("kind") or layer.get("name") or "", 18 if steep else 16)
    shape = "×".join(str(side) for side in _shape(layer))
    weights = f"{_count(layer):,}" if _count(layer) else "–"
    if steep:
        size = 6.5 if many <= 30 else 5.5
        axes.text(centre, -0.58, kind, rotation=90, ha="center", va="top", size=size)
        axes.text(centre, -1.14, shape, rotation=90, ha="center", va="top", size=size)
        words = {"rotation": 90, "ha": "center", "va": "top", "size": size, "color": MUTED}
        axes.text(centre, -1.52, weights, **words)
    else:
        axes.text(centre, -0.58, kind, ha="center", va="top", size=7, weight="bold")
        axes.text(centre, -0.70, shape, ha="center", va="top", size=7.5)
        axes.text(centre, -0.81, weights, ha="center", va="top", size=7, color=MUTED)


def _divide(axes: Axes, layers: Sequence[Layer]) -> None:
    """Name the two parts, and draw the line at which the code passes from one to the other."""
    first, last = sum(_part(layer) == "encoder" for layer in layers), len(layers)
    words = {"size": 7, "weight": "bold"}
    if first:
        axes.text(0.06, 0.6, "ENCODER", color=ACCENT, **words)
    if first < last:
        axes.text(last - 0.06, 0.6, "DECODER", color=SECOND, ha="right", **words)
    if 0 < first < last:
        axes.plot([first, first], [-0.52, 0.56], color=MUTED, lw=0.8, linestyle=(0, (4, 3)))
        axes.text(first, 0.6, "code", size=7, color=INK, ha="center")
