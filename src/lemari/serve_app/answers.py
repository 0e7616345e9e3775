"""What goes back: a status, a body and strict headers; faults as one sentence in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
STRICT = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `extra` are further headers."""

    status: int
    body: bytes
    kind: str = JSON
    extra: tuple[tuple[bytes, bytes], ...] = ()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """All headers, in lower case."""
        own = [
            (b"content-type", self.kind.encode()),
            (b"content-length", str(len(self.body)).encode()),
        ]
        return [*own, *STRICT, *self.extra]

    def raw(self) -> bytes:
        """The whole HTTP/1.1 response, after which the connection is closed."""
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}".encode()
        lines = [head, *(k + b": " + v for k, v in self.headers()), b"connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n" + self.body


class Refusal(Exception):
    """A request that is not answered: its status and one sentence for the client."""

    def __init__(self, status: int, text: str, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(text)
        self.answer = Answer(status, as_json({"error": text}), extra=extra)


def as_json(content: Any) -> bytes:
    """JSON without NaN or infinite numbers, which become null."""
    return json.dumps(plain(content), allow_nan=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """Only what JSON knows: NumPy numbers as numbers, dates as text, not finite as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
