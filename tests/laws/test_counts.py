"""The published course networks, layer by layer: sizes and counts as they are printed there."""

import pytest
import torch
from torch import nn

from lemari.layers_table import describe, kind_of, layer_table, parameter_counts
from lemari.model import effective_beta, likelihood_of
from lemari.registry import VARIANTS
from lemari.types import Schema

GRAY32 = Schema("image", (1, 32, 32))
GRAY28 = Schema("image", (1, 28, 28))
FACES = Schema("image", (3, 32, 32))


def made(variant, data, **options):
    return VARIANTS[variant](data, **options)


@pytest.mark.parametrize(
    ("variant", "data", "encoder", "decoder"),
    [
        ("chapter-ae", GRAY32, 96_770, 246_273),
        ("chapter-vae", GRAY32, 100_868, 246_273),
        ("chapter-faces-vae", FACES, 652_560, 896_643),
        ("lesson-mlp-vae", GRAY28, 403_972, 403_728),
    ],
)
def test_parameters(variant, data, encoder, decoder):
    counts = parameter_counts(made(variant, data))
    assert counts == {
        "encoder": encoder,
        "decoder": decoder,
        "other": 0,
        "total": encoder + decoder,
    }


@pytest.mark.parametrize(
    ("variant", "data", "total", "code"),
    [
        ("chapter-ae", GRAY32, 343_043, (2,)),
        ("chapter-vae", GRAY32, 347_141, (2,)),
        ("chapter-faces-vae", FACES, 1_549_203, (200,)),
        ("lesson-conv-ae", GRAY28, 4_385, (8, 4, 4)),
        ("lesson-mlp-vae", GRAY28, 807_700, (2,)),
    ],
)
def test_totals_and_codes(variant, data, total, code):
    model = made(variant, data)
    assert sum(p.numel() for p in model.parameters()) == total
    assert model.code == code
    assert describe(model)["parameters"]["total"] == total


def shapes(model, *kinds):
    """(part, kind, output) of the layers of these kinds, in order."""
    return [
        (row["part"], row["kind"], row["output"])
        for row in layer_table(model)
        if row["kind"] in kinds
    ]


CHAPTER = [
    ("encoder", "Conv2d", (32, 16, 16)),
    ("encoder", "Conv2d", (64, 8, 8)),
    ("encoder", "Conv2d", (128, 4, 4)),
    ("encoder", "Flatten", (2048,)),
    ("encoder", "Linear", (2,)),
    ("decoder", "Linear", (2048,)),
    ("decoder", "Grid", (128, 4, 4)),
    ("decoder", "ConvTranspose2d", (128, 8, 8)),
    ("decoder", "ConvTranspose2d", (64, 16, 16)),
    ("decoder", "ConvTranspose2d", (32, 32, 32)),
    ("decoder", "Conv2d", (1, 32, 32)),
]
FACES_NET = [
    ("encoder", "Conv2d", (128, 16, 16)),
    ("encoder", "Conv2d", (128, 8, 8)),
    ("encoder", "Conv2d", (128, 4, 4)),
    ("encoder", "Conv2d", (128, 2, 2)),
    ("encoder", "Flatten", (512,)),
    ("encoder", "Linear", (400,)),
    ("decoder", "Linear", (512,)),
    ("decoder", "Grid", (128, 2, 2)),
    ("decoder", "ConvTranspose2d", (128, 4, 4)),
    ("decoder", "ConvTranspose2d", (128, 8, 8)),
    ("decoder", "ConvTranspose2d", (128, 16, 16)),
    ("decoder", "ConvTranspose2d", (3, 32, 32)),
]
LESSON_CONV = [
    ("encoder", "Conv2d", (16, 28, 28)),
    ("encoder", "MaxPool2d", (16, 14, 14)),
    ("encoder", "Conv2d", (8, 14, 14)),
    ("encoder", "MaxPool2d", (8, 7, 7)),
    ("encoder", "Conv2d", (8, 7, 7)),
    ("encoder", "MaxPool2d", (8, 4, 4)),
    ("decoder", "Conv2d", (8, 4, 4)),
    ("decoder", "Upsample", (8, 8, 8)),
    ("decoder", "Conv2d", (8, 8, 8)),
    ("decoder", "Upsample", (8, 16, 16)),
    ("decoder", "Conv2d", (16, 14, 14)),
    ("decoder", "Upsample", (16, 28, 28)),
    ("decoder", "Conv2d", (1, 28, 28)),
]
LESSON_MLP = [
    ("encoder", "Linear", (512,)),
    ("encoder", "Linear", (4,)),
    ("decoder", "Linear", (512,)),
    ("decoder", "Linear", (784,)),
    ("decoder", "Unflatten", (1, 28, 28)),
]
SHAPED = (
    *("Conv2d", "ConvTranspose2d", "Linear", "Flatten", "Unflatten"),
    *("Grid", "MaxPool2d", "Upsample", "Crop"),
)


@pytest.mark.parametrize(
    ("variant", "data", "expected"),
    [
        ("chapter-ae", GRAY32, CHAPTER),
        ("chapter-faces-vae", FACES, FACES_NET),
        ("lesson-conv-ae", GRAY28, LESSON_CONV),
        ("lesson-mlp-vae", GRAY28, LESSON_MLP),
    ],
)
def test_output_shapes_layer_by_layer(variant, data, expected):
    assert shapes(made(variant, data), *SHAPED) == expected


