"""Several runs in one picture: how they learned, what they rebuild, what they make up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lemari.figures.sheet import GAP, Sheet, as_rgb, fitted
from lemari.figures.style import DPI, INK, MUTED, PAD, class_look, drawn, number, shorten_middle

_WIDTH, _LEFT, _EDGE = round(9.2 * DPI), 190, round(PAD * DPI)
_CURVES, _HEAD = 400, 44  # pixels of the panels, of the heading of a part
_MOST = 110  # pixels of a picture in a strip

Records = Sequence[Mapping[str, object]]


@drawn
def comparison(
    histories: Mapping[str, Records],
    originals: np.ndarray | None = None,
    rebuilt: Mapping[str, np.ndarray] | None = None,
    samples: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Learning curves of all runs; below, a strip of reconstructions and one of samples each.

    `histories` maps a run to its epoch records (see `loss_curves`). Shapes: originals, rebuilt
    and samples (N, H, W, C) in [0, 1]; the first ten are drawn.
    """
    names = list(histories)
    strips: list[tuple[str, str, np.ndarray, str]] = []  # heading, name, pictures, colour
    if originals is not None and rebuilt is not None:
        strips.append(("The same held-out rows, rebuilt", "original", originals, INK))
        strips += [("", n, rebuilt[n], colour(names, n)) for n in names]
    for n in names if samples is not None else ():
        heading = "New pictures, decoded from random codes" if n == names[0] else ""
        strips.append((heading, n, samples[n], colour(names, n)))  # pyright: ignore[reportOptionalSubscript]
    size, tall = cell(strips)
    body = _CURVES + 24 + sum(tall + (_HEAD if heading else 0) for heading, *_ in strips)
    note = "Losses in nats compare only between models of one likelihood; errors between all."
    sheet = Sheet(_WIDTH, body, f"{len(names)} runs side by side", note)
    paste(sheet, strips, size, tall, originals)
    figure = sheet.figure()
    panels(figure, sheet, histories, names)
    return figure


def colour(names: Sequence[str], name: str) -> str:
    return class_look(names.index(name))[0]


def cell(strips: Sequence[tuple]) -> tuple[tuple[int, int], int]:
    """Size of one picture in a strip, and the height of a strip."""
    if not strips:
        return (0, 0), 0
    shape = np.asarray(strips[0][2]).shape
    room = (_WIDTH - _LEFT - 2 * _EDGE) // 10 - GAP
    size = fitted(shape[1], shape[2], min(room, _MOST), _MOST)
    return size, max(size[1], 40) + GAP


def paste(sheet: Sheet, strips: Sequence[tuple], size: tuple[int, int], tall: int, truth) -> None:
    """Lay the strips under the panels, each with its name and, of reconstructions, its error."""
    y, rebuilding = sheet.top + _CURVES, False
    for heading, name, images, ink in strips:
        if heading:
            y += _HEAD
            sheet.write(_EDGE, y - 14, heading, weight="bold", size=8.5)
            rebuilding = name == "original"
        words = fill(shorten_middle(name, 36), 18)
        if rebuilding and name != "original":
            count = min(10, len(images))
            error = np.mean(np.square(np.asarray(truth)[:count] - np.asarray(images)[:count]))
            words += f"\nMSE {number(float(error))}"
        if ink != INK:
            mark = np.broadcast_to(to_rgb(ink), (1, 1, 3)).astype(np.float32)
            sheet.paste(mark, _EDGE, y, (5, size[1]))
        sheet.write(_EDGE + 16, y + size[1] / 2, words, va="center", size=7.5, linespacing=1.3)
        for column, picture in enumerate(as_rgb(images)[:10]):
            sheet.paste(picture, _EDGE + _LEFT + column * (size[0] + GAP), y, size)
        y += tall


def panels(
    figure: Figure, sheet: Sheet, histories: Mapping[str, Records], names: Sequence[str]
) -> None:
    """Held-out error and held-out loss over the epochs, all runs in each."""
    wide = (sheet.width - 3 * _EDGE) / 2
    parts = (("mse", "mean squared error, held-out rows"), ("loss", "loss, held-out rows, nats"))
    for column, (key, title) in enumerate(parts):
        left, low = _EDGE + 70 + column * (wide + _EDGE), sheet.top + _CURVES - 60
        box = (left / sheet.width, 1 - low / sheet.height, (wide - 80) / sheet.width,
               (_CURVES - 100) / sheet.height)  # fmt: skip
        axes = figure.add_axes(box, label=key)
        for name in names:
            curve(axes, histories[name], key, name, colour(names, name))
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(True, axis="y")
        if column == 1 and axes.lines:
            axes.legend(loc="best")
        if not axes.lines:
            axes.text(0.5, 0.5, "not recorded", ha="center", color=MUTED, transform=axes.transAxes)


def curve(axes: Axes, records: Records, key: str, name: str, ink: str) -> None:
    points = []
    for record in records:
        valid = record.get("valid")
        value = valid.get(key) if isinstance(valid, Mapping) else None
        if isinstance(value, int | float) and np.isfinite(value):
            points.append((record.get("number", len(points) + 1), value))
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=ink, marker="o" if len(x) <= 20 else "", markersize=2.5,
                  label=shorten_middle(name, 30))  # fmt: skip
