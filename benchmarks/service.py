"""How `lemari serve` answers many clients at once, on this machine's own loopback.

python benchmarks/service.py                      200 clients, half a second of thought, 60 s
python benchmarks/service.py --think 0            the hardest load: each asks again at once
python benchmarks/service.py RUN --seconds 20     with a detector of one's own

Every client keeps one connection, sends one row, waits for the answer, and thinks. Load generator
and service share the processor, so the figures are those of both together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLIENTS, SECONDS, THINK = 200, 60.0, 0.5
LONGEST = 0.250  # seconds within which 99 % of the answers are to come, with time to think


def table(rows: int = 2000) -> dict[str, Any]:
    """Payments: eight columns of four kinds."""
    rng = np.random.default_rng(0)
    day = np.datetime64("2026-01-01") + rng.integers(0, 300, rows).astype("timedelta64[D]")
    size = rng.gamma(2, 1, rows)
    return {
        "amount": np.round(30 * size, 2),
        "items": np.ceil(size + rng.random(rows)),
        "age": rng.integers(18, 80, rows).astype(float),
        "distance": np.round(rng.exponential(12, rows), 1),
        "country": rng.choice(["ID", "SG", "MY", "TH"], rows, p=[0.6, 0.2, 0.15, 0.05]).tolist(),
        "channel": rng.choice(["shop", "web", "phone"], rows).tolist(),
        "member": rng.random(rows) < 0.4,
        "day": day,
    }


def fitted_run(folder: Path, normal_only: bool) -> Path:
    """A detector of that table, saved."""
    from lemari import Detector

    return Detector(normal_only=normal_only).fit(table()).save(folder / "payments")


class Service:
    """The command `lemari serve` in a process of its own, on a free port."""

    def __init__(self, run: Path) -> None:
        command = [sys.executable, "-c", "from lemari.surfaces.cli.main import main; main()"]
        words = ["serve", str(run), "--port", "0", "--json"]
        self.process = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.port, self.token = int(told["url"].rpartition(":")[2]), told["token"]

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *fault: Any) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0, "the service did not end well"

    def cpu(self) -> float:
        """Processor seconds that the service has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One request as bytes."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def ask(reader, writer, request: bytes) -> tuple[int, bytes]:
    """Status and body of one answer."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def client(service: Service, requests: list[bytes], think: float, seconds: float, seed: int):
    """Seconds of each answer of one client, and how many requests failed."""
    rng, taken, failed = random.Random(seed), [], 0
    await asyncio.sleep(rng.random() * max(think, 0.2))
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        try:
            status, _ = await ask(reader, writer, rng.choice(requests))
            failed += status != 200
            taken.append(time.perf_counter() - begin)
        except (OSError, asyncio.IncompleteReadError):
            failed += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        if think:
            await asyncio.sleep(rng.uniform(0.5, 1.5) * think)
    writer.close()
    return taken, failed


async def load(service: Service, clients: int, think: float, seconds: float) -> dict[str, Any]:
    """All clients together: requests, failures and percentiles of the answers in milliseconds.

    The processor time of a request does not depend on what else the machine does.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    _, told = await ask(reader, writer, service.request("GET", "/about"))
    writer.close()
    body = json.dumps(json.loads(told)["example"]).encode()
    requests = [service.request("POST", "/score", body)]
    begin, used, own = time.perf_counter(), service.cpu(), time.process_time()
    found = await asyncio.gather(
        *(client(service, requests, think, seconds, i) for i in range(clients))
    )
    taken = np.array([t for one, _ in found for t in one])
    share = {f"p{q} ms": float(np.percentile(taken, q) * 1e3) for q in (50, 95, 99)}
    return {
        "clients": clients,
        "think s": think,
        "requests": len(taken),
        "a second": len(taken) / (time.perf_counter() - begin),
        "failed": sum(failed for _, failed in found),
        **share,
        "most ms": float(taken.max() * 1e3),
        "service cpu ms": (service.cpu() - used) / len(taken) * 1e3,
        "clients cpu ms": (time.process_time() - own) / len(taken) * 1e3,
        "load": Path("/proc/loadavg").read_text().split()[0],
    }


def main() -> int:
    """Print one JSON line; exit 1 when a request failed or too many answers were late."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="folder of a detector; default: one is fitted")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--think", type=float, default=THINK, help="mean seconds between requests")
    parser.add_argument("--normal-only", action="store_true", help="fit the slower detector")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(given.run) if given.run else fitted_run(Path(folder), given.normal_only)
        with Service(run) as service:
            found = asyncio.run(load(service, given.clients, given.think, given.seconds))
    print(json.dumps(found))
    return int(bool(found["failed"]) or (given.think > 0 and found["p99 ms"] > LONGEST * 1e3))


if __name__ == "__main__":
    sys.exit(main())
