"""The networks of the course chapter and the lesson, with exactly their layers.

They build for every size at which the arithmetic closes; `fits` gives the nearest larger one.
"""

from __future__ import annotations

from torch import nn

from lemari.errors import UsageError
from lemari.networks.layers import Coder, ConvTranspose, Grid, Head, Nets, last_convolution
from lemari.networks.mlp import FlatCoder, chain
from lemari.types import Schema


def image_shape(data: Schema, name: str) -> tuple[int, int, int]:
    """(C, H, W) of the data, or a sentence saying that `name` needs pictures."""
    if data.kind != "image":
        raise UsageError(
            f"Network {name!r} needs pictures, but the data is a {data.kind}; use mlp."
        )
    channels, height, width = data.shape
    return channels, height, width


def divisible(data: Schema, name: str, by: int) -> tuple[int, int, int]:
    channels, height, width = image_shape(data, name)
    if height % by or width % by:
        raise UsageError(
            f"Network {name!r} needs sides that {by} divides, but the pictures are "
            f"{height}x{width}; use --size {up(height, by)},{up(width, by)} or --network auto."
        )
    return channels, height, width


def up(side: int, by: int, rest: int = 0) -> int:
    """The smallest number >= `side` that is `rest` more than a multiple of `by`."""
    return side + (rest - side) % by


def chapter(data: Schema, *, latent: int, heads: int, condition: int = 0) -> Nets:
    """The chapter's network: three strided convolutions to 128 maps, mirrored. Sides in eights."""
    channels, height, width = divisible(data, "chapter", 8)
    grid = (128, height // 8, width // 8)
    flat = 128 * height * width // 64
    encoder: list[nn.Module] = []
    for before, after in ((channels + condition, 32), (32, 64), (64, 128)):
        encoder += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU(inplace=True)]
    encoder += [nn.Flatten(), Head(flat, heads * latent)]
    decoder: list[nn.Module] = [nn.Linear(latent + condition, flat), Grid(*grid)]
    for before, after in ((128, 128), (128, 64), (64, 32)):
        decoder += [ConvTranspose(before, after, 3, 2, 1, 1), nn.ReLU(inplace=True)]
    decoder += [last_convolution(32, channels)]
    return Nets(Coder(*encoder), Coder(*decoder), (latent,))


def chapter_faces(data: Schema, *, latent: int, heads: int, condition: int = 0) -> Nets:
    """The chapter's network for faces: 128 maps throughout, batch normalisation. Sides in 16s."""
    channels, height, width = divisible(data, "chapter-faces", 16)
    grid = (128, height // 16, width // 16)
    flat = 128 * height * width // 256
    encoder: list[nn.Module] = []
    for before in (channels + condition, 128, 128, 128):
        encoder += [nn.Conv2d(before, 128, 3, 2, 1), nn.BatchNorm2d(128), nn.LeakyReLU(0.01, True)]
    encoder += [nn.Flatten(), Head(flat, heads * latent)]
    decoder: list[nn.Module] = [nn.Linear(latent + condition, flat), Grid(*grid)]
    for _ in range(3):
        decoder += [ConvTranspose(128, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True)]
    decoder += [ConvTranspose(128, channels, 4, 2, 1)]
    return Nets(Coder(*encoder), Coder(*decoder), (latent,))


def lesson_conv(data: Schema, *, latent: int | None, heads: int, condition: int = 0) -> Nets:
    """The lesson's convolutional network, whose code is 8 feature maps. Sides 8n - 4."""
    channels, height, width = image_shape(data, "lesson-conv")
    if height % 8 != 4 or width % 8 != 4:
        raise UsageError(
            f"Network 'lesson-conv' gives back sides of 8n - 4 (12, 20, 28, 36 ...), but the "
            f"pictures are {height}x{width}; use --size {up(height, 8, 4)},{up(width, 8, 4)}."
        )
    code = (8, (height + 4) // 8, (width + 4) // 8)
    size = code[0] * code[1] * code[2]
    if latent not in (None, size):
        raise UsageError(
            f"The code of 'lesson-conv' is {'x'.join(map(str, code))} = {size} numbers for "
            f"{height}x{width} pictures, not {latent}; leave --latent out (latent=None), or give "
            f"{size}."
        )
    encoder = Coder(
        *(nn.Conv2d(channels + condition, 16, 3, padding=1), nn.ReLU(inplace=True)),
        nn.MaxPool2d(2),
        *(nn.Conv2d(16, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(
            nn.Conv2d(8, heads * 8, 3, padding=1),
            *half_open(heads),
            nn.MaxPool2d(2, padding=0, ceil_mode=True),
        ),
    )
    decoder = Coder(
        *(
            nn.Conv2d(8 + condition, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Upsample(scale_factor=2),
        ),
        *(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2)),
        *(nn.Conv2d(8, 16, 3), nn.ReLU(inplace=True), nn.Upsample(scale_factor=2)),
        nn.Conv2d(16, channels, 3, padding=1),
    )
    return Nets(encoder, decoder, code)


def half_open(heads: int) -> list[nn.Module]:
    """ReLU on a point code, as the lesson has it; a Gaussian's mean and sigma must be free."""
    return [nn.ReLU(inplace=True)] if heads == 1 else []


def lesson_mlp(data: Schema, *, latent: int, heads: int, condition: int = 0) -> Nets:
    """The lesson's fully connected network: one hidden layer of 512."""
    encoder = FlatCoder(*chain([data.size + condition, 512, heads * latent]))
    decoder = Coder(*chain([latent + condition, 512, data.size]), nn.Unflatten(1, data.shape))
    return Nets(encoder, decoder, (latent,))


chapter.fits = lambda height, width: (up(height, 8), up(width, 8))
chapter_faces.fits = lambda height, width: (up(height, 16), up(width, 16))
lesson_conv.fits = lambda height, width: (up(height, 8, 4), up(width, 8, 4))
lesson_conv.own_latent = True
for network in (chapter, chapter_faces, lesson_conv, lesson_mlp):
    network.published = True
