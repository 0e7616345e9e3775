"""Maps and clusters: neighbour-ae beside umap-learn and a plain autoencoder, on the test split.

    python benchmarks/neighbours.py map --data mnist --seeds 0 1 2
    python benchmarks/neighbours.py --list
    PYTHONPATH=/path/with/umap-learn python benchmarks/neighbours.py umap --data mnist

Each run appends one record to benchmarks/results/neighbours.json. With `--valid` a setting is
judged on the last 10,000 training rows, which it then is not trained on: choose settings so, for
the test split may not choose. kNN-5: the 5 nearest training codes vote for each held-out code.
Trustworthiness: 15 neighbours, first 2,000 held-out rows, raw pixels. Clusters are fitted to the
training codes and matched one to one with the classes of the held-out rows. Needs LEMARI_DATA.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from records import store, trained
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness
from sklearn.metrics import normalized_mutual_info_score
from sklearn.mixture import GaussianMixture

from lemari.feed import Feed
from lemari.machine import describe, threads
from lemari.metrics.representation import knn_accuracy
from lemari.model import Autoencoder
from lemari.tasks.embed import encode
from lemari.tasks.job import Job, prepare
from lemari.tasks.plan import Request
from lemari.train import measure

RESULTS = Path(__file__).parent / "results" / "neighbours.json"
VALID = 10_000
NETWORK = "mlp:512-512-512"
LONG = {"epochs": 40, "batch_size": 256, "lr": 3e-3, "precision": "bfloat16"}
SETTINGS: dict[str, dict[str, Any]] = {
    "map": {"variant": "neighbour-ae", "options": {"network": NETWORK, "latent": 2}, **LONG},
    "map-ae": {"variant": "ae", "options": {"network": NETWORK, "latent": 2}, **LONG, "lr": 1e-3},
    "clusters": {"variant": "neighbour-ae", "options": {"network": NETWORK, "latent": 10}, **LONG},
    "clusters-ae": {
        "variant": "ae",
        "options": {"network": "mlp:500-500-2000", "latent": 10},
        **LONG,
        "lr": 1e-3,
    },
}


def job_of(data: str, request: Request, valid: bool) -> Job:
    """Training rows and the rows to judge on: the test split, or the last training rows."""
    job = prepare(data, request)
    if valid:
        job.held, job.held_index = job.rows, job.train[-VALID:]
        job.train = job.train[:-VALID]
    return job


def run(name: str, data: str, seed: int, count: int, keep: Path | None, valid: bool) -> dict:
    """Train once and measure; returns the record."""
    request = Request(**SETTINGS[name], seed=seed, threads=count)
    job = job_of(data, request, valid)
    fitted, history, wall = trained(job, keep)
    train, held = job.feeds()
    with threads(count):
        found = decoding(fitted.model, held) | placing(fitted.model, held)
        codes = encode(fitted.model, train), encode(fitted.model, held)
        found |= judged(*codes, labels(train), labels(held), pixels(held), seed)
    return {
        "epochs": len(history),
        "recipe": job.recipe.model_dump(include={"options", "batch_size", "lr", "precision"}),
        "train_seconds": sum(r["seconds"] for r in history),
        "wall_seconds": wall,
        **found,
    }


def labels(feed: Feed) -> np.ndarray:
    assert feed.y is not None
    return feed.y[feed.index]


def pixels(feed: Feed) -> np.ndarray:
    """Rows as numbers between 0 and 1: (N, D) float32."""
    return np.concatenate([batch.x.flatten(1).numpy() for batch in feed.batches(1000)])


def decoding(model: Autoencoder, held: Feed) -> dict[str, float]:
    from lemari.train import Plan

    return {"mse": measure(model, held, Plan(batch_size=500), most=len(held))["mse"]}


def placing(model: Autoencoder, held: Feed, times: int = 5) -> dict[str, float]:
    """Seconds to place 10,000 new rows on the map: the best of some."""
    some, seconds = Feed(held.x, None, held.format, held.index[:10_000]), []
    for _ in range(times):
        begin = time.perf_counter()
        encode(model, some)
        seconds.append(time.perf_counter() - begin)
    return {"transform_rows": len(some), "transform_seconds": min(seconds)}


def judged(codes, held, y, truth, x, seed: int) -> dict[str, Any]:
    """What the codes keep of classes and neighbourhoods, and the clusters that they form."""
    scores: dict[str, Any] = {
        "knn5": knn_accuracy(codes, y, held, truth),
        "trustworthiness": float(trustworthiness(x[:2000], held[:2000], n_neighbors=15)),
    }
    k = len(np.unique(y))
    for name, law in (
        ("kmeans", KMeans(k, n_init=10, random_state=seed)),  # pyright: ignore[reportArgumentType]
        ("mixture", GaussianMixture(k, n_init=5, random_state=seed)),
    ):
        found = np.asarray(law.fit(codes).predict(held))
        nmi = float(normalized_mutual_info_score(truth, found))
        scores[name] = {"accuracy": matched(found, truth, k), "nmi": nmi}
    return scores


def matched(clusters: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Share of rows in the cluster that stands for their class, under the best one-to-one match."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((k, k), int)
    np.add.at(table, (clusters, truth), 1)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(truth))


def umap(data: str, seed: int, valid: bool, latent: int = 2) -> dict[str, Any]:
    """The same measures of umap-learn, which must be importable; its second transform is timed."""
    import umap as learn  # pyright: ignore[reportMissingImports]

    job = job_of(data, Request(variant="ae", options={"network": NETWORK}), valid)
    train, held = job.feeds()
    begin = time.perf_counter()
    fitted = learn.UMAP(n_components=latent, random_state=seed).fit(pixels(train))
    found: dict[str, Any] = {"train_seconds": time.perf_counter() - begin}
    x = pixels(held)
    fitted.transform(x[:200])
    begin = time.perf_counter()
    codes = np.asarray(fitted.transform(x))
    found |= {"transform_rows": len(x), "transform_seconds": time.perf_counter() - begin}
    return found | judged(fitted.embedding_, codes, labels(train), labels(held), x, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setting", nargs="?", choices=sorted([*SETTINGS, "umap"]))
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--valid", action="store_true", help="judge on training rows set apart")
    parser.add_argument("--keep", type=Path, help="run folder to keep, with its report")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list or not given.setting:
        print(json.dumps(SETTINGS, indent=2))
        return
    for seed in given.seeds:
        if given.setting == "umap":
            record = umap(given.data, seed, given.valid)
        else:
            record = run(given.setting, given.data, seed, given.threads, given.keep, given.valid)
        split = "validation" if given.valid else "test"
        where = {"setting": given.setting, "data": given.data, "seed": seed, "split": split}
        about = {"threads": given.threads, **record, "machine": describe()}
        store(RESULTS, where | about, tuple(where))
        print(where | record, flush=True)


if __name__ == "__main__":
    main()
