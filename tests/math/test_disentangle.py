"""Disentanglement scores against codes whose score is known, and the sprites they are taken on."""

import numpy as np
import pytest

from lemari import open_data
from lemari.errors import UsageError
from lemari.metrics.disentangle import beta_vae, dci, factor_vae, mig, sap
from lemari.sources.sprites import COUNTS, render, sprite_factors

FACTORS = sprite_factors("test")[:3000]


def standard(x):
    return (x - x.mean(0)) / x.std(0)


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    exact = standard(FACTORS.astype(float))
    turned = exact @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    return {"exact": exact, "turned": turned, "random": rng.normal(size=exact.shape)}


@pytest.mark.parametrize("score", [mig, sap])
def test_a_gap_is_one_for_the_factors_less_when_mixed_and_zero_for_noise(codes, score):
    found = {name: score(z, FACTORS) for name, z in codes.items()}
    assert found["exact"] > 0.95 and found["turned"] < 0.5 and abs(found["random"]) < 0.05


@pytest.mark.slow
def test_dci(codes):
    found = {name: dci(z, FACTORS) for name, z in codes.items()}
    for key in ("disentanglement", "completeness"):
        assert found["exact"][key] > 0.95 and found["turned"][key] < 0.6
        assert found["random"][key] < 0.15
    assert found["exact"]["informativeness"] > 0.95
    assert found["random"]["informativeness"] < 0.05


@pytest.mark.parametrize("score", [factor_vae, beta_vae])
def test_a_vote_is_right_for_the_factors_and_at_chance_for_noise(codes, score):
    found = {name: score(z, FACTORS) for name, z in codes.items()}
    assert found["exact"] > 0.98 and found["random"] < 0.3
    assert found["turned"] < found["exact"]


def test_extra_idle_dimensions_and_another_scale_change_no_score(codes):
    idle = np.c_[codes["exact"] * [1, 200, 3, 1, 0.5], np.zeros((len(FACTORS), 2))]
    assert mig(idle, FACTORS) == pytest.approx(mig(codes["exact"], FACTORS))
    assert sap(idle, FACTORS) == pytest.approx(sap(codes["exact"], FACTORS))
    assert factor_vae(idle, FACTORS) == 1.0
    # An idle unit of a prior's scale twitches rarely, and then least of all: it is no code.
    rare = 1e-3 * (np.random.default_rng(0).random((len(FACTORS), 1)) < 0.01)
    faint = np.c_[codes["exact"], rare]
    assert factor_vae(faint, FACTORS, least=0.01) == 1.0 > factor_vae(faint, FACTORS)


def test_a_collapsed_code_scores_chance():
    nothing = np.zeros((len(FACTORS), 4))
    assert factor_vae(nothing, FACTORS) == 0.2 and beta_vae(nothing, FACTORS) < 0.3
    assert mig(nothing, FACTORS) == 0.0 and sap(nothing, FACTORS) == 0.0


def test_no_sprite_is_in_both_parts_and_ids_tell_the_factors():
    train, test = (set(map(tuple, sprite_factors(split))) for split in ("train", "test"))
    assert len(train) == 20_000 and len(test) == 5_000 and not train & test
    source = open_data("sprites", split="test", size=16)
    rows = source.load(source.learn())
    assert rows.x.shape == (5000, 1, 16, 16) and source.official_split
    assert [list(map(int, name.split("-"))) for name in rows.ids] == sprite_factors("test").tolist()
    assert (rows.y == sprite_factors("test")[:, 0]).all()
    with pytest.raises(UsageError, match="val"):
        open_data("sprites", split="val")
    with pytest.raises(UsageError, match="square"):
        open_data("sprites", size=(16, 20))


def test_each_factor_changes_what_its_name_says():
    middle = np.array([0, 3, 0, 16, 16])
    base = render(middle[None], 64)[0] / 255.0
    rows, columns = np.mgrid[:64, :64]

    def centre(picture):
        return [(g * picture).sum() / picture.sum() for g in (rows, columns)]

    def with_factor(which, value):
        row = middle.copy()
        row[which] = value
        return render(row[None], 64)[0] / 255.0

    for value in (0, COUNTS[1] - 1):
        side = 2 * 0.75 * (0.10 + 0.02 * value) * 64
        assert with_factor(1, value).sum() == pytest.approx(side**2, rel=0.02)
    assert centre(with_factor(3, 31))[1] - centre(base)[1] > 10
    assert centre(with_factor(4, 31))[0] - centre(base)[0] > 10
    assert np.abs(with_factor(2, 5) - base).max() > 0.5
    assert np.abs(with_factor(2, 10) - base).max() < 0.05  # a square turned by a right angle
    assert len({with_factor(0, kind).sum().round(1) for kind in range(3)}) == 3