def layers(model, kind):
    nets = (*model.encoder, *model.decoder.net)
    return [layer for layer in nets if isinstance(layer, kind)]


def geometry(layer):
    return layer.kernel_size[0], layer.stride[0], layer.padding[0]


def test_chapter_layers():
    model = made("chapter-ae", GRAY32)
    *down, last = layers(model, nn.Conv2d)
    assert [geometry(c) for c in down] == [(3, 2, 1)] * 3
    assert geometry(last) == (3, 1, 1)
    up = layers(model, nn.ConvTranspose2d)
    assert [(*geometry(c), c.output_padding[0]) for c in up] == [(3, 2, 1, 1)] * 3
    kinds = [kind_of(layer) for layer in model.encoder]
    assert kinds == ["Conv2d", "ReLU"] * 3 + ["Flatten", "Linear"]
    kinds = [kind_of(layer) for layer in model.decoder.net]
    assert kinds == ["Linear", "Grid", *["ConvTranspose2d", "ReLU"] * 3, "Conv2d"]
    assert likelihood_of(model).squash and likelihood_of(model).sigma == 1


def test_faces_layers():
    model = made("chapter-faces-vae", FACES)
    assert [geometry(c) for c in layers(model, nn.Conv2d)] == [(3, 2, 1)] * 4
    assert [geometry(c) for c in layers(model, nn.ConvTranspose2d)] == [(4, 2, 1)] * 4
    kinds = [kind_of(layer) for layer in model.encoder]
    assert kinds == ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 4 + ["Flatten", "Linear"]
    kinds = [kind_of(layer) for layer in model.decoder.net]
    blocks = ["ConvTranspose2d", "BatchNorm2d", "LeakyReLU"] * 3
    assert kinds == ["Linear", "Grid", *blocks, "ConvTranspose2d"]
    slopes = [layer.negative_slope for layer in layers(model, nn.LeakyReLU)]
    assert slopes == [0.01] * 4 + [0.2] * 3
    assert likelihood_of(model).squash


def test_lesson_conv_layers():
    model = made("lesson-conv-ae", GRAY28)
    pads = [geometry(c) for c in layers(model, nn.Conv2d)]
    assert pads == [(3, 1, 1)] * 5 + [(3, 1, 0), (3, 1, 1)]
    assert [u.mode for u in layers(model, nn.Upsample)] == ["nearest"] * 3
    relu = [kind_of(layer) for layer in model.encoder].count("ReLU")
    assert relu == 3
    assert [kind_of(layer) for layer in model.decoder.net].count("ReLU") == 3


def test_a_gaussian_code_of_the_lesson_is_not_cut_at_zero():
    encoder = made("lesson-conv-vae", GRAY28).encoder
    assert [kind_of(layer) for layer in encoder].count("ReLU") == 2


def test_likelihoods_of_the_course():
    names = {v: type(likelihood_of(made(v, GRAY28 if "lesson" in v else FACES))).__name__
             for v in VARIANTS if v.startswith(("chapter", "lesson"))}  # fmt: skip
    assert {v for v, n in names.items() if n == "BernoulliLikelihood"} == {
        "lesson-conv-ae", "lesson-mlp-vae", "lesson-conv-vae"}  # fmt: skip
    assert not likelihood_of(made("chapter-ae", GRAY32)).learned
    assert likelihood_of(made("chapter-vae", GRAY32)).learned


def test_effective_beta():
    faces = made("chapter-faces-vae", FACES)
    assert effective_beta(faces) == pytest.approx(0.768)
    assert likelihood_of(faces).sigma == pytest.approx(0.876, abs=5e-4)
    small = Schema("image", (1, 8, 8))
    assert effective_beta(made("beta-vae", small, likelihood="mse", beta=6.0)) == 6.0
    assert effective_beta(made("beta-vae", small, sigma=1.0, warm_up=50)) == 4.0
    assert effective_beta(made("vae", small, sigma=0.1)) == pytest.approx(0.01)
    assert effective_beta(made("vae", small, likelihood="bernoulli")) == 0.25
    assert effective_beta(made("ae", small)) is None
    assert effective_beta(made("vae-gan", small, sigma=0.1)) is None
    assert effective_beta(made("vae-gan", small, sigma=0.1, pixels=2.0)) == pytest.approx(0.005)


def test_faces_beta_2000_is_the_mean_squared_error_times_2000():
    """The gradient of 2000 MSE + KL, for every picture, is that of the fixed sigma."""

    model = made("chapter-faces-vae", FACES).double()
    likelihood = likelihood_of(model)
    x, h = torch.rand(2, 3, 32, 32).double(), torch.randn(2, 3, 32, 32).double()
    loss = []
    for scale in (h, h + 1):
        p = likelihood(scale)
        book = 2000 * (x - scale.sigmoid()).square().mean((1, 2, 3))
        loss.append(-p.log_prob(x) - book)
    torch.testing.assert_close(loss[0], loss[1], rtol=1e-6, atol=1e-6)
