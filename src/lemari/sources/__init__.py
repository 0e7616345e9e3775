"""Where examples come from: named sets, folders, archives, arrays and tables."""

from lemari.sources.base import Source
from lemari.sources.opening import NAMES, open_data

__all__ = ["NAMES", "Source", "open_data"]
