"""DenoisingAE, SuperResolutionAE and InpaintingAE as scikit-learn objects."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from lemari import DenoisingAE, InpaintingAE, LemariError, SuperResolutionAE, load


@pytest.fixture(scope="module")
def digits():
    """360 digits of 24x24 pixels, values 0 to 16."""
    return np.kron(load_digits().images[:360].astype(np.float32), np.ones((1, 3, 3), np.float32))


@pytest.fixture(scope="module")
def denoiser(digits):
    return DenoisingAE(noise="0:0.4", epochs=6, network="unet:8-16").fit(digits)


def test_denoising_lowers_the_error_on_pictures_not_seen(denoiser):
    x = np.kron(load_digits().images[400:500], np.ones((1, 3, 3)))
    noisy = x + 0.25 * 16 * np.random.default_rng(0).standard_normal(x.shape)
    for noise in (None, 0.25, np.full(100, 0.25)):
        restored = denoiser.restore(noisy, noise=noise)
        assert restored.shape == x.shape and restored.min() >= 0 and restored.max() <= 16
        assert np.square(restored - x).mean() < 0.5 * np.square(noisy - x).mean()


def test_other_sizes_are_restored_too(denoiser):
    assert denoiser.restore(np.full((2, 40, 17), 8.0), noise=0.1).shape == (2, 40, 17)


def test_saving_and_loading_keeps_options_and_results(denoiser, digits, tmp_path):
    denoiser.save(tmp_path / "model")
    back = load(tmp_path / "model")
    assert isinstance(back, DenoisingAE) and back.noise == "0:0.4" and back.network == "unet:8-16"
    x = digits[:4]
    assert np.array_equal(back.restore(x, noise=0.2), denoiser.restore(x, noise=0.2))
    again = clone(back).set_params(epochs=1).fit(digits[:64])
    assert again.restore(x, noise=0.2).shape == x.shape


@pytest.mark.parametrize("scale", [2, 3])
def test_super_resolution_gives_larger_pictures(digits, scale):
    model = SuperResolutionAE(scale=scale, down="area", epochs=1, network="upscale:4-4")
    small = digits[:3].reshape(3, 24 // scale, scale, 24 // scale, scale).mean((2, 4))
    assert model.fit(digits[:64]).restore(small).shape == (3, 24, 24)


def test_inpainting_keeps_what_was_measured(digits):
    model = InpaintingAE(mask=0.3, epochs=1, network="unet:4-8").fit(digits[:64])
    missing = np.random.default_rng(0).random((24, 24)) < 0.3
    filled = model.restore(digits[:5], mask=missing)
    assert np.array_equal(filled[:, ~missing], digits[:5][:, ~missing])
    for mask in (None, missing[:5]):
        with pytest.raises(LemariError, match="mask"):
            model.restore(digits[:5], mask=mask)


@pytest.mark.parametrize(
    "model",
    [
        DenoisingAE(noise="x"), DenoisingAE(noise=-1), DenoisingAE(kind="rain"),
        DenoisingAE(kind="jpeg"),
        SuperResolutionAE(scale=7), SuperResolutionAE(scale=1), InpaintingAE(mask=1.5),
        DenoisingAE(network="upscale"), DenoisingAE(latent=3), InpaintingAE(network="nothing"),
    ],
)  # fmt: skip
def test_impossible_options_are_refused_in_a_sentence(model, digits):
    with pytest.raises(LemariError) as refusal:
        model.fit(digits[:16])
    assert len(str(refusal.value)) > 20


def test_a_network_with_skips_has_no_codes(denoiser, digits):
    with pytest.raises(LemariError, match="restore"):
        denoiser.transform(digits)
    code = DenoisingAE(noise="0.2", network="mlp:32", latent=5, epochs=1).fit(digits)
    assert code.transform(digits).shape == (360, 5) and code.restore(digits).shape == digits.shape
