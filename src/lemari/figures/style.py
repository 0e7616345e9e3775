"""The look shared by every picture: colours, type, headings, class colours."""

from __future__ import annotations

import textwrap
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import ParamSpec

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

PAPER = "#FBFAF7"
INK = "#23272E"
MUTED = "#6A6F78"
RULE = "#D9D6CE"
FAINT = "#C4C1B9"
ACCENT = "#0B6E82"
SECOND = "#C4622D"

# Ten colours in the manner of Petroff (2021), arXiv:2107.02270, without greys: any two of them
# stay apart with normal, protan, deutan and tritan vision as simulated by Machado et al. (2009).
PALETTE = (
    "#3F90DA",
    "#FFA90E",
    "#BD1F01",
    "#832DB6",
    "#84D4D9",
    "#14506B",
    "#EE7733",
    "#EE3377",
    "#E6D83A",
    "#1B2A5B",
)
MARKERS = ("o", "^", "s", "D", "v", "P")
DPI = 160
WIDTH = 9.0
PAD = 0.16
TITLE_POINTS, NOTE_POINTS = 11.0, 8.0
_TITLE_LINE, _NOTE_LINE = 0.2, 0.155
_FACES = ("Inter", "Helvetica Neue", "Helvetica", "Arial", "Liberation Sans")
_FALLBACKS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei")
_LOCK = threading.RLock()
_P = ParamSpec("_P")


@lru_cache(maxsize=1)
def _faces() -> list[str]:
    known = {font.name for font in font_manager.fontManager.ttflist}
    chosen = [name for name in _FACES if name in known][:1]
    return chosen + [name for name in _FALLBACKS if name in known]


def _settings() -> dict[str, object]:
    return {
        "font.family": _faces(),
        "font.size": 8.0,
        "text.color": INK,
        "text.parse_math": False,
        "axes.facecolor": PAPER,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.6,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.labelsize": 8.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "axes.formatter.useoffset": False,
        "grid.color": RULE,
        "grid.linewidth": 0.5,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": 7.0,
        "ytick.labelsize": 7.0,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "lines.linewidth": 1.4,
        "hatch.linewidth": 0.6,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        "figure.constrained_layout.h_pad": 0.06,
        "figure.constrained_layout.w_pad": 0.08,
    }


@contextmanager
def style() -> Iterator[None]:
    """Apply the look for a while, one thread at a time, and put the caller's settings back."""
    with _LOCK, matplotlib.rc_context(_settings()), warnings.catch_warnings():  # pyright: ignore[reportArgumentType]
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def drawn(function: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Let a drawing function work in the house style, and fix its layout once and for all.

    Ticks are made while a figure is drawn; drawing it here gives them the style too.
    """

    @wraps(function)
    def draw(*args: _P.args, **options: _P.kwargs) -> Figure:
        with style():
            figure = function(*args, **options)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        return figure

    return draw


def shorten(text: object, limit: int = 20) -> str:
    """The text on one line, without control characters, cut with an ellipsis."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: max(1, limit - 1)].rstrip() + "…"


def shorten_middle(text: object, limit: int = 22) -> str:
    """The text on one line; a long one keeps both its ends, where names tend to differ."""
    line = shorten(text, 10_000)
    tail = limit // 3
    return line if len(line) <= limit else f"{line[: limit - tail - 1]}…{line[-tail:]}"


def counted(count: int, thing: str) -> str:
    """A number with its noun: "1 example", "4,000 examples"."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def number(value: float) -> str:
    """A value in three significant digits, without an exponent where one can be avoided."""
    if not np.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.2g}"
    if size >= 1000:
        return f"{value:,.0f}"
    digits = 3 if size == 0 else max(0, 2 - int(np.floor(np.log10(size))))
    return f"{value:.{min(digits, 4)}f}".replace("-", "−")


def head_lines(width: float, title: str, note: str) -> tuple[list[str], list[str], float]:
    """Break a heading for a page `width` inches wide: title lines, note lines, inches used."""
    titles = textwrap.wrap(title, max(16, int(width * 12))) or [""]
    notes = textwrap.wrap(note, max(20, int(width * 16)))
    return titles, notes, PAD + len(titles) * _TITLE_LINE + len(notes) * _NOTE_LINE + 0.1


def write_head(figure: Figure, title: str, note: str = "") -> float:
    """Set title and note at the upper left of a figure; returns the inches they take."""
    width, height = figure.get_size_inches()
    titles, notes, used = head_lines(width, title, note)
    left, top = PAD / width, height - PAD
    body = {"ha": "left", "va": "top", "linespacing": 1.25}
    figure.text(
        left, top / height, "\n".join(titles), size=TITLE_POINTS, weight="bold", color=INK, **body
    )
    low = (top - len(titles) * _TITLE_LINE - 0.015) / height
    figure.text(left, low, "\n".join(notes), size=NOTE_POINTS, color=MUTED, **body)
    return used


def page(width: float, body: float, title: str, note: str = "", foot: float = 0.06) -> Figure:
    """An empty page with its heading; axes added to it are laid out below the heading.

    `width`, `body` and `foot` are inches; the heading comes on top of them.
    """
    used = head_lines(width, title, note)[2]
    height = body + used + foot
    figure = Figure(figsize=(width, height), layout="constrained")
    write_head(figure, title, note)
    side, low = (PAD - 0.08) / width, foot / height
    figure.get_layout_engine().set(rect=(side, low, 1 - 2 * side, 1 - used / height - low))  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
    return figure


def limits(*arrays: np.ndarray) -> tuple[float, float]:
    """The range that holds all finite values, with a small margin; never empty."""
    values = np.concatenate([np.ravel(a) for a in arrays]).astype(float)
    values = values[np.isfinite(values)]
    if not len(values):
        return -1.0, 1.0
    low, high = float(values.min()), float(values.max())
    pad = 0.05 * (high - low) or max(1.0, 0.1 * abs(high))
    return low - pad, high + pad


def class_look(index: int) -> tuple[str, str]:
    """Colour and marker of a class: ten colours, then the same darker or lighter and reshaped."""
    turn, place = divmod(index, len(PALETTE))
    base = np.array(to_rgb(PALETTE[place]))
    if turn % 3 == 1:
        base = 0.62 * base
    elif turn % 3 == 2:
        base = 1 - 0.5 * (1 - base)
    return to_hex(base), MARKERS[turn % len(MARKERS)]  # pyright: ignore[reportArgumentType]


def class_name(index: int, classes: Sequence[str]) -> str:
    """The name of a class, its number where it has none, "unknown" for -1."""
    if index < 0:
        return "unknown"
    return shorten_middle(classes[index]) if index < len(classes) else f"class {index}"


def quiet(axes: Axes) -> Axes:
    """Take ticks and frame away from axes that only hold pictures or words."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes
