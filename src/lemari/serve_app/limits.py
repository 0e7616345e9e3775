"""How much of everything the service takes; all limits in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds.

    `held` bounds the bytes of all requests being answered together, `numbers` rows times features
    of one request, `explained` the rows of a request with reasons. Over `connections` open
    connections the answer is 503, over twice as many they are dropped.
    """

    body: int = 16 << 20
    held: int = 128 << 20
    rows: int = 100_000
    numbers: int = 20_000_000
    explained: int = 1000
    most_reasons: int = 20
    connections: int = 512
    header_seconds: float = 10.0
    body_seconds: float = 20.0
    idle_seconds: float = 30.0
    write_seconds: float = 30.0
    stop_seconds: int = 30
