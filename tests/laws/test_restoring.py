"""Restoring networks and variants: what must hold whatever they were trained on."""

import numpy as np
import pytest
import torch

from lemari.errors import UsageError
from lemari.feed import Feed
from lemari.formats import ImageFormat
from lemari.networks.restoring import UNet, Upscaler
from lemari.registry import VARIANTS
from lemari.sources.patches import Patches, every, starts
from lemari.store import Fitted, Recipe
from lemari.tasks.mend import mend
from lemari.tasks.restorer import ModelRestorer
from lemari.train import Plan, Training
from lemari.types import Batch, Schema


def wake(net: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights at random everywhere: fresh networks end in zeros."""
    torch.manual_seed(seed)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.15)
    return net.double().eval()


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (28, 28), (33, 64)])
def test_networks_take_any_size(size):
    unet, up = UNet(1, 0, (4, 6, 8), 1), Upscaler(3, 0, 3, 6, 2)
    assert unet(torch.rand(2, 1, *size)).shape == (2, 1, *size)
    assert up(torch.rand(2, 3, *size)).shape == (2, 3, 3 * size[0], 3 * size[1])


@pytest.mark.parametrize("task", ["denoising-ae", "super-resolution-ae", "inpainting-ae"])
def test_shown_pictures_begin_with_the_truth_and_end_with_the_models(task):
    x = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), dtype=np.uint8)
    feed = Feed(x, None, ImageFormat((1, 16, 16)))
    options = {"scale": 2} if task == "super-resolution-ae" else {}
    network = "upscale:4" if options else "unet:4-4"
    model = VARIANTS[task](Schema("image", (1, 16, 16)), network=network, **options)
    shown = mend(model, feed, feed).shown
    assert (next(iter(shown)), list(shown)[-1]) == ("clean", "restored")
    np.testing.assert_allclose(shown["clean"], x[:10] / np.float32(255))


def test_an_untrained_network_returns_the_picture_or_its_bicubic_enlargement():
    from lemari.degrade import upscale

    x = torch.rand(2, 1, 24, 24)
    assert torch.equal(UNet(1, 0, (4, 8), 1)(x), x)
    torch.testing.assert_close(Upscaler(1, 0, 2, 6, 1)(x), upscale(x, 2))


@pytest.mark.parametrize(
    "net",
    [UNet(1, 0, (4, 6, 8), 1), UNet(1, 1, (4, 6), 2), Upscaler(1, 0, 2, 6, 3)],
    ids=["three levels", "two levels, a plane", "upscaler"],
)
def test_nothing_beyond_the_halo_matters(net):
    """A pixel changed in one place moves no output further away than the halo says."""
    net, side = wake(net), 192
    planes = net.enter.in_channels // (4 if isinstance(net, UNet) else 1)
    x = torch.rand(1, planes, side, side, dtype=torch.float64)
    for spot in (96, 99):
        y = x.clone()
        y[0, 0, spot, spot] += 1.0
        scale = 2 if isinstance(net, Upscaler) else 1
        moved = (net(x) - net(y)).abs().amax((0, 1)).nonzero().float() / scale
        reach = (moved - spot).abs().max()
        assert 1 < float(reach) <= net.halo + 1


@pytest.mark.slow
@pytest.mark.parametrize("task", ["denoising-ae", "inpainting-ae"])
def test_a_restoring_model_learns_a_simple_law(task):
    """Flat pictures of random brightness: the mean of the seen pixels is the answer."""
    values = np.random.default_rng(0).integers(40, 215, 256).astype(np.uint8)
    x = np.repeat(values, 256).reshape(256, 1, 16, 16)
    options = {"noise": "0.2"} if task == "denoising-ae" else {"mask": 0.5}
    model = VARIANTS[task](Schema("image", (1, 16, 16)), network="unet:8-16", **options)
    fmt = ImageFormat((1, 16, 16))
    feed = Feed(x, None, fmt)
    for _ in Training(model, feed, Plan(epochs=24, batch_size=16, lr=5e-3)).run():
        pass
    found = mend(model, feed, feed)
    error = {name: np.mean(10 ** (-np.array(found.psnr[name]) / 10)) for name in found.psnr}
    assert error["restored"] < error["degraded"] / 5


def test_identity_corruption_learns_identity():
    model = VARIANTS["denoising-ae"](Schema("image", (1, 16, 16)), network="unet:4-8", noise="0")
    x = np.random.default_rng(1).integers(0, 256, (64, 1, 16, 16), dtype=np.uint8)
    feed = Feed(x, None, ImageFormat((1, 16, 16)))
    for _ in Training(model, feed, Plan(epochs=2, batch_size=16)).run():
        pass
    clean = Batch(torch.from_numpy(x[:8]).float() / 255)
    assert (model(clean).p.mean[0] - clean.x).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("variant", "options", "network"),
    [("vae", {}, "unet"), ("cvae", {}, "upscale"), ("inpainting-ae", {}, "upscale")],
)
def test_networks_without_a_code_refuse_its_laws(variant, options, network):
    with pytest.raises(UsageError):
        VARIANTS[variant](Schema("image", (1, 16, 16), ("a", "b")), network=network, **options)


def fitted(variant: str, shape, **options) -> Fitted:
    recipe = Recipe(variant=variant, options=options)
    model = VARIANTS[variant](Schema("image", shape), **options)
    return Fitted(model, ImageFormat(shape), recipe)


def test_restorers_know_their_task():
    denoiser = ModelRestorer(fitted("denoising-ae", (1, 32, 32), noise="0:0.2"))
    assert (denoiser.task, denoiser.scale, denoiser.takes_level) == ("denoise", 1, True)
    assert ModelRestorer(fitted("denoising-ae", (1, 32, 32), noise="0.2")).takes_level is False
    large = ModelRestorer(fitted("super-resolution-ae", (3, 32, 32), scale=4))
    assert (large.task, large.scale, large.channels) == ("upscale", 4, 3)
    x = torch.rand(1, 3, 10, 7)
    assert large(x).shape == (1, 3, 40, 28)
    filler = ModelRestorer(fitted("inpainting-ae", (1, 16, 16)))
    with pytest.raises(UsageError, match="mask"):
        filler(torch.rand(1, 1, 20, 20))
    assert filler(torch.rand(1, 1, 20, 20), None, torch.ones(1, 1, 20, 20)).shape[2:] == (20, 20)


def test_a_bottleneck_restores_its_own_size_only():
    from lemari.errors import DataError

    small = ModelRestorer(fitted("denoising-ae", (1, 28, 28), network="residual", latent=4))
    assert small(torch.rand(2, 1, 28, 28)).shape == (2, 1, 28, 28)
    with pytest.raises(DataError, match="28x28"):
        small(torch.rand(2, 1, 30, 28))


@pytest.mark.parametrize(("length", "side"), [(64, 64), (65, 64), (180, 64), (100, 8)])
def test_patches_begin_everywhere_and_end_at_the_edge(length, side):
    found = starts(length, side)
    assert found[0] == 0 and found[-1] == length - side
    assert (np.diff(found) > 0).all() and (np.diff(found) <= max(1, side // 4)).all()
    apart = found[every(found, side)]
    assert (np.diff(apart) >= side).all()


def test_patches_are_cut_out_of_their_pictures():
    sizes = [(20, 30), (16, 16), (40, 17)]
    pictures = [np.random.default_rng(i).integers(0, 256, (3, *s), np.uint8) for i, s in
                enumerate(sizes)]  # fmt: skip
    pixels = np.concatenate([p.ravel() for p in pictures])
    patches = Patches(pixels, sizes, 3, 16)
    assert len(patches) == sum(len(starts(h, 16)) * len(starts(w, 16)) for h, w in sizes)
    at = 0
    for picture, (h, w) in zip(pictures, sizes, strict=True):
        for r in starts(h, 16):
            for c in starts(w, 16):
                assert (patches[np.array([at])][0] == picture[:, r : r + 16, c : c + 16]).all()
                at += 1
    assert patches[3:7].shape == (4, 3, 16, 16)


def test_held_out_patches_come_from_other_pictures():
    sizes = [(32, 32)] * 10
    patches = Patches(np.zeros(10 * 32 * 32, np.uint8), sizes, 1, 16)
    train, held = patches.split(0.3, 7)
    owner = np.searchsorted(patches.firsts, np.arange(len(patches)), side="right") - 1
    assert not set(owner[train]) & set(owner[held])
    assert len(set(owner[held])) == 3 and len(held) == 3 * 4
    same = patches.split(0.3, 7)
    assert (same[0] == train).all() and (same[1] == held).all()


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_no_picture_is_both_trained_on_and_watched(count):
    """Except where there is only one; what is watched does not overlap."""
    sizes = [(32, 40)] * count
    patches = Patches(np.zeros(count * 32 * 40, np.uint8), sizes, 1, 16)
    everything = np.arange(len(patches))
    kept, valid = patches.set_apart(everything, 3)
    if count == 1:
        assert np.array_equal(kept, everything) and np.array_equal(valid, everything)
        return
    on_one, on_other = set(patches.owners(kept)), set(patches.owners(valid))
    assert not on_one & on_other
    assert on_one | on_other == set(range(count))
    assert len(on_other) == max(1, round(count / 10))
    assert len(valid) == len(on_other) * 2 * 2  # whole patches side by side in 32 x 40
    assert not np.array_equal(patches.set_apart(everything, 4)[1], valid) or count == 2
