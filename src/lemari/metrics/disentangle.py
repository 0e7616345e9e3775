"""Whether each number of a code follows one factor of the pictures: five scores of the field.

Shapes: codes (N, D) float, factors (N, F) whole numbers; all scores are 1 at best. Every factor
is taken as a number, its values in their order.
"""

from __future__ import annotations

import numpy as np

BINS = 40
VOTES, SHARED = 1000, 64  # training points of the two voting scores, rows that share a factor


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """Mutual information gap (Chen et al. 2018, arXiv:1802.04942); about 0 for a random code.

    For each factor, the lead of the best dimension over the second in mutual information, as a
    share of the factor's entropy. Codes are cut into 40 bins of equally many rows.
    """
    from sklearn.metrics import mutual_info_score

    cut = np.stack([binned(column) for column in codes.T], 1)
    gaps = []
    for factor in factors.T:
        found = sorted((mutual_info_score(factor, column) for column in cut.T), reverse=True)
        entropy = mutual_info_score(factor, factor)
        gaps.append((found[0] - (found[1] if len(found) > 1 else 0.0)) / max(entropy, 1e-12))
    return float(np.mean(gaps))


def binned(column: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Which of `bins` bins of equally many rows each value lies in; equal values share one."""
    edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    return np.searchsorted(edges, column, side="right")


def sap(codes: np.ndarray, factors: np.ndarray) -> float:
    """Separated attribute predictability (Kumar et al. 2018, arXiv:1711.00848).

    For each factor, the lead of the best dimension over the second in the share of variance that
    a straight line explains (squared correlation); about 0 for a random code.
    """
    z, v = standard(codes), standard(factors)
    explained = np.sort(np.square(z.T @ v / len(z)), 0)[::-1]
    second = explained[1] if len(explained) > 1 else 0.0
    return float((explained[0] - second).mean())


def standard(x: np.ndarray) -> np.ndarray:
    off = x - x.mean(0, dtype=np.float64)
    return off / np.maximum(off.std(0), 1e-12)


def dci(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Disentanglement, completeness, informativeness (Eastwood and Williams 2018, ICLR).

    Gradient-boosted trees predict each factor from the code, and their importances R (D, F) tell
    which dimension carries what: disentanglement is 1 when each dimension serves one factor,
    completeness when each factor needs one dimension. Informativeness is the share of variance
    that the trees explain on a third of the rows that they were not fitted to.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    order = np.random.default_rng(seed).permutation(len(codes))
    fit, test = np.split(order, [2 * len(order) // 3])
    importance, explained = [], []
    for factor in standard(factors).T:
        trees = GradientBoostingRegressor(n_estimators=60, subsample=0.5, random_state=seed % 2**32)
        trees.fit(codes[fit], factor[fit])
        importance.append(trees.feature_importances_)
        explained.append(max(0.0, trees.score(codes[test], factor[test])))
    r = np.array(importance).T
    return {
        "disentanglement": float(certainty(r) @ (r.sum(1) / max(r.sum(), 1e-12))),
        "completeness": float(certainty(r.T) @ (r.sum(0) / max(r.sum(), 1e-12))),
        "informativeness": float(np.mean(explained)),
    }


def certainty(r: np.ndarray) -> np.ndarray:
    """1 minus the entropy of each row as shares, in units of its largest possible value."""
    shares = r / np.maximum(r.sum(1, keepdims=True), 1e-12)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return 1 + (shares * logs).sum(1) / np.log(max(2, r.shape[1]))


class Sharing:
    """Draws rows that have the same value of a factor (N,) as given rows."""

    def __init__(self, factor: np.ndarray) -> None:
        _, self.value, self.count = np.unique(factor, return_inverse=True, return_counts=True)
        self.order = np.argsort(self.value, kind="stable")
        self.start = np.cumsum(self.count) - self.count

    def __call__(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        value = self.value[rows]
        return self.order[self.start[value] + rng.integers(self.count[value])]


def factor_vae(codes: np.ndarray, factors: np.ndarray, seed: int = 0, least: float = 0.0) -> float:
    """FactorVAE score (Kim and Mnih 2018, arXiv:1802.05983); 1 / F by chance.

    Of rows that share one factor, which standardised dimension varies least? How often a majority
    vote tells the factor from that. Dimensions whose variance is not above `least` do not take
    part: give that of an idle one where a prior sets the scale, for then there is one.
    """
    rng = np.random.default_rng(seed)
    variance = codes.var(0, dtype=np.float64)
    used = codes[:, variance > max(least, 1e-12 * variance.max(initial=0.0))]
    if not used.shape[1]:
        return 1 / factors.shape[1]
    z = standard(used)
    alike = [Sharing(factor) for factor in factors.T]
    votes = np.zeros((2, z.shape[1], factors.shape[1]), np.int64)
    for turn in range(2 * VOTES):
        which = int(rng.integers(factors.shape[1]))
        rows = alike[which](np.full(SHARED, rng.integers(len(z))), rng)
        steadiest = z[rows].var(0).argmin()
        votes[turn % 2, steadiest, which] += 1
    guess = votes[0].argmax(1)
    return float(votes[1][np.arange(len(guess)), guess].sum() / votes[1].sum())


def beta_vae(codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> float:
    """BetaVAE score (Higgins et al. 2017, ICLR); 1 / F by chance.

    Pairs of rows share one factor; a linear classifier tells which, from the mean absolute
    difference of the codes over 64 pairs.
    """
    from sklearn.linear_model import LogisticRegression

    rng, z = np.random.default_rng(seed), standard(codes)
    alike = [Sharing(factor) for factor in factors.T]
    points, truth = [], rng.integers(len(alike), size=2 * VOTES)
    for which in truth:
        rows = rng.integers(len(z), size=SHARED)
        points.append(np.abs(z[rows] - z[alike[which](rows, rng)]).mean(0))
    x = standard(np.array(points))
    probe = LogisticRegression(max_iter=500).fit(x[:VOTES], truth[:VOTES])
    return float(probe.score(x[VOTES:], truth[VOTES:]))


def disentanglement(
    codes: np.ndarray, factors: np.ndarray, seed: int = 0, least: float = 0.0
) -> dict[str, float]:
    """All five scores, DCI as its first two. `least`: see `factor_vae`."""
    found = dci(codes, factors, seed)
    return {
        "MIG": mig(codes, factors),
        "DCI disentanglement": found["disentanglement"],
        "DCI completeness": found["completeness"],
        "DCI informativeness": found["informativeness"],
        "SAP": sap(codes, factors),
        "FactorVAE score": factor_vae(codes, factors, seed, least),
        "BetaVAE score": beta_vae(codes, factors, seed),
    }
