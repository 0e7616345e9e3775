"""How fast the detector is, in one process with PyOD's AutoEncoder; memory in a process of its own.

python benchmarks/detection.py speed --threads 2
python benchmarks/detection_speed.py 1000000     one fit of that many rows, its seconds and peak
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from detection_runs import LEMARI, figures, keep, make

ROWS, COLUMNS, MANY = 10_000, 30, 1_000_000
ROUNDS = 3


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Correlated columns of three clusters, with noise: (count, 30) float32."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(size=(3, 8, COLUMNS))
    centres = np.random.default_rng(2).normal(size=(3, COLUMNS)) * 2
    x = np.empty((count, COLUMNS), np.float32)
    for begin in range(0, count, 100_000):
        kind = rng.integers(0, 3, min(100_000, count - begin))
        code = rng.normal(size=(len(kind), 8))
        x[begin : begin + len(kind)] = centres[kind] + np.einsum("nk,nkf->nf", code, mixing[kind])
    x += rng.normal(size=x.shape).astype(np.float32) * 0.3
    return x


def fit_and_score(method: str, x: np.ndarray, seed: int) -> float:
    """Seconds of fitting and scoring the same rows."""
    begin = time.perf_counter()
    make(method, seed, mixed=True).fit(x).anomaly_score(x)
    return time.perf_counter() - begin


def alternating(method: str, seed: int, other: str, x: np.ndarray) -> dict:
    """Both in turn; the first round warms up and does not count."""
    pairs = [
        (fit_and_score(method, x, turn), fit_and_score(other, x, turn))
        for turn in range(seed, seed + ROUNDS + 1)
    ][1:]
    ratios = [b / a for a, b in pairs]
    return {
        "fit and score": statistics.median(a for a, _ in pairs),
        other: statistics.median(b for _, b in pairs),
        "times faster": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }


def scoring(method: str, seed: int, count: int = 300_000) -> dict:
    """Rows scored a second, median of three passes after one to warm up."""
    model, x = make(method, seed, mixed=True).fit(rows(ROWS)), rows(count, 7)
    seconds = []
    for _ in range(4):
        begin = time.perf_counter()
        model.anomaly_score(x)
        seconds.append(time.perf_counter() - begin)
    return {"rows a second": count / statistics.median(seconds[1:])}


def large(method: str, seed: int, count: int) -> dict:
    """Seconds and peak resident memory (bytes, rows included) of one fit in this process."""
    x = rows(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begin = time.perf_counter()
    make(method, seed, mixed=True).fit(x)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"million fit": seconds, "peak GiB": peak / 2**30, "before GiB": before / 2**30}


def large_elsewhere(method: str, seed: int) -> dict:
    """The same in a fresh process, so that nothing else counts towards its peak."""
    import torch

    command = [sys.executable, __file__, str(MANY), method, str(torch.get_num_threads()), str(seed)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def speed(methods: list[str], seeds: list[int]) -> None:
    """All of ours against PyOD's AutoEncoder at its defaults; the seeds are not used."""
    import torch

    threads = f"{torch.get_num_threads()} threads"
    for method in [m for m in methods if m in LEMARI] or methods:
        keep("speed fit", threads, 0, method, alternating, "AutoEncoder", rows(ROWS))
        keep("speed score", threads, 0, method, scoring)
        keep("speed large", threads, 0, method, large_elsewhere)
    show_speed()


def show_speed() -> None:
    figures("speed fit", ["fit and score", "AutoEncoder", "times faster"])
    figures("speed score", ["rows a second"])
    figures("speed large", ["million fit", "peak GiB", "before GiB"])


if __name__ == "__main__":
    import torch

    given = dict(enumerate(sys.argv))
    torch.set_num_threads(int(given.get(3, "2")))
    print(json.dumps(large(given.get(2, "Lemari"), int(given.get(4, "0")), int(given[1]))))
