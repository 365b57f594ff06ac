"""The pixels that a network sees of a raster: the raster's own, or such of the size that the network learned from."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from ..ahead import map_ahead
from ..errors import OutsideError
from ..images import Images, Mask, Pixels
from ..labels import ROAD
from .annotations import Annotation, VectorLayer, annotate, names_of
from .blocks import BlockReader
from .rasters import RasterInfo, RasterReader
from .resampling import averaging_matrix, covered, in_parts, means_of_valid, reach, rows_to_resample

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Grid", "ModelGrid", "OwnGrid", "Scene", "Sight", "Strip", "area_of_interest", "grid_for"]

_ROWS_AT_ONCE = 32
_RESULT_THREADS = min(os.cpu_count() or 1, 4)
# Pixels that a square takes from beside what it covers, to interpolate.
_TAILS = 2


@dataclass(frozen=True)
class Strip:
    """Finished rows of the result.

    Attributes:
        probability: of road, `(h, W)` float32.
        valid: `(h, W)` bool; elsewhere the result is nodata.
    """

    probability: npt.NDArray[np.float32]
    valid: Mask


@dataclass(frozen=True)
class Sight:
    """A square of a grid.

    Attributes:
        pixels: `(C, H, W)`.
        valid: `(H, W)` bool; elsewhere the raster holds no data.
        wanted: `(H, W)` bool; valid, and in the area of interest.
    """

    pixels: Pixels
    valid: Mask
    wanted: Mask


@dataclass(frozen=True, eq=False)
class Scene:
    """What of a raster is looked at.

    Attributes:
        raster: the raster.
        window: in whole pixels, within the raster.
        area: where a result is wanted, as `area_of_interest` gives it; None for everywhere.
    """

    raster: RasterInfo
    window: Window
    area: Annotation | None = None

    def reaches(self, window: Window) -> bool:
        """Whether the area of interest meets a window of the raster."""
        return self.area is None or self.area.has_roads(window)

    def inside(self, window: Window) -> Mask:
        """Which pixels of a window of the raster lie in the area of interest, `(H, W)`."""
        shape = (window.height, window.width)
        if self.area is None:
            return np.ones(shape, dtype=bool)
        inside: Mask = self.area.labels(window, shape) == ROAD
        return inside


def area_of_interest(raster: RasterInfo, window: Window, layers: Sequence[VectorLayer]) -> Annotation:
    """Polygons at a raster; a pixel whose centre lies in one of them is labelled as road.

    Raises:
        OutsideError: if no pixel of the window is labelled so.
        AnnotationError: if they cannot be brought to the raster's CRS.
    """
    area = annotate(raster, layers, [])
    if not area.has_road_pixels(window):
        raise OutsideError(
            f"The area of {names_of(layers)} holds no pixel's centre of {raster.name}; check the layers' positions, "
            "or draw a larger area."
        )
    return area


class Grid(Protocol):
    """The pixels that a network sees of a scene."""

    @property
    def scene(self) -> Scene:
        """What is looked at."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns over the scene."""
        ...

    def reader(self, decoder: RasterReader, size: int) -> BlockReader:
        """What reads the raster for squares of a size, row by row."""
        ...

    def read(self, reader: BlockReader, row: int, column: int, size: int) -> Sight | None:
        """A square that begins at a row and a column and may reach beyond the scene; None: nothing is wanted there."""
        ...

    def to_raster(self, strips: Iterator[Strip], reader: BlockReader) -> Iterator[Strip]:
        """The result in the raster's pixels from the result in the grid's, both from the first row to the last."""
        ...


def grid_for(scene: Scene, gsd: float) -> Grid:
    """The grid of a ground sampling distance in metres: the raster's own pixels where they are of about that size.

    Pixels that are oblong on the ground, as those of rasters in degrees are, become square: roads look to the network
    as they did where it learned.
    """
    across, down = (size / gsd for size in scene.raster.pixel)
    return OwnGrid(scene) if scene.raster.is_of(gsd) else ModelGrid(scene, down, across)


