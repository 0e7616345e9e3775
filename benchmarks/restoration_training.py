"""Train the networks of the restoration benchmark, and the ones that ship with the package.

    python benchmarks/restoration_training.py bsd-gray --out models/bsd-gray
    python benchmarks/restoration_training.py x2 --out models/x2 --ship
    python benchmarks/restoration_training.py --list

Each setting is one `lemari train` with the options shown; it is written as a run folder that
`lemari restore` takes. BSD400 may be used for research only, so nothing trained on it is shipped;
what ships (`ship`: gray-denoise, color-denoise, x2, x4) has seen the Kodak photographs only. Needs
LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import time
from pathlib import Path

from lemari.store import Fitted
from lemari.tasks.fit import start, train_in, with_lock
from lemari.tasks.job import prepare
from lemari.tasks.plan import Request
from lemari.tasks.restorer import MODELS
from lemari.types import Epoch

BSD, KODAK = "denoise-sr/bsd400_gray_180.npz", "denoise-sr/kodak24_rgb.tar"
BLIND = {"noise": "0:0.22"}  # sigma 0 to 56 of 255
PATCHES = {"patch": 64, "augment": "dihedral", "batch_size": 16, "lr": 2e-3}
SMALL = {"batch_size": 32, "lr": 2e-3}
WIDE = "unet:64-128-256"
SETTINGS: dict[str, dict] = {
    **{
        f"{name}-denoise": {
            "data": name,
            "variant": "denoising-ae",
            "options": {"noise": "0.05:0.55", "kind": "clipped", "likelihood": "student"},
            "epochs": 6,
            **SMALL,
        }
        for name in ("mnist", "fashion-mnist")
    },
    **{
        f"{name}-denoise-{level}": {
            "data": name,
            "variant": "denoising-ae",
            "options": {
                "noise": str(level),
                "kind": "clipped",
                "network": WIDE,
                "likelihood": "student",  # the mean PSNR over pictures is what is asked for
            },
            "epochs": epochs,
            **SMALL,
        }
        for name, level, epochs in (("mnist", 0.3, 5), ("mnist", 0.5, 8))
    },
    **{
        f"{name}-x2": {
            "data": name,
            "variant": "super-resolution-ae",
            "options": {"scale": 2, "down": "area"},
            "epochs": 2,
            **SMALL,
        }
        for name in ("mnist", "fashion-mnist")
    },
    "bsd-gray": {"data": BSD, "variant": "denoising-ae", "options": BLIND, "epochs": 10, **PATCHES},
    "bsd-blind-spot": {
        "data": BSD,
        "variant": "denoising-ae",
        "options": {"kind": "blind-spot"},
        "epochs": 3,
        "noisy": 25 / 255,
        **PATCHES,
    },
    "gray-denoise": {
        "data": KODAK,
        "variant": "denoising-ae",
        "options": BLIND,
        "channels": 1,
        "epochs": 5,
        **PATCHES,
    },
    "color-denoise": {
        "data": KODAK,
        "variant": "denoising-ae",
        "options": BLIND,
        "epochs": 5,
        **PATCHES,
    },
    **{
        f"x{scale}": {
            "data": KODAK,
            "variant": "super-resolution-ae",
            "options": {"scale": scale} | own,
            "channels": 1,
            "epochs": epochs,
            **PATCHES,
            "patch": 32 * scale,
        }
        for scale, epochs, own in ((2, 6, {}), (3, 4, {}), (4, 12, {"likelihood": "student"}))
    },
}


def data_of(setting: dict, scratch: Path) -> str:
    """The path of the pictures; an archive is unpacked, and noise added where it is asked for."""
    if "/" not in setting["data"]:
        return setting["data"]
    path = Path(os.environ["LEMARI_DATA"]) / setting["data"]
    if path.suffix == ".tar":
        folder = scratch / path.stem
        if not folder.exists():
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
        return str(folder)
    if setting.get("noisy"):
        return str(noisy_copy(path, setting["noisy"], scratch))
    return str(path)


def noisy_copy(path: Path, sigma: float, scratch: Path) -> Path:
    """The same pictures with Gaussian noise (seed 0), float32 in [0, 1] units, never clipped."""
    import numpy as np

    target = scratch / f"{path.stem}-noisy.npy"
    if not target.exists():
        x = np.load(path)["images"].astype(np.float32) / 255
        noise = np.random.default_rng(0).standard_normal(x.shape, np.float32)
        np.save(target, x + sigma * noise)
    return target


def train(name: str, out: Path, scratch: Path, threads: int, **changes) -> dict:
    """Train one setting into a run folder; returns what was measured."""
    setting = SETTINGS[name] | {k: v for k, v in changes.items() if v is not None}
    reading = {k: setting[k] for k in ("patch", "channels") if k in setting}
    kept = ("variant", "options", "epochs", "batch_size", "lr", "augment")
    request = Request(**{k: setting[k] for k in kept if k in setting}, threads=threads)
    job = prepare(data_of(setting, scratch), request, **reading)
    out.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()

    def show(record) -> None:
        if isinstance(record, Epoch):
            spent = time.perf_counter() - begin
            print(name, record.number, f"{spent:.0f} s", dict(record.valid), flush=True)

    with with_lock(out):
        start(out, job)
        _, history = train_in(out, job, show)
    seconds = sum(r["seconds"] for r in history)
    return {"setting": name, "seconds": seconds, "threads": threads, "epochs": len(history)}


def ship(name: str, run: Path) -> Path:
    """Put a trained model into the package. Raises ValueError for one that may not be shipped."""
    if SETTINGS[name]["data"] != KODAK:
        raise ValueError(f"{name} was not trained on the Kodak photographs; it is not shipped.")
    fitted = Fitted.load(run)
    reference = fitted.recipe.data.model_copy(update={"name": Path(KODAK).name, "options": {}})
    fitted.recipe = fitted.recipe.model_copy(update={"data": reference})
    return fitted.save(MODELS / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", nargs="?", choices=sorted(SETTINGS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scratch", type=Path, default=Path("runs/restoration-data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--ship", action="store_true", help="put the run --out into the package")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list or not given.setting:
        print(json.dumps(SETTINGS, indent=1))
        return
    given.scratch.mkdir(parents=True, exist_ok=True)
    out = given.out or Path("runs") / given.setting
    if given.ship and (out / "index.json").is_file():
        print(ship(given.setting, out))
        return
    record = train(given.setting, out, given.scratch, given.threads, epochs=given.epochs)
    print(json.dumps(record))
    if given.ship:
        print(ship(given.setting, out))


if __name__ == "__main__":
    main()
