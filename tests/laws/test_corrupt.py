"""What all corruptions promise, and what each one does."""

import pytest
import torch

from lemari import degrade
from lemari.corrupt import BlindSpot, Clean, Downscale, Given, Missing, Noise, noise_range
from lemari.errors import UsageError
from lemari.types import Batch

CASES = {
    "clean": Clean(),
    "gaussian": Noise(),
    "lesson": Noise(low=0.3, mean=0.5, clip=True),
    "gaussian plane": Noise(low=0.0, high=0.2, plane=True),
    "poisson": Noise("poisson", 10, 40),
    "salt-pepper": Noise("salt-pepper", 0.1, 0.3),
    "speckle plane": Noise("speckle", 0.2, plane=True),
    "jpeg": Noise("jpeg", 10, 90),
    "blur": Noise("blur", 0.5, 2.0),
    "missing": Missing(0.4),
    "missing plane": Missing(0.3, block=3, plane=True),
    "half": Downscale(2),
    "third area": Downscale(3, "area"),
    "back": Downscale(4, back=True),
    "blind": BlindSpot(0.05),
}
DRAWN = sorted(set(CASES) - {"clean", "half", "third area", "back"})
cases = pytest.mark.parametrize("part", CASES.values(), ids=CASES)


def pictures(batch=6, channels=3, height=24, width=36):
    return torch.rand(batch, channels, height, width)


def seeded(part, batch, seed=0):
    torch.manual_seed(seed)
    return part(batch)


@cases
@pytest.mark.parametrize("channels", [1, 3])
def test_the_view_has_the_shape_foretold(part, channels):
    x = pictures(channels=channels)
    view = part(Batch(x))
    assert tuple(view.x.shape[1:]) == part.shape_of(tuple(x.shape[1:]))
    assert view.x.dtype == x.dtype and torch.isfinite(view.x).all()
    small = isinstance(part, Downscale) and not part.back
    assert view.x.shape[1] == channels + part.planes
    assert (view.x.shape[2:] == x.shape[2:]) != small


@cases
def test_the_target_is_not_touched(part):
    x = pictures()
    before = x.clone()
    part(Batch(x))
    assert torch.equal(x, before)


@cases
def test_equal_seeds_give_equal_views(part):
    batch = Batch(pictures())
    assert torch.equal(seeded(part, batch).x, seeded(part, batch).x)


@pytest.mark.parametrize("name", DRAWN)
def test_views_are_fresh_at_each_call(name):
    batch = Batch(pictures())
    first = CASES[name](batch)
    assert not torch.equal(first.x, CASES[name](batch).x)


@pytest.mark.parametrize("name", ["jpeg", "blur", "poisson"])
def test_levels_are_drawn_for_each_picture_within_the_range(name):
    part = CASES[name]
    levels = part.levels(torch.zeros(2000, 1, 1, 1))
    assert part.low <= levels.min() and levels.max() <= part.high
    middle, span = (part.low + part.high) / 2, part.high - part.low
    assert float(levels.mean()) == pytest.approx(middle, abs=0.05 * span)
    assert float(levels.std()) == pytest.approx(span / 12**0.5, rel=0.1)
    assert (name == "jpeg") == torch.equal(levels, levels.round())


def attachments(part, x):
    level = torch.linspace(0.05, 0.2, len(x))
    seen = degrade.missing(x, 0.2)
    return {"level": level} if isinstance(part, Noise) else {"seen": seen}


@cases
def test_given_leaves_the_picture_as_it_is(part):
    shape = part.shape_of((3, 24, 36))
    x = torch.rand(6, 3, *shape[1:])
    view = part.given(x, **attachments(part, x))
    assert torch.equal(view.x[:, :3], x) and tuple(view.x.shape[1:]) == shape


@cases
def test_a_degraded_picture_that_came_along_is_taken(part):
    if part.planes and (isinstance(part, Missing) or part.high is not None):
        with pytest.raises(UsageError, match="needs"):
            part(Batch(pictures(), given=pictures()))
        return
    other = torch.rand(6, 3, *part.shape_of((3, 24, 36))[1:])
    assert torch.equal(part(Batch(pictures(), given=other)).x[:, :3], other)


# One by one.


def test_given_needs_pairs():
    x, y = pictures(), pictures()
    assert Given()(Batch(x, given=y)).x is y
    with pytest.raises(UsageError, match="give both"):
        Given()(Batch(x))
    assert Clean()(Batch(x)).x is x and Clean()(Batch(x, given=y)).x is y


def test_the_plane_holds_the_level_of_each_picture():
    clean = torch.full((5, 1, 200, 200), 0.5)
    view = Noise(low=0.05, high=0.4, plane=True)(Batch(clean))
    noisy, plane = view.x[:, :1], view.x[:, 1]
    assert torch.equal(plane, plane[:, :1, :1].expand_as(plane))
    assert len(plane[:, 0, 0].unique()) == 5
    torch.testing.assert_close((noisy - clean).std((1, 2, 3)), plane[:, 0, 0], rtol=0.03, atol=0)
    given = Noise(low=0.05, high=0.4, plane=True).given(clean, torch.arange(5.0))
    assert given.x[:, 1, 7, 7].tolist() == [0, 1, 2, 3, 4]
    fixed = Noise(low=0.25, plane=True).given(clean)
    assert (fixed.x[:, 1] == 0.25).all()


