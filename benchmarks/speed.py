"""Speed and memory: ratios measured in one process, in alternating windows.

    python benchmarks/speed.py chapter     the chapter's autoencoder against a plain loop and pythae
    python benchmarks/speed.py tiny        30-16-8-16-30, batch 256, against Lightning's Trainer
    python benchmarks/speed.py encode      60,000 pictures to codes
    python benchmarks/speed.py memory      peak resident memory of training on 60,000 pictures
    python benchmarks/speed.py help        how long `lemari --help` takes

The plain loop is what tutorials show: a Dataset that returns one tensor an item, a DataLoader, an
eager float32 model, Adam, and `loss.item()` every step for the progress bar. Lightning and pythae
run their own trainers on the same layers, where they are installed (`pip install lightning`;
`pip install --no-deps pythae`); Lightning's logger, checkpoints and progress bar are off.
Needs LEMARI_DATA. Results go to benchmarks/results/speed.json.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from speed_loops import (
    Items,
    LightningLoop,
    OurLoop,
    PlainLoop,
    PythaeLoop,
    alternate,
    chapter_net,
    pictures,
    ratios,
    tiny_net,
)

from lemari.feed import Feed
from lemari.formats import TableFormat
from lemari.machine import describe
from lemari.store import build
from lemari.tasks.embed import encode
from lemari.tasks.plan import Request, recipe_for

RESULTS = Path(__file__).parent / "results" / "speed.json"


def chapter(rounds: int = 5, seconds: float = 6.0) -> dict:
    torch.set_num_threads(os.cpu_count() or 1)
    fmt, x = pictures()
    request = Request("ae", {"network": "chapter", "latent": 2})
    recipe = recipe_for(fmt.schema, request)
    loops = {
        "lemari": OurLoop(Feed(x, None, fmt), recipe, fmt.schema),
        "plain loop": PlainLoop(chapter_net(), Items(x, 1 / 255), 128),
    }
    try:
        loops["pythae"] = PythaeLoop(x[: 128 * 40], 128)
    except ImportError as fault:
        print(f"pythae is left out: {fault}", file=sys.stderr)
    return ratios(alternate(loops, rounds, seconds)) | {"precision": recipe.precision}


def tiny(rounds: int = 7, seconds: float = 3.0) -> dict:
    torch.set_num_threads(1)
    x = np.random.default_rng(0).standard_normal((100_000, 30)).astype(np.float32)
    names, ones = tuple(f"c{i}" for i in range(30)), (1.0,) * 30
    fmt = TableFormat(names, (0.0,) * 30, ones, (0.0,) * 30)
    recipe = recipe_for(
        fmt.schema, Request("ae", {"network": "mlp:16", "latent": 8}, batch_size=256)
    )
    loops = {
        "lemari": OurLoop(Feed(x, None, fmt), recipe, fmt.schema),
        "loop with DataLoader": PlainLoop(tiny_net(), Items(x, 1.0), 256, hooks=10),
    }
    try:
        loops["Lightning's Trainer"] = LightningLoop(tiny_net(), Items(x, 1.0), 256)
    except ImportError as fault:
        print(f"Lightning is left out: {fault}", file=sys.stderr)
    return ratios(alternate(loops, rounds, seconds))


def encoding(rounds: int = 5) -> dict:
    torch.set_num_threads(os.cpu_count() or 1)
    fmt, x = pictures()
    recipe = recipe_for(fmt.schema, Request("ae", {"network": "chapter", "latent": 2}))
    model, feed, seconds = build(fmt.schema, recipe), Feed(x, None, fmt), []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        encode(model, feed)
        seconds.append(time.perf_counter() - begin)
    return {"rows": len(x), "seconds": statistics.median(seconds[1:]), "all": seconds[1:]}


def memory() -> dict:
    """A whole `lemari train` of one epoch, with scores and pictures, in this process."""

    from lemari.surfaces.cli.main import run

    with tempfile.TemporaryDirectory() as scratch:
        code = run(
            [
                "train",
                "fashion-mnist",
                "--variant",
                "ae",
                "--network",
                "chapter",
                "--latent",
                "2",
                "--epochs",
                "1",
                "--out",
                f"{scratch}/run",
                "--json",
            ],
            debug=False,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"exit": code, "peak_resident_bytes": peak}


def start_up(runs: int = 7) -> dict:
    """Wall time of `lemari --help` as a process."""
    import subprocess

    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run(
            [Path(sys.executable).parent / "lemari", "--help"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(seconds), "runs": runs}


def main() -> None:
    jobs = {
        "chapter": chapter,
        "tiny": tiny,
        "encode": encoding,
        "memory": memory,
        "help": start_up,
    }
    name = sys.argv[1] if len(sys.argv) > 1 else "chapter"
    if name not in jobs:
        raise SystemExit(f"Say what to measure: one of {', '.join(jobs)}.")
    record = jobs[name]() | {"machine": describe()}
    RESULTS.parent.mkdir(exist_ok=True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | {name: record}, indent=1) + "\n")
    print(json.dumps({k: v for k, v in record.items() if k != "machine"}, indent=1))


if __name__ == "__main__":
    main()
