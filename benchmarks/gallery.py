"""Every variant on the same data: figures, pictures, and the page "Which variant should I use?".

    python benchmarks/gallery.py train [--only vae aae] [--rows 10000] [--epochs 15]
    python benchmarks/gallery.py page

Fashion-MNIST, the fully connected network, codes of 16 numbers for the figures and of 2 for the
map; scores on the first 2,000 test pictures. Needs LEMARI_DATA. Results go to
benchmarks/results/gallery.json, pictures to docs/pictures/variants, the page to docs/variants.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.machine import threads
from lemari.metrics.representation import knn_accuracy
from lemari.registry import VARIANTS
from lemari.sources import open_data
from lemari.store import Fitted, build
from lemari.tasks.embed import decode, encode, reconstruct
from lemari.tasks.generate import prior_codes, settle
from lemari.tasks.plan import Request, recipe_for, sized, variant_options
from lemari.train import Training

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "gallery.json"
PICTURES, PAGE = (
    HERE.parent / "docs" / "pictures" / "variants",
    HERE.parent / "docs" / "variants.md",
)
DATA, TESTED, SHOWN = "fashion-mnist", 2000, 10
PRESETS = ("chapter-", "lesson-")
ELSEWHERE = ("denoising-ae", "super-resolution-ae", "inpainting-ae")
OWN_NETWORK = {"vq-vae": "maps", "residual-vq-vae": "maps", "fsq-vae": "maps"}


def variants() -> list[str]:
    """Those that are compared: no presets of the course, none of restoring alone."""
    return [v for v in VARIANTS if not v.startswith(PRESETS) and v not in ELSEWHERE]


def trained(variant: str, latent: int | None, rows, held, fmt, epochs: int) -> dict:
    """One training on one thread; the fitted model, its feeds and the seconds it took."""
    options: dict = {} if latent is None else {"latent": latent}
    if "network" in variant_options(variant):
        options["network"] = OWN_NETWORK.get(variant, "mlp")
    request = Request(variant, options, epochs=epochs, threads=1)
    fmt, _ = sized(fmt, options.get("network", "auto"))
    recipe = recipe_for(fmt.schema, request)
    model, feed = build(fmt.schema, recipe), Feed(rows.x, rows.y, fmt)
    begin = time.process_time()
    with threads(1):
        for _ in Training(model, feed, recipe.plan).run():
            pass
        seconds = time.process_time() - begin
        settle(model, feed)
    fitted = Fitted(model.eval(), fmt, recipe)
    return {"fitted": fitted, "train": feed, "held": Feed(held.x, held.y, fmt), "seconds": seconds}


def scores(made: dict) -> dict[str, float]:
    """Mean squared error and nearest-neighbour accuracy on held-out rows."""
    model, train, held = made["fitted"].model, made["train"], made["held"]
    error = 0.0
    for batch in held.batches(500):
        error += float((reconstruct(model, batch) - batch.x).square().flatten(1).mean(1).sum())
    codes = encode(model, train), encode(model, held)
    accuracy = knn_accuracy(codes[0], train.y, codes[1], held.y)
    return {"mse": error / len(held), "knn": accuracy, "seconds": made["seconds"]}


def picture(variant: str, wide: dict, plane: dict | None) -> Figure:
    """Originals over reconstructions, samples, and the two-dimensional map."""
    model, held = wide["fitted"].model, wide["held"]
    batch = held.gather(np.arange(SHOWN))
    classes = np.arange(2 * SHOWN) % 10 if model.condition.width else None
    made = decode(model, prior_codes(model, 2 * SHOWN, 0), classes)
    top = np.concatenate([batch.x.numpy(), reconstruct(model, batch).numpy()])
    figure = Figure(figsize=(8.4, 2.0), dpi=80, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[5, 5, 2.4])
    for axes, images, title in ((left, top, "test pictures, rebuilt"), (middle, made, "drawn")):
        axes.imshow(sheet(images), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"{variant}: {title}" if axes is left else title, fontsize=8)
        axes.axis("off")
    right.axis("off")
    if plane:
        codes = encode(plane["fitted"].model, plane["held"])
        right.scatter(*codes[:, :2].T, c=plane["held"].y, s=1, cmap="tab10", linewidths=0)
        right.set_title("code of 2 numbers", fontsize=8)
    return figure


def sheet(images: np.ndarray) -> np.ndarray:
    """Twice SHOWN pictures (N, 1, H, W) as two rows of one picture."""
    rows = images[:, 0].reshape(2, SHOWN, *images.shape[2:])
    return np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)


def train(names: list[str], rows: int, epochs: int) -> None:
    """Train and draw; results are kept after each variant, so that it can be continued."""
    source, test = (open_data(DATA, split=s) for s in ("train", "test"))
    fmt = source.learn()
    whole, held = source.load(fmt), test.load(fmt)
    whole = type(whole)(whole.x[:rows], whole.y[:rows], (), whole.classes)
    held = type(held)(held.x[:TESTED], held.y[:TESTED], (), held.classes)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for variant in names:
        latent = None if variant in OWN_NETWORK else 16
        try:
            wide = trained(variant, latent, whole, held, fmt, epochs)
        except UsageError as refusal:
            print(f"{variant}: {refusal}", flush=True)
            continue
        plane = None
        if latent:
            try:
                plane = trained(variant, 2, whole, held, fmt, epochs)
            except UsageError as refusal:
                print(f"{variant}, 2 numbers: {refusal}", flush=True)
        record = {"rows": rows, "epochs": epochs, "tested": TESTED, **scores(wide)}
        record["knn of 2"] = scores(plane)["knn"] if plane else None
        picture(variant, wide, plane).savefig(PICTURES / f"{variant}.png")
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(kept | {variant: record}, indent=1))
        print(variant, record, flush=True)


def advice(variant: str) -> tuple[str, str]:
    """First sentence of the docstring, and what it says on when to use it."""
    first, _, rest = (VARIANTS[variant].__doc__ or "").strip().partition("\n")
    text = " ".join(rest.split())
    return first, text


def page() -> None:
    """docs/variants.md from the results and the docstrings."""
    found = json.loads(RESULTS.read_text())
    some = next(iter(found.values()))
    lines = [
        "# Which variant should I use?",
        "",
        (HERE / "variants.md").read_text().strip(),
        "",
        "## Measured side by side",
        "",
        f"Fashion-MNIST, the first {some['rows']:,} training pictures, {some['epochs']} epochs, "
        f"network `mlp` (`maps` for codebooks), one seed; scores on {some['tested']:,} test "
        "pictures. These are small models trained for seconds: the order tells something, the "
        "level does not. kNN-5: share of test pictures whose five nearest training codes vote for "
        "their class. Made by `python benchmarks/gallery.py train`.",
        "",
        "| variant | MSE | kNN-5, 16 numbers | kNN-5, 2 numbers | processor seconds |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in filter(found.get, variants()):
        r = found[name]
        two = f"{100 * r['knn of 2']:.1f} %" if r["knn of 2"] is not None else "-"
        lines.append(f"| [`{name}`](#{name}) | {r['mse']:.4f} | {100 * r['knn']:.1f} % | {two} | "
                     f"{r['seconds']:.0f} |")  # fmt: skip
    for name in filter(found.get, variants()):
        first, rest = advice(name)
        lines += ["", f"## {name}", "", first, "", *([rest, ""] if rest else []),
                  f"![{name}](pictures/variants/{name}.png)"]  # fmt: skip
    PAGE.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=["train", "page"])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.job == "train":
        train(arguments.only or variants(), arguments.rows, arguments.epochs)
    page()


if __name__ == "__main__":
    main()
