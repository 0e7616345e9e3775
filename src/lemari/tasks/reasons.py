"""Why a row is anomalous: which columns, and what would have been expected in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from lemari.detect.denoising import as_tensor
from lemari.detect.views import standard
from lemari.mixed.column import MixedColumn
from lemari.mixed.frame import Frame
from lemari.tasks.detector import FittedDetector

NEAREST = 25  # stored rows, alike in the other columns, that say what is expected
COMPARED = 4000  # stored rows that are searched
LOOKED_AT = 500  # columns of a very wide row: those furthest from the mean
TOGETHER = 16  # rows that are explained at a time
TRIED = 64  # columns of a row that are put right, to see how far the score falls
RANGE = (10, 90)  # percentiles of what is expected


@dataclass(frozen=True, slots=True)
class Reason:
    """One column of one row.

    `share` is the part of the row's anomaly score that goes when the column alone is put right;
    `low` and `high` span what is expected, given the other columns.
    """

    column: str
    value: Any
    low: Any
    high: Any
    share: float
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return self.text


def reasons(
    fitted: FittedDetector, x: np.ndarray, most: int = 3, frame: Frame | None = None
) -> list[list[Reason]]:
    """The columns that most explain the score of each encoded row x (N, F), the first ones first.

    Each column in turn is replaced by what stored rows alike in the other columns have there, and
    the fall of the score is its share. `frame` gives the values as they were written.
    """
    found = []
    for start in range(0, len(x), TOGETHER):
        found += _of_rows(fitted, x[start : start + TOGETHER], start, most, frame)
    return found


def _of_rows(fitted, x, start, most, frame) -> list[list[Reason]]:
    """The reasons of a few rows, whose changed copies are scored together."""
    fmt = fitted.format
    spans = [fmt.span(i) for i in range(len(fmt.columns))]
    used = [i for i, span in enumerate(spans) if span.stop > span.start]
    tries = [_tried(fitted, row, spans, used) for row in x]
    scores = fitted.model.score(np.concatenate([changed for *_, changed in tries]))
    found, at = [], 0
    for k, (row, (places, off, given, changed)) in enumerate(zip(x, tries)):
        own = scores[at : at + len(changed)]
        at += len(changed)
        fall, whole = own[-1] - own[:-1], max(float(own[-1]), 1e-9)
        order = np.lexsort((-off, -fall))[:most]
        order = order[: max(1, int((fall[order] > 0).sum()))]
        shares = np.clip(fall / whole, 0, 1)
        found.append(
            [_reason(fitted, places[j], row, given, float(shares[j]), frame, start + k)
             for j in order]
        )  # fmt: skip
    return found


def _tried(fitted, row, spans, used) -> tuple[list[int], np.ndarray, tuple, np.ndarray]:
    """(columns, how far each is off, what is expected, copies of the row with each put right).

    The last copy is the row itself.
    """
    if len(used) > LOOKED_AT:
        far = np.array([np.abs(row[spans[i]]).max() for i in used])
        used = [used[k] for k in np.sort(np.argsort(-far, kind="stable")[:LOOKED_AT])]
    expected, low, high = _expected(fitted, row, spans, used)
    size = np.abs(row - expected)
    off = np.array([size[spans[i]].max() for i in used])
    tried = np.argsort(-off, kind="stable")[:TRIED]
    changed = np.repeat(row[None], len(tried) + 1, 0)
    for k, place in enumerate(tried):
        span = spans[used[place]]
        changed[k, span] = expected[span]
    return [used[place] for place in tried], off[tried], (low, high, expected), changed


def _expected(fitted, row, spans, used) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is expected of each feature given the other columns: middle, low and high (F,)."""
    stored = fitted.model.rows[:COMPARED]
    if not len(stored) or (len(stored) < 3 and fitted.model.denoisers):
        return _by_network(fitted, row, spans, used)
    rows, own = standard(stored), standard(row[None])[0]
    squares = np.square(rows - own)
    total = squares.sum(1)
    middle, low, high = row.copy(), row.copy(), row.copy()
    nearest = min(NEAREST, len(rows))
    for i in used:
        span = spans[i]
        rest = total - squares[:, span].sum(1)
        near = stored[np.argpartition(rest, nearest - 1)[:nearest], span]
        low[span], high[span] = np.percentile(near, RANGE, axis=0)
        middle[span] = _typical(near)
    return middle, low, high


def _typical(near: np.ndarray) -> np.ndarray:
    """The row among those (k, f) that lies closest to their median: always a valid value."""
    middle = np.median(near, axis=0)
    if near.shape[1] == 1:
        return middle
    return near[np.abs(near - middle).sum(1).argmin()]


def _by_network(fitted, row, spans, used) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without stored rows: what the denoising network makes of the row with the column hidden."""
    net = fitted.model.denoisers[0]
    hidden = np.repeat(standard(row[None]), len(used), 0)
    for k, i in enumerate(used):
        hidden[k, spans[i]] = 0
    with torch.no_grad():
        made = net.clean(as_tensor(hidden), 1.0).numpy()
    middle = row.copy()
    for k, i in enumerate(used):
        middle[spans[i]] = made[k, spans[i]]
    return middle, middle - 1, middle + 1


def _reason(fitted, i, row, given, share, frame, index) -> Reason:
    fmt = fitted.format
    name = fmt.columns[i].name
    low, high, middle = (tidy(fmt.columns[i], fmt.decode_value(i, part)) for part in given)
    value = fmt.decode_value(i, row)
    if frame is not None and name in frame.names:
        value = frame.value(frame.place(name), index)
    numbers = all(isinstance(v, int | float | np.number) for v in (low, high))
    if not numbers or fmt.columns[i].base == "boolean":
        low = high = middle
    elif low > high:
        low, high = high, low
    said, first, last = (fmt.shown(i, v) for v in (value, low, high))
    range_ = first if first == last else f"{first} to {last}"
    return Reason(name, value, low, high, share, f"{name} {said}, expected {range_}")


def tidy(column: MixedColumn, value: Any) -> Any:
    """A decoded value without the rounding of its feature: dates to the day or minute, numbers to
    a millionth of the column's deviation and within its range."""
    if isinstance(value, np.datetime64):
        unit, half = ("D", 12 * 3600) if column.whole else ("m", 30)
        return (value + np.timedelta64(half, "s")).astype(f"datetime64[{unit}]")
    if isinstance(value, float) and column.base == "numeric" and column.scale > 0:
        digits = 6 - int(np.floor(np.log10(column.scale)))
        return min(max(round(value, digits), column.low), column.high)
    return value


def nearest_rows(fitted: FittedDetector, x: np.ndarray, count: int = 3) -> list[list[dict]]:
    """The stored training rows nearest to each row, as text by column; [] without stored rows."""
    fmt, stored = fitted.format, fitted.model.rows[:COMPARED]
    if not len(stored):
        return [[] for _ in x]
    rows, found = standard(stored), []
    for one in standard(x):
        far = np.square(rows - one).sum(1)
        best = np.argsort(far, kind="stable")[:count]
        found.append(
            [
                {c.name: fmt.shown(i, tidy(c, fmt.decode_value(i, stored[k])))
                 for i, c in enumerate(fmt.columns) if c.kind != "ignored"}
                for k in best
            ]
        )  # fmt: skip
    return found
