"""`lemari serve`: everything that it refuses."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from serve_cases import (
    NAMES,
    SHORT,
    TOKEN,
    arrow,
    as_rows,
    fault,
    head,
    served,
    table,
    until_closed,
)

from lemari.serve_app.answers import ARROW

pytestmark = pytest.mark.slow  # commands and trainings; the laws are quick

pytest.importorskip("uvicorn", reason="the service needs the extra 'serve'")


@pytest.fixture(scope="module")
def strict(detector):
    """A service with little patience."""
    with served(detector, SHORT) as (client, _):
        yield client


@pytest.mark.parametrize("path", ["/", "/score/", "/etc/passwd", "/../secret", "/docs"])
def test_other_addresses_are_404(client, path):
    fault(client.ask("GET", path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/score", "POST"), ("GET", "/score", "POST"), ("PUT", "/about", "GET"),
     ("OPTIONS", "/score", "POST"), ("POST", "/health", "GET"), ("TRACE", "/about", "GET")],
)  # fmt: skip
def test_other_methods_are_405(client, method, path, allowed):
    reply = client.ask(method, path)
    fault(reply, 405)
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer wrong", "Basic x", TOKEN, f"Bearer {TOKEN}x",
     f"Bearer {TOKEN[:-1]}", "Bearer \xe9"],
)  # fmt: skip
def test_without_the_token_it_is_401(client, given):
    reply = client.ask("GET", "/about", Authorization=given)
    assert "Bearer" in fault(reply, 401) and TOKEN not in reply.body.decode()
    assert reply.headers["www-authenticate"] == "Bearer"


def test_another_host_is_403(client):
    port = client.port
    others = ("evil.example", f"127.0.0.1.evil.example:{port}", f"evil@127.0.0.1:{port}")
    for host in ("", "127.0.0.1", f"127.0.0.1:{port + 1}", "localhost", *others):
        fault(client.ask("GET", "/health", Host=host), 403)
    assert client.ask("GET", "/health", Host=f"localhost:{client.port}").status == 200


def test_another_origin_is_403(client):
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{client.port}", ""):
        fault(client.ask("GET", "/about", Origin=origin), 403)
    fault(client.ask("GET", "/about", Sec_Fetch_Site="cross-site"), 403)
    same = f"http://127.0.0.1:{client.port}"
    assert client.ask("GET", "/about", Origin=same).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"rows", b'{"rows": [{"a": NaN}]}', b"\xff\xfe",
                                  b"[" * 100_000, b'{"rows": [-Infinity]}'])  # fmt: skip
def test_what_is_no_json_is_400(client, body):
    fault(client.score(body), 400)


@pytest.mark.parametrize(
    "content",
    [[], {}, 3, {"rows": []}, {"rows": {}}, {"rows": [3]}, {"rows": [{}]}, {"rows": [{}, []]},
     {"rows": [[1, 2]]}, {"rows": [[1]], "columns": ["amount"]}, {"file": "/etc/passwd"},
     {"rows": [[1, 2]], "columns": ["amount", "amount"]}, {"rows": [[1]], "columns": "amount"},
     {"rows": [[1], [1, 2]], "columns": ["amount"]}, {"rows": [[1]], "columns": [1]}],
)  # fmt: skip
def test_what_is_no_table_is_422(client, content):
    fault(client.score(content), 422)


def test_cells_and_wishes_that_do_not_fit_are_422(client):
    row = as_rows(table(1))[0]
    for wrong in ([1], {"a": 1}, [[]]):
        assert "'amount'" in fault(client.score({"rows": [row | {"amount": wrong}]}), 422)
    for wish in ({"explain": 1}, {"most": 0}, {"most": 21}, {"most": True}, {"most": "3"}):
        fault(client.score({"rows": [row]} | wish), 422)
    fault(client.score({"rows": [row | {"x" * 2000: 1}]}), 422)


def test_a_missing_column_is_422_and_named(client):
    rows = as_rows(table(2))
    del rows[1]["city"]
    assert "Row 1 has no column 'city'" in fault(client.score({"rows": rows}), 422)
    lists = {"columns": ["amount", "age"], "rows": [[1, 2]]}
    assert "'city'" in fault(client.score(lists), 422)
    short = arrow({n: c for n, c in table(2).items() if n != "city"})
    assert "'city'" in fault(client.score(short, Content_Type=ARROW), 422)


def test_other_content_is_415(client):
    row = {"rows": as_rows(table(1))}
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        fault(client.score(row, Content_Type=kind), 415)
    fault(client.score(row, Content_Encoding="gzip"), 415)
    assert client.score(row, Content_Type="application/json; charset=utf-8").status == 200


def test_a_huge_body_is_413(client):
    fault(client.score(b"[" + b" " * (17 << 20)), 413)
    with closing(client.open()) as line:
        line.sendall(head(client, "Content-Length: 999999999999", "Expect: 100-continue"))
        assert line.recv(12) == b"HTTP/1.1 413"
    chunks = iter([b" " * (1 << 20)] * 17)
    with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)) as line:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        line.request("POST", "/score", chunks, headers, encode_chunked=True)
        assert line.getresponse().status == 413


def test_too_many_rows_are_413(strict, detector):
    row = as_rows(table(1))[0]
    assert "600" in fault(strict.score({"rows": [row] * 601}), 413)
    assert "5" in fault(strict.score({"rows": [row] * 6, "explain": True}), 413)
    fault(strict.score(arrow(table(601)), Content_Type=ARROW), 413)


def test_hostile_arrow_is_refused(client):
    whole = arrow(table(20))
    for body in (b"", b"x" * 100, whole[: len(whole) // 2], b"\xff\xff\xff\xff" + b"\xff" * 60):
        assert client.score(body, Content_Type=ARROW).status in (400, 422)
    import pyarrow as pa

    packed = arrow(table(500), options=pa.ipc.IpcWriteOptions(compression="zstd"))
    assert "compressed" in fault(client.score(packed, Content_Type=ARROW), 415)
    endless = arrow({n: pa.nulls(10**9) for n in NAMES})
    assert len(endless) < 10_000
    fault(client.score(endless, Content_Type=ARROW), 413)
    lists = table(2) | {"amount": [[1.0], [2.0]]}
    assert "'amount'" in fault(client.score(arrow(lists), Content_Type=ARROW), 422)
    fault(client.ask("POST", "/score?file=x", whole, Content_Type=ARROW), 422)


def test_damaged_arrow_never_ends_the_service(client):
    whole, rng = arrow(table(20)), np.random.default_rng(0)
    for _ in range(60):
        body = bytearray(whole)
        for place in rng.integers(0, len(body), 4):
            body[place] = rng.integers(0, 256)
        reply = client.score(bytes(body), Content_Type=ARROW)
        assert reply.status in (200, 400, 413, 415, 422), reply
    assert client.ask("GET", "/health").status == 200


def test_what_is_no_http_is_400(client):
    with closing(client.open()) as line:
        line.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert until_closed(line).startswith(b"HTTP/1.1 400")


def test_slow_headers_are_cut_off(strict):
    begin = time.monotonic()
    with closing(strict.open()) as line:
        with pytest.raises(OSError):  # noqa: PT011
            for letter in b"GET /health HTTP/1.1\r\nX-Slow: " + b"y" * 1000:
                line.sendall(bytes([letter]))
                time.sleep(0.05)
        assert 0.5 < time.monotonic() - begin < 10


def test_silent_connections_and_slow_bodies_get_408(strict):
    with closing(strict.open()) as silent, closing(strict.open()) as slow:
        slow.sendall(head(strict, "Content-Length: 100") + b'{"rows"')
        assert until_closed(silent).startswith(b"HTTP/1.1 408")
        found = until_closed(slow)
        assert found.startswith(b"HTTP/1.1 408") and b"too long" in found


def test_too_many_connections_get_503(strict):
    lines = [strict.open() for _ in range(SHORT.connections)]
    try:
        reply = strict.ask("GET", "/health")
        assert "connections" in fault(reply, 503) and reply.headers["retry-after"] == "1"
    finally:
        for line in lines:
            line.close()
    time.sleep(0.2)
    assert strict.ask("GET", "/health").status == 200


def test_an_answer_that_nobody_takes_is_given_up():
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

    from lemari.serve_app.protocol import protocol_with

    class Wire(asyncio.Transport):
        ended = False

        def get_extra_info(self, name, default=None):
            return default

        def abort(self):
            self.ended = True

    async def taken(seconds: float) -> bool:
        config = uvicorn.Config(lambda scope: None, log_config=None)
        kind = protocol_with(replace(SHORT, write_seconds=0.05))
        wire = Wire()
        line = kind(config, ServerState(), {}, asyncio.get_running_loop())
        line.connection_made(wire)
        line.pause_writing()
        await asyncio.sleep(seconds)
        line.resume_writing()
        await asyncio.sleep(0.1)
        line.watch()
        if line.header_timer:
            line.header_timer.cancel()
        return not wire.ended

    assert asyncio.run(taken(0.0)) and not asyncio.run(taken(0.3))


def test_a_full_memory_gets_503(detector):
    with served(detector, replace(SHORT, held=1000)) as (client, _):
        fault(client.score({"rows": as_rows(table(50))}), 503)
        assert client.score({"rows": as_rows(table(1))}).status == 200


def test_a_fault_inside_is_500_without_details(detector, monkeypatch):
    def broken(x):
        raise RuntimeError("secret at /root/secret.py")

    with served(detector) as (client, _):
        monkeypatch.setattr(detector.fitted_.model, "score", broken)
        assert "secret" not in fault(client.score({"rows": as_rows(table(1))}), 500)
        monkeypatch.undo()
        assert client.score({"rows": as_rows(table(1))}).status == 200
