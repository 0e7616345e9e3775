"""What each sampler draws, one row of pictures each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lemari.figures.sheet import GAP, Sheet, as_rgb, fitted
from lemari.figures.style import DPI, MUTED, PAD, drawn, shorten

_EDGE, _NAME, _WIDTH, _CELL = round(PAD * DPI), 200, round(9 * DPI), 84


@drawn
def sampler_rows(
    rows: Mapping[str, np.ndarray], words: Mapping[str, str], features: str, examples: int
) -> Figure:
    """Pictures that each sampler draws through the same decoder, best first, real ones last.

    Shapes: every row (N, H, W, C) in [0, 1]; the first twelve are drawn. `words` holds what is
    said of each sampler: its Frechet distance, taken on so many `examples` in these `features`.
    """
    count = min(12, *(len(images) for images in rows.values()))
    height, width = next(iter(rows.values())).shape[1:3]
    size = fitted(height, width, min(_CELL, (_WIDTH - 2 * _EDGE - _NAME) // count - GAP), _CELL)
    note = f"Number: Frechet distance of {examples:,} examples from as many held-out rows, lower "
    note += f"is better ({features})."
    step = max(size[1], 40) + GAP
    sheet = Sheet(_WIDTH, len(rows) * step + _EDGE, "The same decoder, other samplers", note)
    for row, (name, images) in enumerate(rows.items()):
        y = sheet.top + row * step
        sheet.write(_EDGE, y + 14, shorten(name, 22), va="center", size=8, weight="bold")
        sheet.write(_EDGE, y + 38, words.get(name, ""), va="center", color=MUTED, size=7.5)
        for column, picture in enumerate(as_rgb(images)[:count]):
            sheet.paste(picture, _EDGE + _NAME + column * (size[0] + GAP), y, size)
    return sheet.figure()
