"""Laws of size: what goes in comes out, for every height, width and number of channels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemari.errors import UsageError
from lemari.networks.select import fits, parse, select
from lemari.registry import NETWORKS, VARIANTS
from lemari.types import Batch, Schema

SIZES = [(8, 8), (8, 64), (9, 13), (11, 37), (17, 8), (23, 61), (31, 32), (33, 47), (64, 63)]


def trip(variant: str, shape, device: str = "cpu", rows: int = 2, **options):
    """Shape of q's mean and of p's mean for a batch of zeros; `meta` allocates nothing."""
    data = Schema("image", shape, ("a", "b"))
    with torch.device(device), torch.no_grad():
        model = VARIANTS[variant](data, **options).eval()
        batch = Batch(torch.zeros(rows, *shape))
        c = model.condition(batch)
        q = model.posterior(model.encoder(batch.x, c))
        p = model.decoder(q.rsample(), c)
    assert q.mean.shape == (rows, *model.code)
    assert p.mean.shape == (1, rows, *shape)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_auto_gives_back_every_size(size, channels):
    trip("vae", (channels, *size), "meta")
    trip("vae", (channels, *size), network="residual:4-4")


@pytest.mark.parametrize("network", ["conv:4-4", "patches:16"])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_convolutions_and_patches_give_back_every_size(size, network):
    trip("vae", (3, *size), network=network)
    trip("cvae", (1, *size), "meta", network=network.partition(":")[0])


@pytest.mark.parametrize("network", ["conv", "patches"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 7), (8, 300)], ids=str)
def test_convolutions_and_patches_give_back_odd_pictures(size, network):
    trip("ae", (1, *size), network=network)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    channels=st.sampled_from((1, 3, 4)),
    variant=st.sampled_from(("ae", "vae", "beta-vae", "cvae")),
)
def test_auto_gives_back_any_size(height, width, channels, variant):
    trip(variant, (channels, height, width), "meta")


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (5, 7)], ids=str)
def test_auto_gives_back_tiny_pictures(size):
    trip("vae", (1, *size))


def test_auto_gives_back_large_pictures():
    trip("vae", (3, 256, 256), "meta")
    trip("vae", (1, 256, 256), rows=1, network="residual:2-2-4-4-4-4", latent=2)


@pytest.mark.parametrize("name", ["chapter", "chapter-faces", "lesson-conv"])
@pytest.mark.parametrize("size", [*SIZES, (28, 28), (32, 32), (218, 178)], ids=str)
def test_course_networks_build_at_the_size_that_fits_gives(name, size):
    height, width = fits(name, "image", *size)
    step = 16 if name == "chapter-faces" else 8
    assert 0 <= height - size[0] < step and 0 <= width - size[1] < step
    assert fits(name, "image", height, width) == (height, width)
    for variant in ("ae", "vae"):
        trip(variant, (3, height, width), "meta", network=name)
    if (height, width) != size:
        with (
            torch.device("meta"),
            pytest.raises(UsageError, match=f"--size {height},{width}"),
        ):
            trip("ae", (1, *size), network=name)


@pytest.mark.parametrize(
    "network", ["auto", "mlp", "residual", "lesson-mlp", "mlp:30-20", "linear"]
)
def test_other_networks_take_any_size(network):
    assert fits(network, "image", 29, 31) == (29, 31)
    trip("ae", (1, 29, 31), "meta", network=network, latent=3)


@pytest.mark.parametrize("kind", ["image", "table"])
def test_auto_chooses_a_network_and_a_code_for_the_kind(kind):
    shape = (1, 8, 8) if kind == "image" else (5,)
    nets = select(Schema(kind, shape), "auto", latent=None, heads=1)
    assert nets.code == ((16,) if kind == "image" else (2,))


@pytest.mark.parametrize("columns", [1, 2, 3, 30, 500])
def test_tables_of_any_width(columns):
    model = VARIANTS["vae"](Schema("table", (columns,))).eval()
    with torch.no_grad():
        trace = model(Batch(torch.zeros(3, columns)))
    assert trace.p.mean.shape == (1, 3, columns)
    assert 1 <= model.code[0] <= 8


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("mlpp", "did you mean 'mlp'"),
        ("mlp:x", "whole numbers joined by dashes"),
        ("mlp:0", "whole numbers"),
        ("mlp:70000", "whole numbers"),
        ("mlp:-3", "whole numbers"),
        ("chapter:32", "fixed widths"),
        ("", "no network"),
        ("auto:16", ""),
    ],
)
def test_a_wrong_network_is_answered_in_a_sentence(network, words):
    try:
        select(Schema("image", (1, 8, 8)), network, latent=2, heads=1)
    except UsageError as refusal:
        assert words in str(refusal)
    else:
        assert network == "auto:16"


@pytest.mark.parametrize("latent", [0, -1, 65537])
def test_a_code_that_cannot_be_is_refused(latent):
    with pytest.raises(UsageError, match="1 to 65536"):
        select(Schema("table", (5,)), "mlp", latent=latent, heads=1)


def test_names_with_widths():
    assert parse("residual:8-16") == ("residual", (8, 16))
    assert set(NETWORKS) >= {"mlp", "residual", "chapter", "chapter-faces", "lesson-conv"}
