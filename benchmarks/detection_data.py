"""Data and protocols of the detection benchmarks; every split is a function of its seed.

    python benchmarks/detection_data.py      one line for each set: rows, columns, anomalies

Anomalies are labelled 1, normal rows 0. Needs LEMARI_DATA.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MOST = 10_000
CARD_SHARE = 492 / 284_807  # frauds among all payments of the two days
SKAB_TRAIN = 400
SPIKE = (4.0, 8.0)  # standard deviations from the mean of the column


def folder() -> Path:
    """The data folder; a set that is not there is an error that names the variable."""
    where = os.environ.get("LEMARI_DATA")
    if not where:
        sys.exit("LEMARI_DATA is not set: point it at the folder that holds `adbench`.")
    return Path(where)


def sets() -> list[str]:
    """Names of all ADBench sets in the data folder, sorted."""
    return sorted(path.stem for path in (folder() / "adbench").glob("*.npz"))


def __getattr__(name: str) -> list[str]:
    if name == "SETS":
        return sets()
    raise AttributeError(name)


def adbench(name: str) -> tuple[np.ndarray, np.ndarray]:
    """X (N, F) float64 and y (N,) int of one set, whole."""
    with np.load(folder() / "adbench" / f"{name}.npz") as file:
        return file["X"].astype(np.float64), file["y"].astype(int).ravel()


def cut(
    X: np.ndarray, y: np.ndarray, seed: int = 0, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` rows, drawn without replacement; the same rows for every run.

    A cut without both kinds of rows raises ValueError: nothing could be measured on it.
    """
    if len(X) > most:
        kept = np.random.default_rng(seed).permutation(len(X))[:most]
        X, y = X[kept], y[kept]
    if len(np.unique(y)) < 2:
        raise ValueError(f"the cut to {most} rows has no anomalies or no normal rows left")
    return X, y


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """One ADBench set, cut to 10,000 rows."""
    return cut(*adbench(name))


