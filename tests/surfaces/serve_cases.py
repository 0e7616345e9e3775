"""A detector behind HTTP, and a client, for the tests of `lemari serve`."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from lemari import Detector
from lemari.detect import denoising, suspicion
from lemari.serve_app.guard import Guard
from lemari.serve_app.limits import Limits

TOKEN = "a-token-for-the-tests"
NAMES = ("amount", "age", "city", "member", "day")
SHORT = Limits(header_seconds=0.6, body_seconds=0.8, connections=6, rows=600, explained=5)


def table(rows: int = 300, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    days = np.datetime64("2026-01-01") + rng.integers(0, 99, rows).astype("timedelta64[D]")
    return {
        "amount": np.round(rng.gamma(2, 30, rows), 2),
        "age": rng.integers(18, 80, rows).astype(float),
        "city": rng.choice(list("abcd"), rows).tolist(),
        "member": rng.random(rows) < 0.5,
        "day": days,
    }


def as_rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """The same cells as JSON holds them."""
    lists = {
        name: [str(v) for v in c] if name == "day" else np.asarray(c).tolist()
        for name, c in columns.items()
    }
    return [dict(zip(lists, cells)) for cells in zip(*lists.values())]


def quickly(data: Any, **options: Any) -> Detector:
    """A detector trained for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoising, "STEPS", 20)
        patch.setattr(suspicion, "STEPS", 5)
        return Detector(**options).fit(data)


@cache
def detector_of_table() -> Detector:
    return quickly(table(), alarm_rate=0.1)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        def refuse(name: str) -> None:
            raise AssertionError(name)

        return json.loads(self.body, parse_constant=refuse)


@dataclass(frozen=True)
class Client:
    port: int

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Reply:
        """One request; a header given as None is left out."""
        own = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {TOKEN}"}
        if body is not None:
            own["Content-Type"] = "application/json"
            own["Content-Length"] = str(len(body)) if isinstance(body, bytes) else ""
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as line:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in own.items():
                if value is not None:
                    line.putheader(name, value)
            line.endheaders(body)
            found = line.getresponse()
            return Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())

    def score(self, content: Any, **headers: str | None) -> Reply:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", "/score", body, **headers)

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def served(detector: Detector, limits: Limits | None = None, verbose: bool = False):
    """A service in a thread, and the server that runs it."""
    from lemari.serve_app import running

    sock = running.bound("127.0.0.1", 0)
    port = sock.getsockname()[1]
    guard = Guard("127.0.0.1", port, TOKEN)
    server = running.server_of(detector.fitted_, guard, limits, verbose)
    ready = threading.Event()
    thread = threading.Thread(target=running.run, args=(server, sock, ready.set))
    thread.start()
    assert ready.wait(20)
    try:
        yield Client(port), server
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def fault(reply: Reply, status: int) -> str:
    """The sentence of a refusal, which names no file and shows no traceback."""
    assert reply.status == status, reply
    assert list(reply.json) == ["error"]
    sentence = reply.json["error"]
    assert sentence.endswith(".") and "Traceback" not in sentence
    assert not any(word in sentence for word in (".py", "/root", "/tmp", "/work"))
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    return sentence


def arrow(columns: dict[str, Any], **options: Any) -> bytes:
    import pyarrow as pa

    data, out = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(out, data.schema, **options) as writer:
        writer.write_table(data)
    return out.getvalue()


def head(client: Client, *more: str) -> bytes:
    lines = ["POST /score HTTP/1.1", f"Host: 127.0.0.1:{client.port}",
             f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", *more]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def until_closed(line: socket.socket) -> bytes:
    found = b""
    while part := line.recv(65536):
        found += part
    return found
