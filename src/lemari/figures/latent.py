"""The latent space: where examples lie, what lies between them, how it meets the prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lemari.figures.sheet import GAP, Sheet, as_rgb, fitted
from lemari.figures.style import (
    ACCENT,
    DPI,
    FAINT,
    INK,
    MUTED,
    PAD,
    PAPER,
    RULE,
    SECOND,
    WIDTH,
    class_look,
    class_name,
    counted,
    drawn,
    limits,
    number,
    page,
    shorten,
)

_ENTRIES = 40
_PER_COLUMN = 20


def plane(codes: np.ndarray) -> np.ndarray:
    """Codes (N, D) as points (N, 2): the first two columns, or one column spread in height."""
    points = np.asarray(codes, float)
    points = points.reshape(len(points), -1)
    if points.shape[1] >= 2:
        return points[:, :2]
    spread = np.random.default_rng(0).uniform(-1, 1, len(points))
    return np.column_stack([points[:, 0] if points.shape[1] else np.zeros(len(points)), spread])


def mark(axes: Axes, points: np.ndarray, labels: np.ndarray | None, faint: bool = False) -> None:
    """Draw points (N, 2), coloured by label where there is one; unknown labels are grey.

    The order is mixed, so that no class hides another.
    """
    numbers = _numbers(labels, len(points))
    area = float(np.clip(24000 / max(1, len(points)), 2.5, 26))
    alpha = (0.45 if faint else 0.75) if len(points) > 300 else 0.85
    looks = {i: class_look(i) if i >= 0 else (FAINT, "o") for i in np.unique(numbers).tolist()}
    if labels is None:
        looks = {-1: (ACCENT, "o")}
    mixed = np.random.default_rng(0).permutation(len(points))
    for marker in dict.fromkeys(marker for _, marker in looks.values()):
        here = [i for i in mixed if looks[int(numbers[i])][1] == marker]
        colours = [looks[int(numbers[i])][0] for i in here]
        options = {"marker": marker, "alpha": alpha, "linewidths": 0}
        axes.scatter(points[here, 0], points[here, 1], s=area, c=colours, **options)


def _flat(codes: np.ndarray) -> bool:
    return np.asarray(codes).reshape(len(codes), -1).shape[1] < 2


def _numbers(labels: np.ndarray | None, count: int) -> np.ndarray:
    if labels is None:
        return np.full(count, -1)
    return np.asarray(labels).astype(int).reshape(-1)


def legend(axes: Axes, labels: np.ndarray | None, classes: Sequence[str]) -> None:
    """Name the classes that occur, outside the axes on the right."""
    if labels is None:
        return
    found = [int(i) for i in np.unique(_numbers(labels, 0))]
    found = [i for i in found if i >= 0] + [i for i in found if i < 0][:1]
    handles = [_handle(i, classes) for i in found[:_ENTRIES]]
    if len(found) > _ENTRIES:
        handles[-1] = Line2D([], [], linestyle="", label=f"and {len(found) - _ENTRIES + 1} more")
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        ncols=-(-len(handles) // _PER_COLUMN),
        handletextpad=0.2,
        columnspacing=1.0,
        borderaxespad=0.0,
    )


def _handle(index: int, classes: Sequence[str]) -> Line2D:
    colour, marker = class_look(index) if index >= 0 else (FAINT, "o")
    name = class_name(index, classes)
    return Line2D(
        [], [], linestyle="", marker=marker, color=colour, label=name, markersize=5, mew=0
    )


def _ground(axes: Axes, points: np.ndarray, flat: bool, names: Sequence[str]) -> None:
    axes.set_xlim(limits(points[:, 0]))
    axes.set_ylim(limits(points[:, 1]))
    axes.grid(True)
    axes.set_xlabel(names[0])
    if flat:
        axes.set_yticks([])
    else:
        axes.set_ylabel(names[1] if len(names) > 1 else "z1")


@drawn
def latent_scatter(
    codes: np.ndarray,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    names: Sequence[str] = ("z0", "z1"),
) -> Figure:
    """Every example at its place in the latent space, coloured by class.

    Shapes: codes (N, D), labels (N,) class numbers with -1 for unknown. The first two columns
    are drawn (pass a projection where D > 2, and its `names`); one column is spread in height.
    """
    points, flat = plane(codes), _flat(codes)
    shown = shorten(names[0]) if flat else f"{shorten(names[0])} and {shorten(names[1])}"
    note = counted(len(points), "example") + ("" if labels is None else ", coloured by class") + "."
    note += " Height only spreads the points." if flat else ""
    figure = page(WIDTH * 0.8, 2.6 if flat else 5.6, f"Latent space: {shown}", note)
    axes = figure.add_subplot()
    if flat and labels is not None:
        points[:, 1] = 0.4 * points[:, 1] + _heights(labels)
    mark(axes, points, labels)
    _ground(axes, points, flat, [shorten(n) for n in names])
    legend(axes, labels, classes)
    return figure


def _heights(labels: np.ndarray) -> np.ndarray:
    """One level a class, the first on top, between -1 and 1."""
    _, level = np.unique(_numbers(labels, 0), return_inverse=True)
    return -level + 0.5 * level.max(initial=0)


@drawn
def random_points(
    codes: np.ndarray,
    points: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> Figure:
    """Random places in the latent space, numbered, and what the decoder makes of each.

    Shapes: codes (N, 2), points (M, 2), images (M, H, W, C), labels (N,).
    """
    pictures, places, ground = as_rgb(images), plane(points), plane(codes)
    flat = _flat(codes)
    places[:, 1] = 0 if flat else places[:, 1]
    width, edge, plot = round(WIDTH * DPI), round(PAD * DPI), round(4.6 * DPI)
    columns = min(9, max(1, len(pictures)))
    pitch = (width - 2 * edge) // max(columns, 6)
    size = fitted(*pictures.shape[1:3], pitch - GAP, 160)  # pyright: ignore[reportCallIssue]
    step = size[1] + 62
    body = plot + -(-len(pictures) // columns) * step + 8
    note = f"{counted(len(places), 'random code')} among those of"
    note += f" {counted(len(ground), 'example')}, then decoded."
    sheet = Sheet(width, body, "What lies at random places", note)
    for i, (picture, place) in enumerate(zip(pictures, places, strict=False)):
        x, y = edge + i % columns * pitch, sheet.top + plot + 14 + i // columns * step
        sheet.paste(picture, x, y, size)
        sheet.write(x, y + size[1] + 5, str(i + 1), va="top", weight="bold", size=7, color=ACCENT)
        text = ", ".join(_plain(v) for v in place[: 1 if flat else 2])
        sheet.write(x, y + size[1] + 23, f"({text})", va="top", size=6.5, color=MUTED)
    figure = sheet.figure(layout="constrained")
    low = 1 - (sheet.top + plot) / sheet.height
    figure.get_layout_engine().set(rect=(0.005, low, 0.99, plot / sheet.height))  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
    _numbered(figure.add_subplot(), ground, places, labels, classes, flat)
    return figure


def _numbered(
    axes: Axes,
    ground: np.ndarray,
    places: np.ndarray,
    labels: np.ndarray | None,
    classes: Sequence[str],
    flat: bool,
) -> None:
    mark(axes, ground, labels, faint=True)
    for i, (x, y) in enumerate(places):
        axes.scatter(x, y, s=90, c=PAPER, edgecolors=INK, linewidths=1, zorder=4 + i)
        words = {"ha": "center", "va": "center", "size": 6, "weight": "bold"}
        axes.text(x, y, str(i + 1), zorder=4.5 + i, clip_on=True, **words)
    _ground(axes, np.concatenate([ground, places]), flat, ("z0", "z1"))
    legend(axes, labels, classes)


@drawn
def prior_scatter(codes: np.ndarray, prior: np.ndarray) -> Figure:
    """Where the codes of the data lie against where the prior draws: apart, then overlaid.

    Shapes: codes (N, 2), prior (M, 2).
    """
    posterior, draws = plane(codes), plane(prior)
    note = "Where only the prior reaches, generated pictures are guesses; where only the codes"
    note += " reach, nothing is ever generated."
    figure = page(WIDTH, 3.0, "Codes of the data and draws from the prior", note)
    x, y = (limits(posterior[:, i], draws[:, i]) for i in (0, 1))
    panels = (
        (f"codes of {counted(len(posterior), 'example')}", [(posterior, ACCENT)]),
        (f"{counted(len(draws), 'draw')} from the prior", [(draws, SECOND)]),
        ("both", [(draws, SECOND), (posterior, ACCENT)]),
    )
    for i, (title, layers) in enumerate(panels):
        axes = figure.add_subplot(1, 3, i + 1)
        for points, colour in layers:
            area = float(np.clip(8000 / len(points), 1.5, 16))
            axes.scatter(points[:, 0], points[:, 1], s=area, c=colour, alpha=0.5, linewidths=0)
        axes.set(title=title, xlim=x, ylim=y, xlabel="z0")
        axes.grid(True)
        axes.tick_params(labelleft=i == 0)
        if i == 0:
            axes.set_ylabel("z1")
    return figure


@drawn
def dimension_histograms(codes: np.ndarray, count: int = 50) -> Figure:
    """How each dimension of the code is spread, against the standard normal density.

    Shapes: codes (N, D); the first `count` dimensions are drawn.
    """
    values = np.asarray(codes, float)
    values = values.reshape(len(values), -1)
    total, shown = values.shape[1], values[:, :count]
    columns = min(10, shown.shape[1])
    rows = -(-shown.shape[1] // columns)
    which = f"The first {shown.shape[1]} of " if total > count else ""
    note = f"{which}{counted(total, 'dimension')} over {counted(len(values), 'example')}; mean ±"
    note += " standard deviation above each. Filled: codes. Line: standard normal density."
    figure = page(
        WIDTH if columns > 3 else WIDTH * 0.65,
        0.25 + 0.85 * rows,
        "How each dimension is spread",
        note,
    )
    low, high = limits(np.array([-3.5, 3.5]), shown)
    edges = np.linspace(low, high, 49)
    grid = figure.add_gridspec(rows, columns)
    for i in range(shown.shape[1]):
        axes = figure.add_subplot(grid[i // columns, i % columns])
        _histogram(axes, shown[:, i], edges, f"z{i}", columns)
        axes.tick_params(labelbottom=i + columns >= shown.shape[1])
    return figure


def _plain(value: float) -> str:
    """Two decimals, or three digits where that would be long."""
    if not np.isfinite(value) or abs(value) >= 100:
        return number(value)
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _histogram(axes: Axes, values: np.ndarray, edges: np.ndarray, name: str, many: int) -> None:
    finite = values[np.isfinite(values)]
    heights = np.histogram(finite, edges)[0] / max(1, len(finite)) / (edges[1] - edges[0])
    axes.stairs(heights, edges, fill=True, color=ACCENT, alpha=0.55, linewidth=0)
    fine = np.linspace(edges[0], edges[-1], 200)
    axes.plot(fine, np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi), color=INK, linewidth=0.8)
    mean, spread = (finite.mean(), finite.std()) if len(finite) else (np.nan, np.nan)
    text = f"{name}  {_plain(mean)} ± {_plain(spread)}"
    axes.set_title(text, size=6.0 if many > 4 else 7.5, pad=2, color=MUTED)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, max(0.45, heights.max() * 1.05)), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(axis="x", labelsize=6, length=2)
