"""Scores of many small requests at once, in threads beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lemari.mixed.cells import Text
from lemari.mixed.frame import Frame
from lemari.tasks.detector import FittedDetector
from lemari.tasks.reasons import reasons

WAIT = 0.002  # seconds that a request waits for others
TOGETHER = 256  # rows that are scored together at most
BLOCK, EXPLAINED = 4096, 32  # rows scored, and explained, before others have their turn
STEP = 16  # rows are filled up to a multiple of this: see `Scorer.scores`


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of the rows of one request; x (N, F) are their features."""

    scores: np.ndarray
    x: np.ndarray
    notes: list[str]


class Scorer:
    """Scores requests with one detector.

    Small ones are collected for 2 ms, or as long as the batch before them takes, and are scored
    together. Large ones, and reasons, have a thread of their own.
    """

    def __init__(self, fitted: FittedDetector) -> None:
        self.fitted = fitted
        self.small = ThreadPoolExecutor(1, "small", torch.set_num_threads, (1,))
        self.large = ThreadPoolExecutor(1, "large", torch.set_num_threads, (1,))
        self.waiting: list[tuple[Frame, asyncio.Future[Scored]]] = []
        self.collecting: asyncio.Task[None] | None = None

    def warm(self) -> None:
        """Score something, so that the first request does not pay for what is made once."""
        rows = np.zeros((1, len(self.fitted.format.features)), np.float32)
        for pool in (self.small, self.large):
            pool.submit(self.scores, rows).result()

    async def score(self, frame: Frame) -> Scored:
        """The scores of a request; DataError when its columns do not fit."""
        loop = asyncio.get_running_loop()
        if len(frame) > TOGETHER:
            return await self.alone(frame)
        future: asyncio.Future[Scored] = loop.create_future()
        self.waiting.append((frame, future))
        if self.collecting is None:
            self.collecting = asyncio.create_task(self.collect())
        return await future

    async def collect(self) -> None:
        """Score what waits until nothing does."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(WAIT)
        try:
            while self.waiting:
                batch = self.next_batch()
                frames = [frame for frame, _ in batch]
                found = await loop.run_in_executor(self.small, self.together, frames)
                for (_, future), result in zip(batch, found, strict=True):
                    settle(future, result)
        finally:
            self.collecting = None

    def next_batch(self) -> list[tuple[Frame, asyncio.Future[Scored]]]:
        """The first of those that wait, up to `TOGETHER` rows."""
        rows = np.cumsum([len(frame) for frame, _ in self.waiting])
        count = max(1, int((rows <= TOGETHER).sum()))
        batch, self.waiting = self.waiting[:count], self.waiting[count:]
        return batch

    def together(self, frames: list[Frame]) -> list[Scored | Exception]:
        """Each frame's scores, or the fault that is its own."""
        found = self.encoded(frames)
        fit = [part[0] for part in found if not isinstance(part, Exception)]
        try:
            scores = self.scores(np.concatenate(fit)) if fit else np.empty(0)
        except Exception as fault:
            return [fault] * len(frames)
        parts = iter(divided(scores, [len(x) for x in fit]))
        return [p if isinstance(p, Exception) else Scored(next(parts), *p) for p in found]

    def encoded(self, frames: list[Frame]) -> list[Any]:
        """Features and notes of each frame, or its fault.

        All at once where there is nothing to note, otherwise one by one, to know whose note it is.
        """
        whole = joined(frames)
        try:
            if whole is not None:
                x, notes = self.fitted.encode(whole)
                if not notes:
                    return [(part, []) for part in divided(x, [len(f) for f in frames])]
        except Exception:  # it is found again below, in the frame that has it
            pass
        return [self.one(frame) for frame in frames]

    def one(self, frame: Frame) -> Any:
        try:
            return self.fitted.encode(frame)
        except Exception as fault:
            return fault

    async def alone(self, frame: Frame) -> Scored:
        """The scores of one large request, in steps between which others have their turn."""
        x, notes = await self.aside(self.fitted.encode, frame)
        blocks = [x[i : i + BLOCK] for i in range(0, len(x), BLOCK)]
        return Scored(np.concatenate([await self.aside(self.scores, b) for b in blocks]), x, notes)

    async def aside(self, work: Callable[..., Any], *given: Any) -> Any:
        """The result of some longer work, done in the thread for large requests."""
        return await asyncio.get_running_loop().run_in_executor(self.large, work, *given)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Scores (N,) of features (N, F), filled up to a multiple of 16 rows.

        Matrix products round differently for one row than for many; filled up, a row scores the
        same whoever is scored with it.
        """
        filled = np.concatenate([x, np.repeat(x[-1:], -len(x) % STEP, 0)])
        return self.fitted.model.score(filled)[: len(x)]

    async def explain(self, scored: Scored, frame: Frame, most: int) -> list[list[dict]]:
        """The reasons of every row, as plain values; some rows at a time."""
        found = []
        for i in range(0, len(frame), EXPLAINED):
            part = slice(i, i + EXPLAINED)
            found += await self.aside(reasons, self.fitted, scored.x[part], most, frame.take(part))
        return [[reason.as_dict() for reason in row] for row in found]

    def close(self) -> None:
        """End the threads."""
        self.small.shutdown(cancel_futures=True)
        self.large.shutdown(cancel_futures=True)


def settle(future: asyncio.Future[Scored], result: Scored | Exception) -> None:
    """Give a result to whoever still waits for it."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def divided(values: np.ndarray, lengths: list[int]) -> list[np.ndarray]:
    """An array cut into parts of these lengths."""
    return np.split(values, np.cumsum(lengths)[:-1]) if lengths else []


def joined(frames: list[Frame]) -> Frame | None:
    """One frame of the rows of all; None unless they have the same columns of the same kinds."""
    first = frames[0]
    if any(f.names != first.names or f.notes or not f.named for f in frames):
        return None
    columns = []
    for parts in zip(*(f.columns for f in frames), strict=True):
        kinds = {"text" if isinstance(p, Text) else p.dtype.str for p in parts}
        if len(kinds) > 1:
            return None
        columns.append(joined_text(parts) if "text" in kinds else np.concatenate(parts))
    return Frame(first.names, tuple(columns), sum(len(f) for f in frames))


def joined_text(parts: Sequence[Text]) -> Text:
    """The cells of all, each with its own levels still."""
    starts = np.cumsum([0, *(len(p.levels) for p in parts)])
    codes = [np.where(p.codes < 0, -1, p.codes + start) for p, start in zip(parts, starts)]
    return Text(np.concatenate(codes).astype(np.int32), tuple(v for p in parts for v in p.levels))
