"""Connections with deadlines of their own: uvicorn has none for slow headers or slow readers."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from lemari.serve_app.answers import Answer, Refusal
from lemari.serve_app.limits import Limits

SLOW = Refusal(408, "The request took too long to arrive; send it at once.").answer
BAD = Refusal(400, "This is no HTTP request that the service understands.").answer
BUSY = Refusal(503, "Too many connections are open; close some, or try again shortly.",
               ((b"retry-after", b"1"),)).answer  # fmt: skip


class TimedProtocol(H11Protocol):
    """A connection that is closed when headers do not arrive, or answers are not taken, in time."""

    limits = Limits()

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.header_timer: asyncio.TimerHandle | None = None
        self.write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        count = len(self.connections)
        if count > 2 * self.limits.connections:
            transport.abort()
            return
        if count > self.limits.connections:
            self.app = busy
        self.watch()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self.watch()

    def watch(self) -> None:
        """Run the clock while a request is awaited and no other clock runs."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.header_timer = stopped(self.header_timer)
        elif self.header_timer is None and self.timeout_keep_alive_task is None:
            seconds = self.limits.header_seconds
            self.header_timer = self.loop.call_later(seconds, self.end, SLOW)

    def end(self, answer: Answer) -> None:
        """Say why, and close."""
        if not self.transport.is_closing():
            self.transport.write(answer.raw())
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self.end(BAD)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.write_timer = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.write_timer = stopped(self.write_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.header_timer = stopped(self.header_timer)
        self.write_timer = stopped(self.write_timer)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()


def stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


async def busy(scope: Any, receive: Any, send: Any) -> None:
    """The application of a connection too many."""
    headers = [*BUSY.headers(), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": BUSY.status, "headers": headers})
    await send({"type": "http.response.body", "body": BUSY.body})


def protocol_with(limits: Limits) -> type[TimedProtocol]:
    """The protocol with these limits."""
    return type("LimitedProtocol", (TimedProtocol,), {"limits": limits})
