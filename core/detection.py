"""Detection: a network slides over a raster, strip by strip; memory grows with the width alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, product
from typing import Protocol

import numpy as np

from .ahead import map_ahead
from .grids import Grid, Strip
from .rasters import Images, Mask, Normalisation, RasterReader
from .reporting import Reporter
from .windows import Tiling, blend_weights, tile_starts

__all__ = ["Alone", "Piece", "Predictor", "Row", "Team", "averaged_over_flips", "slide"]

Predictor = Callable[[Images], Images]
"""From normalised images `(B, C, H, W)` to the probability of road `(B, H, W)`."""

# Each thread has handles of its own, and GDAL's blocks belong to a handle: a second one would decode them all again.
_READING_THREADS = 1


@dataclass(frozen=True)
class Piece:
    """A tile that the network saw.

    Attributes:
        row: of tiles.
        column: of tiles.
        probability: of road, `(tile, tile)` float32.
        wanted: `(tile, tile)` bool.
    """

    row: int
    column: int
    probability: Images
    wanted: Mask


Row = Iterable[Piece]
"""A row of tiles, without those that nothing is wanted of; each is computed when it is asked for."""


class Team(Protocol):
    """Processes that share the rows of tiles: the first computes row 0, the second row 1, and so on in turn."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many processes there are."""
        ...

    def gather(self, own: Iterator[Row], count: int) -> Iterator[Row]:
        """All the rows in their order, for the first process from those of all; for the others none."""
        ...


class Alone:
    """A single process."""

    rank, size = 0, 1

    def gather(self, own: Iterator[Row], count: int) -> Iterator[Row]:
        """Its own rows are all."""
        return own


@dataclass(frozen=True)
class _Tile:
    row: int
    column: int
    images: Images
    wanted: Mask


def slide(
    grid: Grid,
    normalisation: Normalisation,
    predict: Predictor,
    tiling: Tiling,
    reporter: Reporter,
    team: Team | None = None,
) -> Iterator[Strip]:
    """Yields the probability of road in the pixels of a grid, from its first row to its last.

    Overlapping tiles are blended by a smooth weight. Tiles without a wanted pixel are not computed. Of several
    processes, the first yields the strips, the same to the bit as a single one; the others yield none.

    Args:
        grid: what is looked at.
        normalisation: of the network.
        predict: the network.
        tiling: how the grid is cut.
        reporter: hears of the progress, and may stop the work.
        team: the processes that share the work; None for this one alone.
    """
    team = team or Alone()
    blender = _Blender(*grid.shape, tiling)
    columns = len(blender.columns)
    places = list(product(range(team.rank, len(blender.rows), team.size), range(columns)))
    with RasterReader() as reader:

        def read(place: tuple[int, int]) -> _Tile | None:
            row, column = place
            sight = grid.read(reader, blender.rows[row], blender.columns[column], tiling.tile)
            if sight is None or not sight.wanted.any():
                return None
            return _Tile(row, column, normalisation.apply(sight.pixels, sight.valid), sight.wanted)

        with closing(map_ahead(read, places, _READING_THREADS, ahead=tiling.batch)) as tiles:
            told = _told(tiles, len(places), reporter)
            own = (_predicted(islice(told, columns), predict, tiling.batch) for _ in range(len(places) // columns))
            for row, pieces in enumerate(team.gather(own, len(blender.rows))):
                for piece in pieces:
                    blender.add(piece)
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


def _told(tiles: Iterator[_Tile | None], count: int, reporter: Reporter) -> Iterator[_Tile | None]:
    for number, tile in enumerate(tiles, start=1):
        reporter.progress(number / count, f"tile {number} of {count}")
        yield tile


def _predicted(tiles: Iterator[_Tile | None], predict: Predictor, batch: int) -> Iterator[Piece]:
    seen = (tile for tile in tiles if tile)
    while some := list(islice(seen, batch)):
        probabilities = predict(np.stack([tile.images for tile in some]))
        for tile, probability in zip(some, probabilities, strict=True):
            yield Piece(tile.row, tile.column, probability, tile.wanted)


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

    def add(self, piece: Piece) -> None:
        """Adds the probability of one tile."""
        start = self.columns[piece.column]
        weight = self._down[piece.row][:, None] * self._across[piece.column]
        self._sum[:, start : start + self._tile] += weight * piece.probability
        self._valid[:, start : start + self._tile] |= piece.wanted

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
