"""From a free port to a clean end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lemari.errors import MissingExtra, UsageError
from lemari.serve_app.guard import Guard
from lemari.serve_app.limits import Limits
from lemari.tasks.detector import FittedDetector

if TYPE_CHECKING:
    import uvicorn


def bound(host: str, port: int) -> socket.socket:
    """A socket at that address; port 0 takes any free one. UsageError when it cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, number, _, address = sorted(found, key=lambda f: f[0] != socket.AF_INET)[0]
        sock = socket.socket(family, kind, number)
    except (OSError, UnicodeError):
        raise UsageError(f"There is no address {host!r} here; use --host 127.0.0.1.") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as fault:
        sock.close()
        raise UsageError(
            f"Port {port} of {host} cannot be used ({fault.strerror}); choose another --port, or "
            "0 for any free one."
        ) from None
    return sock


def server_of(
    fitted: FittedDetector,
    guard: Guard,
    limits: Limits | None = None,
    verbose: bool = False,
) -> uvicorn.Server:
    """A server that is not started yet; its application is a `Service`."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra(
            "The score service needs uvicorn; install it with `pip install 'lemari[serve]'`."
        ) from None
    from lemari.serve_app.app import Service
    from lemari.serve_app.protocol import protocol_with

    limits = limits or Limits()
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    logging.getLogger("uvicorn").propagate = False
    config = uvicorn.Config(
        Service(fitted, guard, limits, verbose), http=protocol_with(limits), ws="none",
        lifespan="off", log_config=None, access_log=False, server_header=False, loop="asyncio",
        proxy_headers=False, timeout_keep_alive=int(limits.idle_seconds), backlog=1024,
        timeout_graceful_shutdown=limits.stop_seconds,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = lambda: stopping(server)  # pyright: ignore[reportAttributeAccessIssue]
    return server


def run(
    server: uvicorn.Server, sock: socket.socket, ready: Callable[[], None] = lambda: None
) -> None:
    """Answer until Ctrl-C or SIGTERM; requests that came before the signal are still answered."""
    service: Any = server.config.app
    service.scorer.warm()
    try:
        asyncio.run(_run(server, sock, ready))
    finally:
        service.scorer.close()


async def _run(server: uvicorn.Server, sock: socket.socket, ready: Callable[[], None]) -> None:
    async def announce() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        ready()

    telling = asyncio.create_task(announce())
    await server.serve(sockets=[sock])
    await telling


@contextmanager
def stopping(server: uvicorn.Server) -> Iterator[None]:
    """The first signal asks the server to end well, and a second one to end at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.force_exit, server.should_exit = server.should_exit, True

    signals = (signal.SIGINT, signal.SIGTERM)
    with suppress(NotImplementedError, RuntimeError, ValueError):  # another thread, or Windows
        for number in signals:
            loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            for number in signals:
                loop.remove_signal_handler(number)
