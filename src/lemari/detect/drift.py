"""Watching a stream of rows for change, with a bound on false alarms that holds for any data.

Each column is watched through a few events that are fixed when the monitor learns: "above this
value", "outside this range", "equal to this value", "missing". The count of an event in the last
100, 250 and 500 rows is compared with its count in the reference by Fisher's exact test, every 50
rows. The test is exact for every distribution, heavy-tailed and discrete ones included, and takes
into account that the reference is finite; Bonferroni over columns, events, windows and checks turns
it into a bound for the whole stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lemari.detect.events import (
    BINS,
    EVENTS,
    Events,
    bins_of,
    critical_counts,
    learn_events,
    side_by_side,
    tail_p,
)
from lemari.errors import DataError, ModelFileError, UsageError

EVERY = 50
WINDOWS = (100, 250, 500)
LONGEST = WINDOWS[-1] // EVERY
FEWEST = 50
PIECE = 400_000
SCORE = "score"


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """A change found after `row` rows of the stream (the first row is 1).

    `what` is the column ("score" for the scores), `statistic` the event ("share above 3.2"),
    `before` and `now` its shares in the reference and in the last `window` rows, `p` the p-value
    of this one test and `direction` "more" or "less".
    """

    row: int
    what: str
    statistic: str
    p: float
    direction: str
    before: float
    now: float
    window: int

    def __str__(self) -> str:
        return (
            f"row {self.row}: {self.what}, {self.statistic} {self.before:.1%} before, "
            f"{self.now:.1%} in the last {self.window} rows"
        )


class DriftMonitor:
    """Says when scores, latents or columns of a stream are no longer distributed as they were.

    For rows drawn independently as the reference was, the chance of any alarm, over all columns
    together, is at most `chance` in `rows` rows of the stream; it grows in proportion beyond that.
    (The mean over references: one that is unlucky has more, most have fewer.) Memory does not grow
    with the stream. Build one with `learn`.
    """

    def __init__(self, names: Sequence[str], events: Events, chance: float, rows: int) -> None:
        if not 0 < chance < 1 or rows < WINDOWS[0]:
            raise UsageError(
                f"A chance of {chance!r} in {rows!r} rows is impossible; give a chance between 0 "
                f"and 1 in at least {WINDOWS[0]} rows, such as 0.05 in 100,000."
            )
        self.names = tuple(names)
        self.chance, self.rows = float(chance), int(rows)
        self._start = 0
        self._set(events)

    @classmethod
    def learn(
        cls,
        scores: ArrayLike,
        columns: ArrayLike | None = None,
        names: Sequence[str] = (),
        latents: ArrayLike | None = None,
        *,
        chance: float = 0.05,
        rows: int = 100_000,
    ) -> DriftMonitor:
        """A monitor from reference rows: scores (n,), columns (m, F), names F, latents (k, Z).

        The scores should be of rows that the detector was not fitted on; n, m and k may differ.
        NaN means missing; categories are given as codes. The more reference rows the better it
        sees; 1,000 are enough for a shift by one standard deviation, or a scale of 1.5. DataError
        with fewer than 50 rows or shapes that do not agree; UsageError for a chance outside (0, 1).
        """
        full = _names(names, columns, latents)
        return cls(full, _learned(_parts(scores, columns, latents)), chance, rows)

    def _set(self, events: Events) -> None:
        self._events = events
        count = len(self.names)
        tests = (self.rows / EVERY) * len(WINDOWS) * 2 * int(events.used.sum())
        self.alpha = self.chance / tests
        self._most, self._least = zip(
            *(critical_counts(events.hits, events.rows, m, self.alpha) for m in WINDOWS),
            strict=True,
        )
        self._blocks = np.zeros((0, count, EVENTS), np.int64)
        self._open = np.zeros((count, BINS), np.int64)
        self._seen, self._quiet = 0, np.zeros(count, np.int64)

    def relearn(
        self, scores: ArrayLike, columns: ArrayLike | None = None, latents: ArrayLike | None = None
    ) -> None:
        """Take new reference rows (shapes as in `learn`); windows start afresh, rows count on."""
        parts = _parts(scores, columns, latents)
        self._check_width(parts)
        self._start += self._seen
        self._set(_learned(parts))

    def see(
        self, scores: ArrayLike, columns: ArrayLike | None = None, latents: ArrayLike | None = None
    ) -> list[DriftAlarm]:
        """Take the next rows of the stream (any number) and return the alarms they raise.

        The alarms are the same however the stream is cut into chunks. A column that gave an alarm
        is quiet for the next 500 rows.
        """
        parts = _parts(scores, columns, latents)
        self._check_width(parts)
        if len({len(part) for part in parts}) > 1:
            raise DataError(
                f"There are {' and '.join(str(len(part)) for part in parts)} rows of scores, "
                "columns and latents; give the same rows of each."
            )
        table, found, at = np.concatenate(parts, axis=1), [], 0
        piece = EVERY * max(1, PIECE // (len(self.names) * EVERY))
        while at < len(table):
            stop = min(len(table), at + piece - self._seen % EVERY)
            found += self._take(bins_of(table[at:stop], self._events.edges))
            at = stop
        return found

    def _take(self, bins: np.ndarray) -> list[DriftAlarm]:
        """Count bins (N, C) into blocks of 50 rows and test every block that is complete."""
        count, filled = len(self.names), self._seen % EVERY
        block = (filled + np.arange(len(bins))) // EVERY
        total = (filled + len(bins)) // EVERY + 1
        codes = (block[:, None] * count + np.arange(count)) * BINS + bins
        counts = np.bincount(codes.ravel(), minlength=total * count * BINS)
        counts = counts.reshape(total, count, BINS)
        counts[0] += self._open
        self._open = counts[-1].copy()
        first = self._seen // EVERY
        self._seen += len(bins)
        if total == 1:
            return []
        # Small whole numbers: exact in float32, where matrix products are fast.
        new = np.matmul(
            counts[:-1].transpose(1, 0, 2).astype(np.float32), self._events.masks
        ).transpose(1, 0, 2)
        held = len(self._blocks)
        self._blocks = np.concatenate([self._blocks, new.astype(np.int64)])
        found = self._tested(self._blocks, held, first - held)
        self._blocks = self._blocks[-(LONGEST - 1) :].copy()
        return found

    def _tested(self, blocks: np.ndarray, held: int, first: int) -> list[DriftAlarm]:
        """Alarms of the blocks from `held` on; block i ends with row (first + i + 1) * 50."""
        sums = np.concatenate([np.zeros_like(blocks[:1]), np.cumsum(blocks, axis=0)])
        ends = np.arange(held + 1, len(sums))
        fired = np.zeros((len(ends), blocks.shape[1]), bool)
        for window, most, least in zip(WINDOWS, self._most, self._least, strict=True):
            width = window // EVERY
            able = ends[ends >= width]
            seen = sums[able] - sums[able - width]
            fired[len(ends) - len(able) :] |= ((seen >= most) | (seen <= least)).any(axis=2)
        found = []
        for i, column in np.argwhere(fired):
            row = int(first + ends[i]) * EVERY
            if row > self._quiet[column]:
                self._quiet[column] = row + WINDOWS[-1]
                found.append(self._alarm(row, int(column), sums[: ends[i] + 1, column]))
        return found

    def _alarm(self, row: int, column: int, sums: np.ndarray) -> DriftAlarm:
        """The event and window with the smallest p-value: sums (blocks, events) so far."""
        n, hits = int(self._events.rows[column]), self._events.hits[column]
        counts = {m: sums[-1] - sums[-1 - m // EVERY] for m in WINDOWS if len(sums) > m // EVERY}
        events = np.flatnonzero(self._events.used[column])
        p, window, event = min(
            (tail_p(int(hits[e]), n, int(seen[e]), m), m, int(e))
            for m, seen in counts.items()
            for e in events
        )
        before, now = hits / n, counts[window] / window
        return DriftAlarm(
            self._start + row,
            self.names[column],
            self._events.describe(column, event),
            p,
            self._events.direction(column, event, now - before),
            float(before[event]),
            float(now[event]),
            window,
        )

    def _check_width(self, parts: list[np.ndarray]) -> None:
        width = sum(part.shape[1] for part in parts)
        if width != len(self.names):
            raise DataError(
                f"The drift monitor learned {len(self.names) - 1} columns and latents and got "
                f"{width - 1}; give the same ones, in the same order."
            )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as plain arrays for an .npz file (no pickle); see `from_arrays`."""
        return {
            "names": np.array(self.names, dtype=np.str_),
            "settings": np.array([self.chance, self.rows], np.float64),
            "edges": self._events.edges,
            "hits": self._events.hits,
            "discrete": self._events.discrete,
            "reference_rows": self._events.rows,
            "blocks": self._blocks,
            "open": self._open,
            "seen": np.array([self._start, self._seen], np.int64),
            "quiet": self._quiet,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> DriftMonitor:
        """The monitor that `to_arrays` described, in the middle of its stream."""
        try:
            chance, rows = (float(v) for v in arrays["settings"])
            kinds = ("edges", "hits", "discrete", "reference_rows")
            events = Events(*(np.array(arrays[name]) for name in kinds))
            monitor = cls([str(n) for n in arrays["names"]], events, chance, int(rows))
            kept = {name: np.array(arrays[name], np.int64) for name in ("blocks", "open", "quiet")}
            for name, value in kept.items():
                skipped = 1 if name == "blocks" else 0
                if value.shape[skipped:] != getattr(monitor, f"_{name}").shape[skipped:]:
                    raise ValueError(name)
                setattr(monitor, f"_{name}", value)
            monitor._start, monitor._seen = (int(v) for v in arrays["seen"])
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as fault:
            raise ModelFileError(
                f"The drift monitor's state is incomplete or was changed ({fault}); learn it again."
            ) from fault
        return monitor


def _parts(
    scores: ArrayLike, columns: ArrayLike | None, latents: ArrayLike | None
) -> list[np.ndarray]:
    """Scores (n, 1), columns (m, F) and latents (k, Z), those that are given, as float64."""
    parts = []
    for what, given in (("scores", scores), ("columns", columns), ("latents", latents)):
        if given is None:
            continue
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as fault:
            raise DataError(f"The {what} are not numbers; give categories as codes.") from fault
        wanted = 1 if what == "scores" else 2
        if values.ndim != wanted:
            raise DataError(
                f"The {what} have {values.ndim} dimensions; give {wanted}, with one row for each "
                "example."
            )
        parts.append(values[:, None] if wanted == 1 else values)
    return parts


def _learned(parts: list[np.ndarray]) -> Events:
    fewest = min(len(part) for part in parts)
    if fewest < FEWEST:
        raise DataError(
            f"{fewest} reference rows are too few to watch for drift; give at least {FEWEST}."
        )
    return side_by_side([learn_events(part) for part in parts if part.shape[1]])


def _names(names: Sequence[str], columns: ArrayLike | None, latents: ArrayLike | None) -> list[str]:
    width = 0 if columns is None else int(np.prod(np.shape(columns)[1:]))
    if len(names) != width:
        raise DataError(f"There are {width} columns and {len(names)} names; give one name each.")
    codes = 0 if latents is None else int(np.prod(np.shape(latents)[1:]))
    return [SCORE, *map(str, names), *(f"latent {i + 1}" for i in range(codes))]
