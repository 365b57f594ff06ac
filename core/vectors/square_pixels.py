"""The road of a raster in pixels that are square on the ground, as what thins it takes them to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from ..images import Mask
from .lines import Floats

__all__ = ["SquarePixels", "square_pixels"]

_OBLONG = 1.05  # from here on one side is so much longer that it shows at the ends of roads

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SquarePixels:
    """The road of an open raster, of which oblong pixels come several times along their longer side.

    Attributes:
        dataset: the raster.
        road: value of its road.
        grain: width and height of the raster's own pixels in metres.
        shape: rows and columns of the pixels.
    """

    dataset: rasterio.DatasetReader
    road: int
    grain: tuple[float, float]
    shape: tuple[int, int]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a pixel in metres."""
        (width, height), (rows, columns) = self.grain, self.shape
        return width * self.dataset.width / columns, height * self.dataset.height / rows

    def read(self, rows: range, columns: range) -> tuple[Mask, tuple[Floats, Floats]]:
        """Where the road is in some rows and columns; what lies outside of the raster mirrors what lies inside.

        Returns:
            The road, `(H, W)`, and the rows `(H,)` and columns `(W,)` of the middles of the raster's own pixels.
        """
        (row, down), (column, across) = (
            _sources(some, count, own)
            for some, count, own in zip((rows, columns), self.shape, self.dataset.shape, strict=True)
        )
        window = Window.from_slices((row.min(), row.max() + 1), (column.min(), column.max() + 1))
        mask: Mask = self.dataset.read(1, window=window) == self.road
        if mask.shape != (len(row), len(column)):
            mask = mask[np.ix_(row - row.min(), column - column.min())]
        return mask, (down, across)


def square_pixels(dataset: rasterio.DatasetReader, road: int, pixel: tuple[float, float]) -> SquarePixels:
    """The road of an open raster whose pixels have a width and a height in metres."""
    stretch = [side / min(pixel) if side > _OBLONG * min(pixel) else 1 for side in pixel]
    return SquarePixels(dataset, road, pixel, (round(dataset.height * stretch[1]), round(dataset.width * stretch[0])))


def _sources(some: range, count: int, own: int) -> tuple[Indices, Floats]:
    """Of some of `count` rows, which of a raster's own rows each is part of, and where the middle of that lies."""
    source = (2 * np.arange(some.start, some.stop) + 1) * own // (2 * count)
    before, after = max(0, -int(source[0])), max(0, int(source[-1]) - own + 1)
    mirrored = np.pad(np.arange(own), (before, after), mode="reflect")[source + before]
    return mirrored, (source + 0.5) * count / own - 0.5
