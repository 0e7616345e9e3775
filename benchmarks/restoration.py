"""Restoration: networks beside the classic methods, on the same degraded pictures.

    python benchmarks/restoration.py small RUN --data fashion-mnist     28x28, three noise levels
    python benchmarks/restoration.py small-sr RUN --data mnist          14x14 to 28x28
    python benchmarks/restoration.py gray RUN --sets bsd68 set12        sigma 15, 25, 50 of 255
    python benchmarks/restoration.py color RUN                          Set5 and Set14, 25 and 50
    python benchmarks/restoration.py sr RUN... --sets set5 set14        by luma, as papers do
    python benchmarks/restoration.py blind-spot RUN --supervised RUN    trained without clean ones
    python benchmarks/restoration.py memory RUN                         24 megapixels
    python benchmarks/restoration.py speed RUN                          one picture, all methods
    python benchmarks/restoration.py pictures RUN... --out docs/pictures

A RUN is a run folder, or the name of a model that ships: gray-denoise, color-denoise, x2, x4. Noise
is drawn by numpy from seed + number of the picture, and restored pictures are limited to [0, 1]
before scoring; PSNR and SSIM are means over pictures. Results are merged into
benchmarks/results/restoration.json, one record for each job, set and level. Needs LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import restoration_baselines as base
import torch
from restoration_load import memory, speed
from restoration_pictures import draw
from restoration_records import ALL_ROWS, RESULTS, keep, show
from restoration_sets import denoising, super_resolution
from restoration_small import small, small_sr

from lemari.errors import LemariError
from lemari.machine import describe, installed


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = whole.add_subparsers(dest="job", required=True)

    def job(name: str, do, many: bool = False) -> argparse.ArgumentParser:
        one = jobs.add_parser(name)
        one.add_argument("run", nargs="+" if many else None)
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--threads", type=int, default=2)
        one.add_argument("--results", type=Path, default=RESULTS)
        one.set_defaults(do=do)
        return one

    on_small(job)
    on_sets(job)
    one = job("memory", memory)
    one.add_argument("--size", default="6000x4000")
    one = job("speed", speed)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--side", type=int, default=512)
    one.add_argument("--picture", default="10.png", help="a file of Set12")
    one.add_argument("--without", nargs="*", default=[], help="methods to leave out")
    one = job("pictures", draw, many=True)
    one.add_argument("--out", type=Path, default=Path("docs/pictures"))
    one.add_argument("--name", help="name of the PNG, for one run; default: restored-RUN")
    one.add_argument("--picture", help="SET/FILE; default by the task")
    one.add_argument("--sigma", type=float, default=25)
    return whole


def on_small(job) -> None:
    """Add the jobs on 28x28 pictures."""
    for name, do in (("small", small), ("small-sr", small_sr)):
        one = job(name, do)
        one.add_argument("--data", choices=("fashion-mnist", "mnist"), default="fashion-mnist")
        one.add_argument("--rows", type=int, default=ALL_ROWS)
        if name == "small":
            one.add_argument("--noise", type=float, nargs="+", default=[0.1, 0.3, 0.5])


def on_sets(job) -> None:
    """Add the jobs on sets of whole pictures."""
    for name, sets, sigmas in (
        ("gray", ["bsd68", "set12"], [15, 25, 50]),
        ("color", ["set5", "set14"], [25, 50]),
        ("blind-spot", ["bsd68", "set12"], [25]),
        ("sr", ["set5", "set14"], None),
    ):
        one = job(name, denoising if sigmas else super_resolution, many=not sigmas)
        one.add_argument("--sets", nargs="+", choices=base.SETS, default=sets)
        one.add_argument("--first", type=int, help="only so many pictures of each set")
        if sigmas:
            one.add_argument("--sigmas", type=float, nargs="+", default=sigmas)
            one.add_argument("--bm3d", type=int, default=0, help="BM3D on so many pictures")
        if name == "blind-spot":
            one.add_argument("--supervised", help="a run trained with clean pictures")


def main() -> None:
    given = parser().parse_args()
    torch.set_num_threads(given.threads)
    packages = {name: installed(name) for name in ("scikit-image", "bm3d")}
    begin = time.perf_counter()
    try:
        for found in given.do(given):
            found["whole_seconds"] = time.perf_counter() - begin
            found["machine"] = describe() | {"baselines": packages}
            show(found)
            keep(found, given.results)
            begin = time.perf_counter()
    except LemariError as fault:
        raise SystemExit(f"error: {fault}") from None


if __name__ == "__main__":
    main()
