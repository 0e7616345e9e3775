"""Every picture: edge inputs, no warnings, exact pixels, whole files, the caller's settings."""

import io
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lemari import figures
from lemari.errors import DataError, RunError
from lemari.figures import sheet, style
from lemari.figures.captions import CAPTIONS, caption
from lemari.files import write

rng = np.random.default_rng(0)
EXTENT = (-2.0, 2.0, -1.0, 1.0)
SIZES = [(8, 8, 1), (28, 28, 1), (20, 12, 3), (9, 64, 4), (256, 40, 3)]
LABELS = {
    "none": lambda n: None,
    "unknown": lambda n: np.full(n, -1),
    "one class": lambda n: np.zeros(n, int),
    "thirty classes": lambda n: np.arange(n) % 31 - 1,
    "seventy classes": lambda n: np.arange(n) % 70,
}


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def pictures(*lead, size=(8, 8, 1)):
    return rng.random((*lead, *size))


def rendered(figure):
    assert isinstance(figure, Figure)
    content = io.BytesIO()
    with style.style():
        figure.savefig(content, format="png", dpi=40)
    with Image.open(content) as image:
        image.load()
        assert min(image.size) > 30
    return figure


def epochs(count, **more):
    terms = {"reconstruction": 90.0, "kl": 3.0}
    return [
        {"number": i + 1, "loss": 100.0 - i, "terms": terms, "valid": {"loss": 101.0}, **more}
        for i in range(count)
    ]


def layers(count, shapes=((8, 16, 16), (16, 8, 8), (2,))):
    half = count // 2
    return [
        {
            "name": f"layer{i}",
            "kind": "ConvTranspose2d",
            "output": shapes[i % len(shapes)],
            "parameters": 1000 * (i % 2),
            "part": "encoder" if i < half else "decoder",
        }
        for i in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "size"), [(1, SIZES[0]), (1, SIZES[3]), *((4, size) for size in SIZES)], ids=str
)
def test_pictures_of_any_size_can_be_drawn(size, count):
    images = pictures(count, size=size)
    rendered(figures.reconstruction_strip(images, images * 0.9, ["a $x^2 title"] * count, images))
    rendered(figures.sample_grid(images))
    rendered(figures.morph_strip(images, endpoints=images[[0, -1]]))
    rendered(figures.traversal(images[None], np.linspace(-2, 2, count), ["z0"]))
    rendered(figures.manifold_grid(images[None], EXTENT))
    rendered(figures.feature_maps(rng.normal(size=(count, 3, 5)), images[0]))
    codes = rng.normal(size=(count, 2))
    rendered(figures.random_points(codes, codes, images))
    rendered(figures.decoded_grid_over_scatter(codes, None, (), images[None], EXTENT))


@pytest.mark.parametrize("labels", LABELS.values(), ids=list(LABELS))
@pytest.mark.parametrize(("count", "width"), [(1, 1), (1, 2), (150, 1), (150, 2), (40, 200)])
def test_codes_of_any_width_and_labels_can_be_drawn(labels, count, width):
    codes = rng.normal(size=(count, width))
    given = labels(count)
    rendered(figures.latent_scatter(codes, given, ("a $b$ <c>", "衣柜 \x07"), ("PC 1", "PC 2")))
    if width == 2 and count > 1:
        grid = pictures(2, 3)
        rendered(figures.decoded_grid_over_scatter(codes, given, (), grid, EXTENT))


@pytest.mark.parametrize(("count", "width"), [(1, 1), (1, 3), (60, 1), (60, 2), (60, 200)])
def test_spread_and_prior_of_any_width(width, count):
    codes = rng.normal(size=(count, width))
    rendered(figures.prior_scatter(codes, rng.normal(size=(count + 3, width))))
    rendered(figures.dimension_histograms(codes, count=12))
    rendered(figures.random_points(codes, codes[:3], pictures(len(codes[:3]))))


def test_values_that_are_not_finite_are_drawn_around():
    codes = rng.normal(size=(20, 2))
    codes[3] = np.nan, np.inf
    rendered(figures.latent_scatter(codes, np.arange(20) % 3))
    rendered(figures.dimension_histograms(codes))
    rendered(figures.kl_per_dimension([np.nan, 1.0]))
    rendered(figures.sample_grid(np.full((2, 8, 8, 1), np.nan)))
    rendered(figures.loss_curves([{"number": 1, "loss": float("nan"), "terms": {}}]))
    rendered(figures.comparison_bars([{"name": "a", "value": float("nan")}], "t"))


@pytest.mark.parametrize("count", [0, 1, 40])
def test_training_of_any_length_can_be_drawn(count):
    rendered(figures.loss_curves(epochs(count, lr=0.001)))
    rendered(figures.learning_curves(epochs(count, rate=4e4, measures={"lr": 0.1})))


def test_records_that_lack_everything_can_be_drawn():
    rendered(figures.loss_curves([{}, {"loss": None, "terms": None, "valid": 3}]))


