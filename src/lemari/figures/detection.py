"""A threshold among the scores, and both of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lemari.errors import DataError
from lemari.figures.style import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    SECOND,
    WIDTH,
    counted,
    drawn,
    number,
    page,
)

MOST_BINS = 60
LOWEST_RATE = 1e-4


class _ErrorRow(Protocol):
    @property
    def threshold(self) -> float: ...
    @property
    def false_alarm_rate(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def recall(self) -> float | None: ...
    @property
    def precision(self) -> float | None: ...


@drawn
def threshold_picture(
    normal: np.ndarray,
    threshold: float,
    rows: Sequence[_ErrorRow],
    *,
    anomalous: np.ndarray | None = None,
    rule: str = "",
    title: str = "Where the threshold lies",
) -> Figure:
    """Scores of normal rows (n,) and of labelled anomalies (m,), the threshold, and its errors.

    `rows` are those of `error_table` at `curve_points`. Scores so far out that they would squeeze
    the normal ones are counted in words. DataError without normal rows or without `rows`.
    """
    normal = np.asarray(normal, np.float64)
    odd = np.zeros(0) if anomalous is None else np.asarray(anomalous, np.float64)
    odd = odd[np.isfinite(odd)]
    if not len(normal) or not rows:
        raise DataError("There is nothing to draw; give calibration scores and an error table.")
    labelled = any(row.recall is not None for row in rows)
    figure = page(WIDTH, 5.6 if labelled else 4.4, title, _note(normal, odd, threshold, rule))
    count = 3 if labelled else 2
    panels = figure.subplots(count, 1, sharex=True, height_ratios=[1.5] + [1.0] * (count - 1))
    low, high = _range(normal, odd, threshold)
    _histograms(panels[0], normal, odd, low, high)
    _false_alarms(panels[1], rows)
    if labelled:
        _found(panels[2], rows)
    for axes in panels:
        axes.axvline(threshold, color=INK, linewidth=1.0)
        axes.set_xlim(low, high)
    _name_threshold(panels[0], threshold, low, high)
    panels[-1].set_xlabel("anomaly score (higher is more unusual)")
    return figure


def _note(normal: np.ndarray, odd: np.ndarray, threshold: float, rule: str) -> str:
    alarms = float((normal > threshold).mean())
    words = f"Flags {_percent(round(alarms, 5))} of {counted(len(normal), 'normal row')}"
    if len(odd):
        found = int((odd > threshold).sum())
        words += f" and {found:,} of {counted(len(odd), 'labelled anomaly')}".replace(
            "anomalys", "anomalies"
        )
    return words + (f". Chosen by {rule}." if rule else ".")


def _name_threshold(axes: Axes, threshold: float, low: float, high: float) -> None:
    inside, right = low <= threshold <= high, threshold > (low + high) / 2
    words = f"threshold {number(threshold)}"
    if not inside:
        words = f"{words} →" if right else f"← {words}"
    axes.annotate(
        words,
        (min(max(threshold, low), high), 0.82),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if right else 4, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        color=INK,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    )


def _range(normal: np.ndarray, odd: np.ndarray, threshold: float) -> tuple[float, float]:
    """From the lowest score to the highest, without the far ends that would squeeze the rest."""
    low, middle = float(normal.min()), float(np.median(normal))
    far = middle + 12 * max(float(np.quantile(normal, 0.95)) - middle, 1e-12)
    most = max(float(normal.max()), float(odd.max(initial=-np.inf)))
    high = max(min(most, far), float(np.quantile(normal, 0.99)))
    spread = max(high - low, 1e-9)
    if low - spread < threshold < high + spread:
        low, high = min(low, threshold), max(high, threshold)
    pad = 0.03 * max(high - low, 1e-9 + 0.03 * abs(high))
    return low - pad, high + pad


def _histograms(axes: Axes, normal: np.ndarray, odd: np.ndarray, low: float, high: float) -> None:
    edges = np.linspace(low, high, min(MOST_BINS, 10 + len(normal) // 10) + 1)
    for values, colour, name in ((normal, ACCENT, "normal"), (odd, SECOND, "anomalous")):
        if not len(values):
            continue
        heights = np.histogram(values, edges)[0] / len(values)
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.35, linewidth=0)
        axes.stairs(heights, edges, color=colour, linewidth=1.0, label=name)
    beyond = sum(int((values > high).sum()) for values in (normal, odd))
    if beyond:
        words = f"{counted(beyond, 'score')} beyond →"
        axes.text(
            0.995, 0.62, words, transform=axes.transAxes, ha="right", color=MUTED, fontsize=7.0
        )
    axes.set_ylabel("share of rows")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_ylim(bottom=0)
    if len(odd):
        axes.legend(loc="upper right", ncols=2)


def _false_alarms(axes: Axes, rows: Sequence[_ErrorRow]) -> None:
    x = np.array([row.threshold for row in rows])
    rate, low, high = (
        np.array([getattr(row, name) for row in rows])
        for name in ("false_alarm_rate", "low", "high")
    )
    floor = max(LOWEST_RATE, float(rate[rate > 0].min(initial=1.0)) / 3)
    low, high = np.maximum(low, floor), np.maximum(high, floor)
    band = {"color": ACCENT, "alpha": 0.15, "linewidth": 0, "label": "95 % interval"}
    axes.fill_between(x, low, high, step="post", **band)
    axes.plot(x, np.where(rate > 0, rate, np.nan), color=ACCENT, drawstyle="steps-post")
    axes.legend(loc="upper right")
    axes.set_yscale("log")
    axes.set_ylim(min(floor, 0.05), 1.3)
    axes.set_ylabel("false alarms")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.grid(axis="y")


def _found(axes: Axes, rows: Sequence[_ErrorRow]) -> None:
    x = np.array([row.threshold for row in rows])
    recall = _column(rows, "recall")
    lines = (
        ("misses", 1 - recall, SECOND, "-"),
        ("recall", recall, SECOND, ":"),
        ("precision", _column(rows, "precision"), ACCENT, "--"),
    )
    for name, values, colour, dash in lines:
        axes.plot(x, values, color=colour, linestyle=dash, label=name, drawstyle="steps-post")
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("share")
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(axis="y")
    axes.legend(loc="center right", framealpha=0.9, frameon=True, facecolor=PAPER, edgecolor=PAPER)


def _column(rows: Sequence[_ErrorRow], name: str) -> np.ndarray:
    found = (getattr(row, name) for row in rows)
    return np.array([np.nan if value is None else value for value in found])


def _percent(value: float, _: object = None) -> str:
    return f"{100 * value:.4g} %"
