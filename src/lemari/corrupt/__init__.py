"""From the clean target to what the encoder sees.

Each part is a module that turns a batch into a `View`, freshly at each call, with torch's default
generator. What they share:

- `planes`: how many planes the encoder gets behind the channels of the picture;
- `shape_of(shape)`: the shape of `view.x` for data of a shape (C, H, W);
- `forward(batch)`: degrades `batch.x`, or takes `batch.given` as the degraded picture;
- `given(x, level, seen)`: takes `x` as the degraded picture and only attaches the planes.
"""

from lemari.corrupt.columns import MissingColumns
from lemari.corrupt.noise import Noise, noise_range
from lemari.corrupt.pixels import BlindSpot, Filled, Missing
from lemari.corrupt.plain import Clean, Given
from lemari.corrupt.small import Downscale

__all__ = [
    "BlindSpot",
    "Clean",
    "Downscale",
    "Filled",
    "Given",
    "Missing",
    "MissingColumns",
    "Noise",
    "noise_range",
]
