"""What this machine can do: cores, threads, precision; and its description for the run folder."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from lemari.errors import UsageError

SMALL = 200_000  # parameters below which a second thread costs more than it brings
PACKAGES = ("lemari", "torch", "numpy", "scikit-learn", "pillow", "pyarrow", "safetensors")


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(model: nn.Module, wanted: int | None) -> int:
    """Training threads: as wanted, else all cores, or one for small fully connected networks."""
    if wanted is not None:
        if not 1 <= wanted <= cores():
            raise UsageError(f"threads is 1 to {cores()} on this machine, not {wanted}.")
        return wanted
    size = sum(p.numel() for p in model.parameters())
    return cores() if convolutional(model) or size > SMALL else 1


def convolutional(model: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in model.modules())


def fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers itself."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def precision_for(model: nn.Module, wanted: str | None) -> str:
    """bfloat16 for convolutional networks on processors that know it, unless told otherwise."""
    if wanted in ("float32", "bfloat16"):
        return wanted
    if wanted not in (None, "auto"):
        raise UsageError(f"precision is auto, float32 or bfloat16, not {wanted!r}.")
    return "bfloat16" if convolutional(model) and fast_bfloat16() else "float32"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block with this many torch threads, and put the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(count, cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def describe() -> dict[str, object]:
    """Versions and hardware; no user names, host names or paths."""
    return {
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
        "fast_bfloat16": fast_bfloat16(),
        "packages": {name: installed(name) for name in PACKAGES},
    }


def speed(seconds: float = 2.0) -> dict[str, float]:
    """Matrix products and training steps a second, measured for about `seconds`."""
    a = torch.randn(1024, 1024)
    products = rate(lambda: a @ a, seconds / 2) * 2 * 1024**3 / 1e9
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 784))
    optimiser = torch.optim.Adam(net.parameters(), fused=True)
    x = torch.rand(128, 784)

    def step() -> None:
        optimiser.zero_grad()
        (net(x) - x).square().mean().backward()
        optimiser.step()

    return {"gflops": products, "rows_per_second": 128 * rate(step, seconds / 2)}


def rate(work, seconds: float) -> float:
    """How often a second `work` runs."""
    work()
    begin, times = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        times += 1
    return times / (time.perf_counter() - begin)
