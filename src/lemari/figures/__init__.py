"""Every picture Lemari draws: pure functions of arrays that return a matplotlib Figure.

Pictures come as float arrays (N, H, W, C) in [0, 1], C being 1, 3 or 4. No function touches
pyplot or a window; `save` writes a figure as PNG, `save_gif` pictures as a moving loop.
"""

from lemari.figures.comparison import comparison
from lemari.figures.curves import kl_per_dimension, learning_curves, loss_curves
from lemari.figures.diagnosis import class_share, comparison_bars, neighbour_quality
from lemari.figures.grids import decoded_grid_over_scatter, manifold_grid
from lemari.figures.images import (
    feature_maps,
    heat_strip,
    morph_strip,
    reconstruction_strip,
    restoration_strip,
    sample_grid,
    traversal,
)
from lemari.figures.latent import (
    dimension_histograms,
    latent_scatter,
    prior_scatter,
    random_points,
)
from lemari.figures.network import layer_diagram
from lemari.figures.samplers import sampler_rows
from lemari.figures.writing import save, save_gif

__all__ = [
    "class_share",
    "comparison",
    "comparison_bars",
    "decoded_grid_over_scatter",
    "dimension_histograms",
    "feature_maps",
    "heat_strip",
    "kl_per_dimension",
    "latent_scatter",
    "layer_diagram",
    "learning_curves",
    "loss_curves",
    "manifold_grid",
    "morph_strip",
    "neighbour_quality",
    "prior_scatter",
    "random_points",
    "reconstruction_strip",
    "restoration_strip",
    "sample_grid",
    "sampler_rows",
    "save",
    "save_gif",
    "traversal",
]