def halves(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a random half of the normal rows, and of the other half."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    return np.sort(normal[: len(normal) // 2]), np.sort(normal[len(normal) // 2 :])


def one_class(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train on a random half of the normals; test on the rest and all anomalies."""
    train, rest = halves(y, seed)
    test = np.sort(np.concatenate([rest, np.flatnonzero(y == 1)]))
    return X[train], X[test], y[test]


def unsupervised(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit and score the same rows: nothing is split off."""
    return X, y


def contaminated(
    X: np.ndarray, y: np.ndarray, seed: int, share: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Clean training rows, the same with anomalies among them, and one test for both.

    Anomalies make up `share` of the second. At most half of all anomalies are used; where that is
    too few, both trainings have fewer normal rows, so that the share still holds.
    """
    train, rest = halves(y, seed)
    anomalies = np.random.default_rng(seed + 1000).permutation(np.flatnonzero(y == 1))
    odds = share / (1 - share)
    count = min(round(len(train) * odds), len(anomalies) // 2)
    normal = np.random.default_rng(seed + 2000).permutation(train)[: round(count / odds)]
    mixed = np.sort(np.concatenate([normal, anomalies[:count]]))
    test = np.sort(np.concatenate([rest, anomalies[count:]]))
    return X[np.sort(normal)], X[mixed], X[test], y[test]


def planted(
    X: np.ndarray, seed: int, rule: str = "spike", count: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Normal rows with one wrong value each, and the column (count,) where it stands.

    `spike`: the column's mean plus or minus 4 to 8 of its standard deviations. `swap`: the value
    of another row that differs by at least two standard deviations (the largest difference of 100
    rows where none does), so that only the rest of the row gives it away. `outside`: 0.5 to 2
    ranges beyond the least or the largest value. Constant columns are never chosen.
    """
    rng = np.random.default_rng(seed)
    rows = X[rng.integers(0, len(X), count)].copy()
    mean, sigma = X.mean(0), X.std(0)
    low, high = X.min(0), X.max(0)
    free = np.flatnonzero(high > low)
    if not len(free):
        raise ValueError("every column is constant: no fault can be planted")
    columns = rng.choice(free, count)
    sign = rng.choice([-1.0, 1.0], count)
    for i, j in enumerate(columns):
        if rule == "spike":
            rows[i, j] = mean[j] + sign[i] * rng.uniform(*SPIKE) * sigma[j]
        elif rule == "outside":
            beyond = rng.uniform(0.5, 2.0) * (high[j] - low[j])
            rows[i, j] = high[j] + beyond if sign[i] > 0 else low[j] - beyond
        elif rule == "swap":
            others = X[rng.integers(0, len(X), 100), j]
            apart = np.abs(others - rows[i, j])
            far = np.flatnonzero(apart >= 2 * sigma[j])
            rows[i, j] = others[far[0]] if len(far) else others[apart.argmax()]
        else:
            raise ValueError(f"rule is {rule!r}; use spike, outside or swap")
    return rows, columns


def card(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Card payments: train, test, y_test and weights (rows of test) that restore the real share.

    Train is half of the normal rows drawn at random over both days; test is the other half and all
    frauds. Columns are V1 to V28 and Amount (as in ADBench: without Time). Every fraud weighs 1,
    every normal row the same, so that frauds are 0.17 % of the weight.
    """
    path = folder() / "creditcard" / "creditcard_subset.csv.gz"
    with gzip.open(path, "rt") as file:
        names = file.readline().strip().split(",")
        rows = [line.rstrip("\n").split(",") for line in file]
    taken = [row for row in rows if row[names.index("sampling")] in ("random", "fraud")]
    kept = [i for i, name in enumerate(names) if name not in ("Time", "Class", "sampling")]
    X = np.array([[float(row[i]) for i in kept] for row in taken])
    y = np.array([int(row[names.index("Class")]) for row in taken])
    train, test, answer = one_class(X, y, seed)
    frauds = answer.sum()
    each = frauds * (1 - CARD_SHARE) / CARD_SHARE / (len(answer) - frauds)
    return train, test, answer, np.where(answer == 1, 1.0, each)


def windows(x: np.ndarray, length: int) -> np.ndarray:
    """Row t becomes rows t - length + 1 to t side by side: (T - length + 1, length * F)."""
    view = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)  # (T', F, length)
    return view.transpose(0, 2, 1).reshape(len(view), -1)


def _members(name: str, suffix: str) -> dict[str, bytes]:
    with tarfile.open(folder() / "timeseries" / name) as archive:
        files = [m for m in archive if m.isfile() and m.name.endswith(suffix)]
        return {m.name: archive.extractfile(m).read() for m in files}  # pyright: ignore


def skab(length: int = 1) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """SKAB's 34 series: name, train, test, y_test; 8 sensors, or windows of `length` rows.

    Train are the first 400 rows of a series, test the rows after them. A window is labelled as its
    last row and may reach back into the rows before.
    """
    for name, content in sorted(_members("skab.tar.xz", ".csv").items()):
        lines = content.decode().splitlines()
        if "anomaly" not in lines[0]:
            continue
        table = np.array([[float(v) for v in line.split(";")[1:]] for line in lines[1:]])
        x, y = windows(table[:, :8], length), table[length - 1 :, 8].astype(int)
        split = SKAB_TRAIN - length + 1
        yield name.removesuffix(".csv").removeprefix("skab/"), x[:split], x[split:], y[split:]


def engines(part: str = "train") -> list[np.ndarray]:
    """C-MAPSS FD001: for each engine a table (cycles, 24) of 3 settings and 21 sensors."""
    content = _members("cmapss_fd001.tar.xz", f"{part}_FD001.txt").popitem()[1]
    table = np.loadtxt(io.BytesIO(content))
    return [table[table[:, 0] == number][:, 2:] for number in np.unique(table[:, 0])]


def turbofan(seed: int, first: int = 50, length: int = 1) -> tuple[np.ndarray, list[np.ndarray]]:
    """Train: the first cycles of a random half of the engines. Test: the other engines, whole.

    The last row of a test engine is its failure; windows of `length` cycles end at their row.
    """
    every = [windows(engine, length) for engine in engines()]
    order = np.random.default_rng(seed).permutation(len(every))
    train, test = order[: len(every) // 2], order[len(every) // 2 :]
    return np.concatenate([every[i][: first - length + 1] for i in train]), [every[i] for i in test]


def idx_pictures(name: str, label: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`mnist` or `fashion-mnist`, one class against the rest: train, test (N, 28, 28), y_test.

    Train is that class in the train split; test is the whole test split, other classes are 1.
    """
    from lemari.sources.idx import read_idx

    def part(which: str) -> tuple[np.ndarray, np.ndarray]:
        where = folder() / name
        x = read_idx(where / f"{which}-images-idx3-ubyte.gz")
        return x, read_idx(where / f"{which}-labels-idx1-ubyte.gz")

    (x, y), (test, answer) = part("train"), part("t10k")
    return x[y == label], test, (answer != label).astype(int)


def solar(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solar modules (N, 40, 24): train on half of No-Anomaly; test the rest and all faults."""
    with np.load(folder() / "image-anomaly" / "infrared_solar_modules.npz") as file:
        x, normal = file["images"], list(file["class_names"]).index("No-Anomaly")
        y = (file["label"].ravel() != normal).astype(int)
    return one_class(x, y, seed)


def pneumonia() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chest X-rays (N, 28, 28): train on the normal ones of the train split; official test."""
    with np.load(folder() / "image-anomaly" / "pneumoniamnist.npz") as file:
        train = file["train_images"][file["train_labels"].ravel() == 0]
        return train, file["test_images"], file["test_labels"].ravel().astype(int)


def main() -> None:
    for name in sets():
        X, y = load(name)
        print(f"{name:22} {X.shape[0]:6} x {X.shape[1]:<5} {int(y.sum()):5} anomalies")


if __name__ == "__main__":
    main()
