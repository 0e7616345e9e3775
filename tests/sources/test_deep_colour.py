"""16-bit colour is read as 8 bits, and says so."""

import numpy as np
import pytest

from lemari.sources import open_data

png = pytest.importorskip("png")


def test_sixteen_bit_colour_is_noted(tmp_path):
    rows = np.random.default_rng(0).integers(0, 65536, (16, 16 * 3)).astype(np.uint16)
    for name in ("a.png", "b.png"):
        with open(tmp_path / name, "wb") as file:
            png.Writer(16, 16, greyscale=False, bitdepth=16).write(file, rows.tolist())
    source = open_data(tmp_path)
    assert any("16-bit colour" in note for note in source.notes)
    x = source.load(source.learn()).x
    wanted = np.moveaxis(rows.reshape(16, 16, 3), 2, 0) / 257
    assert x.shape == (2, 3, 16, 16) and np.abs(x[0] - wanted).max() < 1.01