@pytest.mark.parametrize("width", [1, 2, 40, 512])
def test_kl_of_any_width_says_how_many_dimensions_are_in_use(width):
    values = np.full(width, 0.5)
    values[width // 2 + 1 :] = 0.001
    figure = rendered(figures.kl_per_dimension(values))
    told = " ".join(t.get_text() for t in figure.texts)
    assert f"{(values > 0.01).sum()} of {width} dimensions" in told


@pytest.mark.parametrize("count", [1, 4, 9, 10, 40])
def test_networks_of_any_depth_can_be_drawn(count):
    figure = rendered(figures.layer_diagram(layers(count)))
    assert sum("Transpose" in t.get_text() for t in figure.axes[0].texts) == count
    rendered(figures.layer_diagram(layers(count, ((512,), (2,))), total=77))


def test_a_network_narrows_to_its_code_and_widens_again():
    shapes = [(8, 32, 32), (16, 16, 16), (32, 8, 8), (2,), (32, 8, 8), (1, 32, 32)]
    blocks = [{"kind": "x", "output": s, "parameters": 1, "part": "encoder"} for s in shapes]
    heights = [patch.get_height() for patch in figures.layer_diagram(blocks).axes[0].patches]
    assert heights[0] > heights[1] > heights[2] > heights[3] < heights[4] < heights[5]


@pytest.mark.parametrize("count", [0, 1, 10, 31])
def test_diagnosis_of_any_number_of_classes(count):
    rendered(figures.class_share({f"class {i}": 0.5 / max(count, 1) for i in range(count)}, 0.5))


@pytest.mark.parametrize("count", [1, 200])
def test_neighbours_and_bars(count):
    rendered(figures.neighbour_quality(rng.random(count), rng.random(count)))
    rows = [{"name": f"model {i}", "value": -0.2 * i} for i in range(min(count, 12))]
    rendered(figures.comparison_bars(rows, "A score with a rather long title " * 4, "higher"))


def test_the_grid_is_drawn_where_it_was_decoded():
    grid = np.zeros((3, 5, 8, 8, 1))
    grid[0, 0] = 1.0
    figure = figures.decoded_grid_over_scatter(rng.normal(size=(9, 2)), None, (), grid, EXTENT)
    image = figure.axes[0].images[0]
    assert image.get_extent() == [-2.5, 2.5, -1.5, 1.5]
    alpha = image.get_array()[..., 3]
    assert alpha[-1, 0] > 0.5 and alpha[0, 0] == alpha[-1, -1] == 0


def test_small_pictures_are_shown_pixel_by_pixel(tmp_path):
    image = (rng.random((1, 8, 8, 3)) * 255).round() / 255
    with Image.open(figures.save(figures.sample_grid(image), tmp_path / "a.png")) as file:
        page = np.asarray(file.convert("RGB")).astype(int)
    size = sheet.fitted(8, 8, 150, 150)[0]
    edge = round(style.PAD * style.DPI)
    top = page.shape[0] - edge - sheet.GAP - size
    middle = slice(size // 16, size, size // 8)
    shown = page[top : top + size, edge : edge + size][middle, middle]
    assert np.abs(shown - (image[0] * 255).round()).max() <= 1


def test_alpha_lies_over_a_checkerboard():
    clear = sheet.as_rgb(np.zeros((1, 16, 16, 4)))
    assert set(np.unique(clear.round(2))) == {np.float32(0.86), np.float32(1.0)}
    solid = np.concatenate([np.full((1, 16, 16, 3), 0.3), np.ones((1, 16, 16, 1))], axis=-1)
    assert np.allclose(sheet.as_rgb(solid), 0.3)


@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (2, 8, 8, 2), (8, 8)])
def test_pictures_that_are_none_are_refused_with_the_remedy(shape):
    with pytest.raises(DataError, match="1, 3 or 4 channels"):
        figures.sample_grid(np.zeros(shape))


def test_saving_is_whole_exact_and_leaves_nothing_behind(tmp_path):
    paths = [
        figures.save(figures.latent_scatter(np.eye(2), [0, 1]), tmp_path / "new" / f"{i}.png")
        for i in range(2)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["0.png", "1.png"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    write(target, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("lemari.files.os.replace", fail)
    with pytest.raises(RunError, match="disk full"):
        write(target, b"new")
    assert target.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_gif_runs_there_and_back(tmp_path, channels, count):
    path = figures.save_gif(pictures(count, size=(8, 12, channels)), tmp_path / "a.gif", scale=3)
    with Image.open(path) as image:
        assert image.size == (36, 24)
        assert getattr(image, "n_frames", 1) == max(1, 2 * count - 2)
        assert image.info.get("loop") == 0 or count == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_drawing_leaves_the_settings_of_the_caller_alone():
    before = dict(matplotlib.rcParams)
    figures.comparison_bars([{"name": "a", "value": 1.0}], "t")
    assert dict(matplotlib.rcParams) == before


def test_classes_look_different():
    looks = [style.class_look(i) for i in range(60)]
    assert len(set(looks)) == 60


def test_every_caption_says_something_and_unknown_ones_name_themselves():
    assert all(title and words for title, words in CAPTIONS.values())
    assert caption("error-by_row") == ("Error by row", "")


def test_figures_need_neither_torch_nor_pyplot():
    code = (
        "import sys, lemari.figures as f;"
        "bad = {'torch', 'matplotlib.pyplot', 'tkinter'} & set(sys.modules); sys.exit(len(bad))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
