"""The service as an ASGI application: three addresses, each with one method."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from lemari.errors import LemariError
from lemari.mixed.frame import Frame
from lemari.serve_app import arrows, tables
from lemari.serve_app.about import about
from lemari.serve_app.answers import ARROW, JSON, Answer, Refusal, as_json
from lemari.serve_app.guard import Guard
from lemari.serve_app.limits import Limits
from lemari.serve_app.scoring import Scorer
from lemari.tasks.detector import FittedDetector

METHODS = {"/score": "POST", "/health": "GET", "/about": "GET"}
CLOSE = (b"connection", b"close")
TRUTHS = {"true": True, "1": True, "false": False, "0": False}
LARGE = 1 << 16  # bytes of a body from which it is read in a thread
REST = 2.0  # seconds for which the rest of a refused body is read, so that the answer arrives


class Service:
    """Answers requests with one detector; `verbose` prints a line for each."""

    def __init__(
        self, fitted: FittedDetector, guard: Guard, limits: Limits, verbose: bool = False
    ) -> None:
        self.fitted, self.guard, self.limits, self.verbose = fitted, guard, limits, verbose
        self.scorer = Scorer(fitted)
        self.held = 0
        self.about = Answer(200, as_json(about(fitted, limits)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request. Whatever goes wrong becomes an answer of one sentence."""
        begin = time.perf_counter()
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        body = Body(receive, headers, self)
        try:
            answer = await self.answer(scope, headers, body)
        except Refusal as refusal:
            answer = refusal.answer
        except LemariError as fault:
            answer = Refusal(422, str(fault)).answer
        except Exception as fault:
            if self.verbose:
                print(f"fault: {type(fault).__name__}", file=sys.stderr, flush=True)
            answer = Refusal(500, "The service failed on this request; send it again, or less "
                             "at a time.").answer  # fmt: skip
        finally:
            body.release()
        extra = [] if await body.finished() else [CLOSE]
        start = {"type": "http.response.start", "status": answer.status}
        await send(start | {"headers": [*answer.headers(), *extra]})
        await send({"type": "http.response.body", "body": answer.body})
        if self.verbose:
            path = scope["path"] if scope["path"] in METHODS else "-"
            method = scope["method"] if scope["method"].isalpha() else "-"
            taken = (time.perf_counter() - begin) * 1e3
            print(f"{method[:10]} {path} {answer.status} {taken:.1f} ms", file=sys.stderr)

    async def answer(self, scope: Any, headers: dict[str, str], body: Body) -> Answer:
        """The answer to a request that passes all checks; otherwise a Refusal."""
        self.guard.check_host(headers)
        self.guard.check_origin(headers)
        path, method = scope["path"], scope["method"]
        if path not in METHODS:
            raise Refusal(404, "There is only POST /score, GET /about and GET /health.")
        if method != METHODS[path]:
            allowed = METHODS[path]
            text = f"{path} takes {allowed} only."
            raise Refusal(405, text, ((b"allow", allowed.encode()),))
        if path == "/health":
            return Answer(200, as_json({"status": "ok"}))
        self.guard.check_token(headers)
        if path == "/about":
            return self.about
        return await self.score(headers, scope["query_string"], body)

    async def score(self, headers: dict[str, str], query: bytes, body: Body) -> Answer:
        """POST /score, in JSON or Arrow."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (JSON, ARROW) or headers.get("content-encoding", "identity") != "identity":
            raise Refusal(415, f"Send {JSON} or {ARROW}, without content encoding.")
        content = await body.read()
        if kind == ARROW:
            asked = asked_in_query(query)
            frame = await self.perhaps_aside(content, self.from_arrow, content)
        else:
            asked, frame = await self.perhaps_aside(content, self.from_json, content)
        write = arrows.arrow_of if kind == ARROW else as_json
        result = await self.result(frame, asked)
        return Answer(200, await self.perhaps_aside(content, write, result), kind)

    async def perhaps_aside(self, content: bytes, work: Callable[..., Any], *given: Any) -> Any:
        """Work on a large body is done in a thread, so that small requests do not wait for it."""
        large = len(content) > LARGE
        return await self.scorer.aside(work, *given) if large else work(*given)

    def from_arrow(self, content: bytes) -> Frame:
        """The rows of an Arrow stream."""
        return arrows.frame_from_arrow(content, self.fitted.format, self.limits)

    def from_json(self, content: bytes) -> tuple[dict[str, Any], Frame]:
        """What a JSON body asks for, and its rows."""
        asked = tables.content_of(content)
        frame = tables.frame_of(asked, self.fitted.format, self.limits)
        return {key: asked[key] for key in ("explain", "most") if key in asked}, frame

    async def result(self, frame: Frame, asked: dict[str, Any]) -> dict[str, Any]:
        """Scores, p-values, flags, reasons (None unless asked for) and notes of all rows."""
        explain, most = self.wish(asked, len(frame))
        scored = await self.scorer.score(frame)
        return {
            "scores": scored.scores,
            "p_values": self.fitted.calibration.p_value(scored.scores),
            "flagged": scored.scores > self.fitted.threshold.value,
            "reasons": await self.scorer.explain(scored, frame, most) if explain else None,
            "notes": scored.notes,
        }

    def wish(self, asked: dict[str, Any], rows: int) -> tuple[bool, int]:
        """Whether reasons are wanted, and how many for each row."""
        explain, most = asked.get("explain", False), asked.get("most", 3)
        largest = self.limits.most_reasons
        if not isinstance(explain, bool):
            raise Refusal(422, '"explain" is true or false.')
        if type(most) is not int or not 1 <= most <= largest:
            raise Refusal(422, f'"most" is a whole number from 1 to {largest}.')
        if explain and rows > self.limits.explained:
            raise Refusal(413, f"Reasons are given for up to {self.limits.explained:,} rows at a "
                          "time; send fewer.")  # fmt: skip
        return explain, most


def asked_in_query(query: bytes) -> dict[str, Any]:
    """What an address like /score?explain=true&most=3 asks for."""
    asked: dict[str, Any] = {}
    try:
        given = parse_qs(query.decode("ascii"), max_num_fields=4, strict_parsing=bool(query))
    except ValueError:
        given = {"": [""]}
    for name, values in given.items():
        value: Any = values[-1]
        if name == "explain" and value in TRUTHS:
            asked[name] = TRUTHS[value]
        elif name == "most" and value.isdecimal() and len(value) < 4:
            asked[name] = int(value)
        else:
            raise Refusal(422, "The address may ask for explain=true and most=3.")
    return asked


class Body:
    """The body of one request, read within limits of size, time and memory of all together."""

    def __init__(self, receive: Any, headers: dict[str, str], service: Service) -> None:
        self.receive, self.service, self.limits = receive, service, service.limits
        length = headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() and len(length) < 20 else None
        self.whole = self.length == 0 or (not length and "transfer-encoding" not in headers)
        self.waits = headers.get("expect", "").lower() == "100-continue"
        self.held = 0

    async def read(self) -> bytes:
        """All of it; 408 when it takes too long, 413 when it is too large, 503 when many are."""
        if self.length is not None and self.length > self.limits.body:
            raise self.too_large()
        parts = []
        self.waits = False
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while not self.whole:
                    part = await self.part()
                    parts.append(part)
                    self.hold(len(part))
        except TimeoutError:
            raise Refusal(408, "The body took too long to arrive; send it faster.") from None
        return b"".join(parts)

    async def part(self) -> bytes:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            self.whole = True
            raise Refusal(400, "The connection ended before the body did.")
        self.whole = not message.get("more_body", False)
        return message.get("body", b"")

    def hold(self, count: int) -> None:
        """Count bytes that are kept in memory until the answer is made."""
        self.held += count
        self.service.held += count
        if self.held > self.limits.body:
            raise self.too_large()
        if self.service.held > self.limits.held:
            raise Refusal(503, "The service is busy with other requests; try again shortly.",
                          ((b"retry-after", b"1"),))  # fmt: skip

    def too_large(self) -> Refusal:
        size = self.limits.body >> 20
        text = f"The body is larger than {size} MiB; send fewer rows at a time, or Arrow."
        return Refusal(413, text)

    def release(self) -> None:
        """The bytes are no longer kept."""
        self.service.held -= self.held
        self.held = 0

    async def finished(self) -> bool:
        """Whether all of it was read, after waiting for a refused rest for a moment."""
        if self.waits and not self.whole:
            return False
        left = 4 * self.limits.body
        try:
            async with asyncio.timeout(REST):
                while not self.whole and left > 0:
                    left -= len(await self.part())
        except (TimeoutError, Refusal):
            pass
        return self.whole
