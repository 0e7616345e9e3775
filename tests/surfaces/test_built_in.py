"""The models that come with the package, on photographs that they have not seen."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from lemari.degrade import downscale, upscale
from lemari.metrics.restoration import luma, psnr
from lemari.store import Fitted
from lemari.surfaces.cli.restoring import MODELS as OFFERED
from lemari.tasks.restorer import MODELS, built_in

SHIPPED = sorted(folder.parent.name for folder in MODELS.glob("*/index.json"))


@pytest.fixture(scope="module")
def photos():
    """Two photographs, 192 x 192 x 3, values 0 to 1."""
    return [image[100:292, 200:392] / 255 for image in load_sample_images().images]


def test_the_command_offers_what_is_shipped():
    assert sorted(OFFERED) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_small_and_have_seen_kodak_only(name):
    assert sum(path.stat().st_size for path in (MODELS / name).iterdir()) < 3_000_000
    data = Fitted.load(MODELS / name).recipe.data
    assert data.name == "kodak24_rgb.tar" and not data.options


@pytest.mark.parametrize(("name", "least"), [("gray-denoise", 4.5), ("color-denoise", 4.5)])
def test_denoisers_lower_the_noise_of_photographs(photos, name, least):
    net = built_in(name)
    for photo in photos:
        x = photo if net.channels == 3 else luma(photo)[..., None]
        noisy = x + np.random.default_rng(0).normal(0, 25 / 255, x.shape)
        batch = torch.from_numpy(np.moveaxis(noisy, 2, 0)[None]).float()
        made = net(batch, torch.tensor([25 / 255])).clamp(0, 1)[0].numpy()
        gain = psnr(np.moveaxis(made, 0, 2), x) - psnr(noisy.clip(0, 1), x)
        assert gain > least


@pytest.mark.parametrize("scale", [s for s in (2, 4) if f"x{s}" in SHIPPED])
def test_enlargers_beat_bicubic_on_photographs(photos, scale):
    net, gains = built_in(f"x{scale}"), []
    for photo in photos:
        x = torch.from_numpy(luma(photo)[None, None]).float()
        truth, small = x[0, 0].numpy(), downscale(x, scale)
        plain, made = upscale(small, scale).clamp(0, 1), net(small).clamp(0, 1)
        gains.append(psnr(made[0, 0].numpy(), truth) - psnr(plain[0, 0].numpy(), truth))
    assert min(gains) > 0 and np.mean(gains) > 0.2, gains
