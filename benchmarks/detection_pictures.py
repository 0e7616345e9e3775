"""Anomalies in pictures: Lemari's picture detector beside PCA and IForest on the pixels.

    python benchmarks/detection_pictures.py --sets mnist fashion-mnist --seeds 0 1 2
    python benchmarks/detection_pictures.py --sets solar pneumonia --seeds 0 --spots

One recipe for all sets. MNIST and Fashion-MNIST: each class in turn is the normal one (its train
split), and the whole official test split is scored. Solar: fitted to half of the modules without a
fault. PCA: reconstruction error with as many components as hold 95 % of the variance. IForest:
scikit-learn's defaults. `--spots` also plants a bright or dark spot into normal test pictures and
counts how often the heat map is highest on it. Needs LEMARI_DATA; what is stored already is not run
again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from detection_data import idx_pictures, pneumonia, solar
from detection_records import RESULTS, key, quality, read, store

from lemari.detect.pictures import PictureDetector

PICTURES = RESULTS / "detection-pictures.json"
SPOTS = 300
Scorer = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def cases(name: str, seed: int) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Name of each case of a set, and its train, test (N, H, W) and y_test."""
    if name == "solar":
        yield name, solar(seed)
    elif name == "pneumonia":
        yield name, pneumonia()
    else:
        for label in range(10):
            yield f"{name} {label}", idx_pictures(name, label)


def ours(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    return PictureDetector.learn(train[:, None], seed=seed)[0].score(test[:, None])


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32) / 255


def pca(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    model = PCA(0.95, random_state=seed).fit(flat(train))
    return np.square(flat(test) - model.inverse_transform(model.transform(flat(test)))).sum(1)


def forest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed).fit(flat(train)).score_samples(flat(test))


METHODS: dict[str, Scorer] = {"Lemari": ours, "PCA": pca, "IForest": forest}


def spotted(x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, H, W) with a square spot each, and where (N, H, W) it lies.

    A side is an eighth of the shorter side, at least 3 pixels, and the brightness is moved by 0.3
    of the range: upwards where the picture is dark there, downwards where it is bright. The centre
    lies in the middle 70 % of the picture.
    """
    rng = np.random.default_rng(seed)
    count, height, width = x.shape
    side = max(3, min(height, width) // 8)
    shown, where = x.astype(np.float32) / 255, np.zeros(x.shape, bool)
    for i in range(count):
        top, left = (int(rng.uniform(0.15, 0.85) * length - side / 2) for length in (height, width))
        place = np.s_[i, max(0, top) : top + side, max(0, left) : left + side]
        where[place] = True
        shown[place] += 0.3 if shown[place].mean() < 0.5 else -0.3
    return shown.clip(0, 1), where


def pointing(train: np.ndarray, test: np.ndarray, y: np.ndarray, seed: int) -> dict[str, float]:
    """Share of planted spots that are hit by the maximum of the heat map, and AUROC of pixels.

    A hit lies on the spot or at most two pixels beside it.
    """
    from scipy.ndimage import maximum_filter
    from sklearn.metrics import roc_auc_score

    shown, where = spotted(test[y == 0][:SPOTS], seed)
    heat = PictureDetector.learn(train[:, None], seed=seed)[0].heat(shown[:, None])
    near = maximum_filter(where, (1, 5, 5))
    hits = [bool(n.ravel()[h.argmax()]) for h, n in zip(heat, near, strict=True)]
    pixels = [roc_auc_score(w.ravel(), h.ravel()) for h, w in zip(heat, where, strict=True)]
    return {
        "hits": float(np.mean(hits)),
        "pixels": float(np.mean(pixels)),
        "chance": float(near.mean()),
    }


def run(name: str, seed: int, spots: bool) -> None:
    """Measure and store what is missing for one set and seed."""
    done = {key(r) for r in read(PICTURES)}
    for case, (train, test, y) in cases(name, seed):
        for method, score in METHODS.items():
            record = {"protocol": "one-class", "set": case, "seed": seed, "method": method}
            if key(record) in done:
                continue
            start = time.perf_counter()
            found = quality(y, score(train, test, seed))
            record |= found | {"seconds": time.perf_counter() - start, "rows": len(train)}
            store(PICTURES, record)
            print(f"{case:16} seed {seed} {method:8} {found['auroc']:.4f}", flush=True)
        record = {"protocol": "spots", "set": case, "seed": seed, "method": "Lemari"}
        if spots and key(record) not in done:
            store(PICTURES, record | pointing(train, test, y, seed))


def means(names: list[str], protocol: str, field: str, method: str) -> dict[str, float]:
    """case -> mean over the stored seeds of one figure."""
    found: dict[str, list[float]] = {}
    for r in read(PICTURES):
        if (r["protocol"], r["method"]) == (protocol, method) and r["set"].split()[0] in names:
            found.setdefault(r["set"], []).append(r[field])
    return {case: float(np.mean(values)) for case, values in sorted(found.items())}


def show(names: list[str]) -> None:
    """Tables of what is stored."""
    auroc = {method: means(names, "one-class", "auroc", method) for method in METHODS}
    seconds = means(names, "one-class", "seconds", "Lemari")
    print("| case | " + " | ".join(METHODS) + " | seconds |")
    print("|---|" + "---:|" * (len(METHODS) + 1))
    for case in seconds:
        row = [f"{auroc[m][case]:.4f}" if case in auroc[m] else "" for m in METHODS]
        print(f"| {case} | " + " | ".join(row) + f" | {seconds[case]:.1f} |")
    for name in names:
        row = [
            f"{np.mean([v for c, v in auroc[m].items() if c.split()[0] == name] or [np.nan]):.4f}"
            for m in METHODS
        ]
        print(f"| **{name}, mean** | " + " | ".join(row) + " | |")
    hits = means(names, "spots", "hits", "Lemari")
    pixels, chance = (means(names, "spots", f, "Lemari") for f in ("pixels", "chance"))
    for case in hits:
        print(
            f"planted spots, {case}: {hits[case]:.1%} hit (by chance {chance[case]:.1%}), "
            f"AUROC of pixels {pixels[case]:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    every = ["mnist", "fashion-mnist", "solar", "pneumonia"]
    parser.add_argument("--sets", nargs="+", choices=every, default=every)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--spots", action="store_true", help="measure the heat maps, too")
    given = parser.parse_args()
    for name in given.sets:
        for seed in given.seeds:
            run(name, seed, given.spots)
    show(given.sets)


if __name__ == "__main__":
    main()
