"""Detection: a network slides over a raster, strip by strip; memory grows with the width alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from .ahead import map_ahead
from .grids import Grid, Strip
from .rasters import Images, Mask, Normalisation, RasterReader
from .reporting import Reporter
from .windows import Tiling, blend_weights, tile_starts

__all__ = ["Predictor", "averaged_over_flips", "slide"]

Predictor = Callable[[Images], Images]
"""From normalised images `(B, C, H, W)` to the probability of road `(B, H, W)`."""

_READING_THREADS = 2


@dataclass(frozen=True)
class _Tile:
    row: int
    column: int
    images: Images
    wanted: Mask


def slide(
    grid: Grid, normalisation: Normalisation, predict: Predictor, tiling: Tiling, reporter: Reporter
) -> Iterator[Strip]:
    """Yields the probability of road in the pixels of a grid, from its first row to its last.

    Overlapping tiles are blended by a smooth weight. Tiles without a wanted pixel are not computed.

    Args:
        grid: what is looked at.
        normalisation: of the network.
        predict: the network.
        tiling: how the grid is cut.
        reporter: hears of the progress, and may stop the work.
    """
    blender = _Blender(*grid.shape, tiling)
    with RasterReader() as reader:

        def read(place: tuple[int, int]) -> _Tile | None:
            row, column = place
            sight = grid.read(reader, blender.rows[row], blender.columns[column], tiling.tile)
            if sight is None or not sight.wanted.any():
                return None
            return _Tile(row, column, normalisation.apply(sight.pixels, sight.valid), sight.wanted)

        places = list(product(range(len(blender.rows)), range(len(blender.columns))))
        with closing(map_ahead(read, places, _READING_THREADS, ahead=2 * tiling.batch)) as tiles:
            pending: list[_Tile] = []
            for done, ((row, column), tile) in enumerate(zip(places, tiles, strict=True), start=1):
                ends_row = column == len(blender.columns) - 1
                if tile:
                    pending.append(tile)
                if pending and (ends_row or len(pending) == tiling.batch):
                    _predict_into(blender, pending, predict)
                    pending = []
                reporter.progress(done / len(places), f"tile {done} of {len(places)}")
                if ends_row:
                    yield blender.finish(row)


def averaged_over_flips(predict: Predictor) -> Predictor:
    """A predictor that answers with the mean over the eight flips and right-angle turns of square images."""

    def predict_averaged(images: Images) -> Images:
        total = np.zeros((len(images), *images.shape[2:]), dtype=np.float32)
        for turns, flipped in product(range(4), (False, True)):
            seen = np.rot90(images, turns, axes=(2, 3))
            found = predict(np.ascontiguousarray(seen[..., ::-1] if flipped else seen))
            total += np.rot90(found[..., ::-1] if flipped else found, -turns, axes=(1, 2))
        total /= 8
        return total

    return predict_averaged


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
        self._valid[:, start : start + self._tile] |= tile.wanted

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
