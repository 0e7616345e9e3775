"""PyOD's detectors at their documented defaults, on the same rows as Lemari's.

    python benchmarks/detection_pyod.py one-class --methods fast --seeds 0 1 2
    python benchmarks/detection_pyod.py unsupervised --methods AutoEncoder VAE --seeds 0

Inputs are standardised by the mean and standard deviation of the training rows, as PyOD's
documentation recommends. A method that raises, or whose scores are not finite, is given the scores
of chance and counted as failed. What is stored already is not run again. PyOD is no dependency of
Lemari: `pip install --no-deps pyod numba llvmlite tqdm` into a folder on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import signal
import time
import warnings
from collections.abc import Callable
from importlib import import_module

import numpy as np
from detection_data import load, one_class, sets, unsupervised
from detection_records import KEY, PYOD, chance, key, quality, read, store, table

FAST = ("HBOS", "ECOD", "COPOD", "PCA", "IForest", "KNN", "LOF", "CBLOF", "MCD", "OCSVM")
NEURAL = ("AutoEncoder", "VAE", "DeepSVDD")
DRAWS_NOTHING = ("HBOS", "ECOD", "COPOD", "PCA", "KNN", "LOF", "OCSVM")
LIMIT = 1800  # seconds of processor time for one fit and score


def pyod_class(method: str) -> type:
    """PyOD's class of that name."""
    modules = {"AutoEncoder": "auto_encoder", "DeepSVDD": "deep_svdd"}
    return getattr(import_module(f"pyod.models.{modules.get(method, method.lower())}"), method)


class Baseline:
    """A PyOD detector with Lemari's calls: fit, anomaly_score, predict (+1 normal, -1 anomaly).

    Nothing is set but the seed, silence, and the width that DeepSVDD needs. `predict` is PyOD's
    own threshold: the quantile of the training scores that its `contamination` (0.1 if not given)
    asks for. Raises what PyOD raises.
    """

    def __init__(self, method: str, seed: int = 0, **options) -> None:
        self.made, self.method, self.seed, self.options = pyod_class(method), method, seed, options

    def fit(self, X: np.ndarray) -> Baseline:
        import torch

        torch.manual_seed(self.seed)
        np.random.seed(self.seed)
        self.mean, sigma = X.mean(0), X.std(0)
        self.sigma = np.where(sigma > 0, sigma, 1.0)
        options = dict(self.options)
        if self.method not in DRAWS_NOTHING:
            options["random_state"] = self.seed
        if self.method in NEURAL:
            options["verbose"] = 0
        if self.method == "DeepSVDD":
            options["n_features"] = X.shape[1]
        self.model = self.made(**options)
        self._quietly(self.model.fit, X)
        return self

    def anomaly_score(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self._quietly(self.model.decision_function, X), dtype=np.float64)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.where(self.anomaly_score(X) > self.model.threshold_, -1, 1)

    def _quietly(self, work: Callable, X: np.ndarray):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work((X - self.mean) / self.sigma)


def limited(work: Callable[[], np.ndarray], seconds: int = LIMIT) -> np.ndarray:
    """The result of `work`, or TimeoutError after so many seconds of processor time."""

    def stop(*_) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def measure(
    model, train: np.ndarray, test: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None
) -> dict:
    """AUROC, average precision and seconds of one fit and score; an error counts as chance.

    Seconds are wall time; `cpu_seconds`, over all threads, do not suffer from a busy machine.
    """
    begin, cpu = time.perf_counter(), time.process_time()
    try:
        score = limited(lambda: model.fit(train).anomaly_score(test))
        record = quality(y, np.asarray(score, dtype=np.float64), weight)
    except Exception as fault:
        record = chance(y, f"{type(fault).__name__}: {str(fault)[:100]}", weight)
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return record | {"seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}


def run(protocol: str, name: str, seed: int, method: str) -> dict:
    X, y = load(name)
    if protocol == "one-class":
        train, test, answer = one_class(X, y, seed)
    else:
        train, answer = unsupervised(X, y)
        test = train
    return measure(Baseline(method, seed), train, test, answer)


def warm_up(method: str) -> None:
    """Imports and compiles before the clock starts."""
    x = np.random.default_rng(0).normal(size=(200, 5))
    Baseline(method).fit(x).anomaly_score(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", choices=("one-class", "unsupervised"))
    parser.add_argument("--methods", nargs="+", default=["fast"], help="names, `fast`, `neural`")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--sets", nargs="+", default=None)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    groups = {"fast": FAST, "neural": NEURAL}
    methods = [m for word in given.methods for m in groups.get(word, (word,))]
    stored = {key(r): r for r in read(PYOD)}
    for seed in given.seeds:
        for method in methods:
            warm_up(method)
            for name in given.sets or sets():
                at = (given.protocol, name, seed, method)
                if at in stored:
                    continue
                record = stored.get((given.protocol, name, 0, method))
                if not record or method not in DRAWS_NOTHING or given.protocol == "one-class":
                    record = run(*at)
                record = stored[at] = record | dict(zip(KEY, at))
                store(PYOD, record)
                shown = f"{record['auroc']:.3f} {record['seconds']:.1f} s"
                print(*at, shown, record.get("failed", ""), flush=True)
    own = [r for r in read(PYOD) if r["protocol"] == given.protocol]
    print(*table(own, len(sets())), sep="\n")


if __name__ == "__main__":
    main()