@dataclass(frozen=True, eq=False)
class OwnGrid:
    """The raster's own pixels."""

    scene: Scene

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns over the scene."""
        return self.scene.window.height, self.scene.window.width

    def reader(self, decoder: RasterReader, size: int) -> BlockReader:
        """One for windows of that size."""
        return BlockReader(decoder, self.scene.raster, self.scene.window, (size, size))

    def read(self, reader: BlockReader, row: int, column: int, size: int) -> Sight | None:
        """A square of pixels as they are."""
        window = Window(self.scene.window.col_off + column, self.scene.window.row_off + row, size, size)
        inside = self.scene.inside(window)
        if not inside.any():
            return None
        pixels, valid = reader.read(window)
        return Sight(pixels, valid, valid & inside)

    def to_raster(self, strips: Iterator[Strip], reader: BlockReader) -> Iterator[Strip]:
        """The strips as they are."""
        return strips


@dataclass(frozen=True, eq=False)
class ModelGrid:
    """Pixels of another size, a whole number of them over the scene.

    Attributes:
        scene: what is looked at.
        down_ratio: rows of the grid to a row of the raster, but for rounding to whole ones.
        across_ratio: columns of the grid to a column of the raster, likewise.
    """

    scene: Scene
    down_ratio: float
    across_ratio: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns over the scene."""
        window = self.scene.window
        return max(1, round(window.height * self.down_ratio)), max(1, round(window.width * self.across_ratio))

    def reader(self, decoder: RasterReader, size: int) -> BlockReader:
        """One for windows of the raster's pixels that such a square covers."""
        window = self.scene.window
        sides = ((window.height, self.shape[0]), (window.width, self.shape[1]))
        height, width = (math.ceil(size * there / here) + _TAILS for there, here in sides)
        return BlockReader(decoder, self.scene.raster, window, (height, width))

    def read(self, reader: BlockReader, row: int, column: int, size: int) -> Sight | None:
        """A square of means over the raster's pixels, or of interpolated ones where the raster's are larger."""
        raster, window = self.scene.raster, self.scene.window
        rows, columns = self.shape
        high, wide = window.height / rows, window.width / columns
        down = averaging_matrix(window.row_off + row * high, high, size, raster.height)
        across = averaging_matrix(window.col_off + column * wide, wide, size, raster.width)
        if not self.scene.reaches(reach(down, across)):
            return None
        parts = [self._read_rows(reader, *part) for part in in_parts(down, across, len(raster.bands))]
        return Sight(
            np.concatenate([part.pixels for part in parts], axis=1),
            np.concatenate([part.valid for part in parts]),
            np.concatenate([part.wanted for part in parts]),
        )

    def to_raster(self, strips: Iterator[Strip], reader: BlockReader) -> Iterator[Strip]:
        """The result resampled to the raster's own pixels; where those hold no data it is nodata."""
        window = self.scene.window
        rows, columns = self.shape
        down = averaging_matrix(0, rows / window.height, window.height, rows)
        across = averaging_matrix(0, columns / window.width, window.width, columns)
        layers = (np.stack([strip.probability, strip.valid]) for strip in strips)

        def strip_of(part: tuple[Window, Images, csr_array]) -> Strip:
            place, (seen, valid), matrix = part
            (probability,), _ = means_of_valid(seen[None], valid > 0, matrix, across)
            return Strip(probability, reader.valid_among(self.scene.inside(place), place))

        parts = _placed(window, rows_to_resample(layers, down, _ROWS_AT_ONCE))
        with closing(map_ahead(strip_of, parts, _RESULT_THREADS, _RESULT_THREADS)) as resampled:
            yield from resampled

    def _read_rows(self, reader: BlockReader, window: Window, down: csr_array, across: csr_array) -> Sight:
        pixels, valid = reader.read(window)
        images, seen = means_of_valid(pixels, valid, down, across)
        inside = self.scene.inside(window)
        wanted = seen if inside.all() else covered(valid & inside, down, across)
        return Sight(images, seen, wanted)


def _placed(window: Window, parts: Iterator[tuple[Images, csr_array]]) -> Iterator[tuple[Window, Images, csr_array]]:
    """What `rows_to_resample` yields, each with the part of a window that it makes, from top to bottom."""
    top = window.row_off
    for rows, matrix in parts:
        yield Window(window.col_off, top, window.width, matrix.shape[0]), rows, matrix
        top += matrix.shape[0]