def test_mean_and_clip_are_those_of_the_lesson():
    batch = Batch(pictures(height=60, width=60))
    view = seeded(Noise(low=0.3, mean=0.5, clip=True), batch, 3)
    torch.manual_seed(3)
    want = (batch.x + 0.5 + 0.3 * torch.randn_like(batch.x)).clamp(0, 1)
    torch.testing.assert_close(view.x, want)


@pytest.mark.parametrize("plane", [False, True])
def test_missing_pixels_are_filled_and_marked(plane):
    x = pictures()
    view = Missing(0.25, plane=plane)(Batch(x))
    seen = view.seen.expand_as(x) > 0
    assert torch.equal(view.x[:, :3][seen], x[seen])
    assert (view.x[:, :3][~seen] == Missing.fill).all()
    assert float(view.seen.mean()) == 0.75
    if plane:
        assert torch.equal(view.x[:, 3:], view.seen)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("radius", [1, 2, 4])
def test_a_blind_spot_takes_the_value_of_another_pixel_nearby(share, radius):
    """The value of each pixel is its own number, so that one sees where a value came from."""
    height, width = 30, 41
    number = torch.arange(height * width, dtype=torch.float64).view(1, 1, height, width)
    x = number.repeat(40, 2, 1, 1)
    x[:, 1] += 0.5
    view = BlindSpot(share, radius)(Batch(x))
    hidden = (view.seen == 0)[:, 0]
    assert torch.equal(view.x[:, 1], view.x[:, 0] + 0.5)
    assert torch.equal(view.x[:, 0] != x[:, 0], hidden)
    assert float(hidden.double().mean()) == pytest.approx(share, rel=0.1)
    new, old = view.x[:, 0][hidden].long(), x[:, 0][hidden].long()
    down, right = new // width - old // width, new % width - old % width
    assert down.abs().max() == radius and right.abs().max() == radius


def test_blind_spots_reach_every_pixel_equally_and_use_every_neighbour():
    x = torch.arange(49.0).view(1, 1, 7, 7).repeat(20000, 1, 1, 1)
    view = BlindSpot(0.1, 1)(Batch(x))
    often = (view.seen == 0).double().mean((0, 1))
    torch.testing.assert_close(often, torch.full_like(often, 0.1), rtol=0, atol=0.012)
    corner = view.x[:, 0, 0, 0][view.seen[:, 0, 0, 0] == 0]
    values, counts = corner.unique(return_counts=True)
    assert values.tolist() == [1, 7, 8]
    assert (counts / len(corner)).tolist() == pytest.approx([1 / 3] * 3, abs=0.05)


def test_small_pictures_are_enlarged_back_to_their_size():
    x = pictures()
    small = degrade.downscale(x, 2)
    part = Downscale(2, back=True)
    assert torch.equal(part(Batch(x)).x, degrade.upscale(small, 2))
    assert torch.equal(part(Batch(x, given=small)).x, degrade.upscale(small, 2))
    assert torch.equal(Downscale(2)(Batch(x)).x, small)


def test_sides_that_do_not_fit_the_scale_are_refused():
    with pytest.raises(UsageError, match="crop it to 24 x 33"):
        Downscale(3).shape_of((1, 25, 35))
    with pytest.raises(UsageError, match="crop it"):
        Downscale(3, back=True)(Batch(torch.rand(1, 1, 25, 35)))


def test_ranges_of_noise_are_read():
    assert noise_range("0.3") == (0.3, None)
    assert noise_range("0:0.2") == (0.0, 0.2)
    assert noise_range("25") == (25.0, None)


@pytest.mark.parametrize(
    "text", ["", "-0.1", "0.3:0.1", "nan", "inf", "0:inf", "much", "0:1:2", ":", "0.1:", "-1:2"]
)
def test_other_ranges_are_refused_in_one_sentence(text):
    with pytest.raises(UsageError, match="is no level of noise"):
        noise_range(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Noise("fog"),
        lambda: Noise(low=-0.1),
        lambda: Noise(low=0.3, high=0.1),
        lambda: Noise(low=float("nan")),
        lambda: Noise(low=float("inf")),
        lambda: Noise("jpeg"),
        lambda: Noise("jpeg", 10.5),
        lambda: Noise("jpeg", 10, 101),
        lambda: Noise("poisson", 0),
        lambda: Noise("salt-pepper", 0.5, 1.5),
        lambda: Noise("jpeg", 10, plane=True),
        lambda: Noise("speckle", 0.1, mean=0.5),
        lambda: Missing(1.0),
        lambda: Missing(-0.1),
        lambda: Missing(0.2, block=0),
        lambda: BlindSpot(0),
        lambda: BlindSpot(0.6),
        lambda: BlindSpot(radius=0),
        lambda: Downscale(1),
        lambda: Downscale(7),
        lambda: Downscale(2, "nearest"),
    ],
)
def test_impossible_options_are_refused(make):
    with pytest.raises(UsageError) as error:
        make()
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_corruptions_have_nothing_to_save_and_work_on_doubles():
    for part in CASES.values():
        assert not part.state_dict()
        assert part(Batch(pictures().double())).x.dtype == torch.float64
