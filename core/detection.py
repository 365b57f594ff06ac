"""Detection: a network slides over a raster, strip by strip; memory grows with the width alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from .ahead import map_ahead
from .rasters import Images, Mask, Normalisation, RasterInfo, RasterReader
from .reporting import Reporter
from .windows import Tiling, blend_weights, tile_starts

__all__ = ["Predictor", "Strip", "slide"]

Predictor = Callable[[Images], Images]
"""From normalised images `(B, C, H, W)` to the probability of road `(B, H, W)`."""

_READING_THREADS = 2


@dataclass(frozen=True)
class Strip:
    """Finished rows of the result.

    Attributes:
        probability: of road, `(h, W)` float32.
        valid: `(h, W)` bool; elsewhere the raster holds no data.
    """

    probability: npt.NDArray[np.float32]
    valid: Mask


@dataclass(frozen=True)
class _Tile:
    row: int
    column: int
    images: Images
    valid: Mask


def slide(
    raster: RasterInfo,
    window: Window,
    normalisation: Normalisation,
    predict: Predictor,
    tiling: Tiling,
    reporter: Reporter,
) -> Iterator[Strip]:
    """Yields the probability of road in a window of a raster, from its first row to its last.

    Overlapping tiles are blended by a smooth weight. Tiles without a valid pixel are not computed.

    Args:
        raster: what is read.
        window: in whole pixels, within the raster.
        normalisation: of the network.
        predict: the network.
        tiling: how the window is cut.
        reporter: hears of the progress, and may stop the work.
    """
    blender = _Blender(window.height, window.width, tiling)
    with RasterReader() as reader:

        def read(place: tuple[int, int]) -> _Tile:
            row, column = place
            where = Window(
                window.col_off + blender.columns[column], window.row_off + blender.rows[row], tiling.tile, tiling.tile
            )
            pixels, valid = reader.read(raster, where, (tiling.tile, tiling.tile))
            return _Tile(row, column, normalisation.apply(pixels, valid), valid)

        places = [(row, column) for row in range(len(blender.rows)) for column in range(len(blender.columns))]
        with closing(map_ahead(read, places, _READING_THREADS, ahead=2 * tiling.batch)) as tiles:
            pending: list[_Tile] = []
            for done, tile in enumerate(tiles, start=1):
                ends_row = tile.column == len(blender.columns) - 1
                if tile.valid.any():
                    pending.append(tile)
                if pending and (ends_row or len(pending) == tiling.batch):
                    _predict_into(blender, pending, predict)
                    pending = []
                reporter.progress(done / len(places), f"tile {done} of {len(places)}")
                if ends_row:
                    yield blender.finish(tile.row)


def _predict_into(blender: _Blender, tiles: list[_Tile], predict: Predictor) -> None:
    probabilities = predict(np.stack([tile.images for tile in tiles]))
    for tile, probability in zip(tiles, probabilities, strict=True):
        blender.add(tile, probability)


class _Blender:
    """Sums weighted tiles over the rows that are not finished yet."""

    def __init__(self, height: int, width: int, tiling: Tiling) -> None:
        self.rows = tile_starts(height, tiling.tile, tiling.overlap)
        self.columns = tile_starts(width, tiling.tile, tiling.overlap)
        self._height, self._width, self._tile = height, width, tiling.tile
        self._down = blend_weights(height, self.rows, tiling.tile)
        self._across = blend_weights(width, self.columns, tiling.tile)
        self._sum = np.zeros((tiling.tile, max(width, tiling.tile)), dtype=np.float32)
        self._valid = np.zeros(self._sum.shape, dtype=bool)

    def add(self, tile: _Tile, probability: npt.NDArray[np.float32]) -> None:
        """Adds the probability `(tile, tile)` of one tile."""
        start = self.columns[tile.column]
        weight = self._down[tile.row][:, None] * self._across[tile.column]
        self._sum[:, start : start + self._tile] += weight * probability
        self._valid[:, start : start + self._tile] |= tile.valid

    def finish(self, row: int) -> Strip:
        """The rows that no tile below this row of tiles touches; those below move up."""
        last = row == len(self.rows) - 1
        done = (self._height if last else self.rows[row + 1]) - self.rows[row]
        strip = Strip(np.clip(self._sum[:done, : self._width], 0, 1), self._valid[:done, : self._width].copy())
        kept = self._tile - done
        for buffer in (self._sum, self._valid):
            buffer[:kept] = buffer[done:]
            buffer[kept:] = 0
        return strip
