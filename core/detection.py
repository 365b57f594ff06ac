"""Detection: a network slides over a raster, strip by strip; memory grows with the width alone."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import cycle, islice, product
from typing import Protocol

import numpy as np

from .ahead import map_ahead
from .errors import ModelFileError
from .geodata.blocks import BlockReader
from .geodata.grids import Grid, Sight, Strip
from .geodata.rasters import RasterReader
from .images import Images, Mask, Normalisation, Predictor
from .reporting import Reporter
from .windows import Tiling, blend_weights, tile_starts

__all__ = ["Alone", "Piece", "Place", "Row", "Team", "averaged_over_flips", "slide"]

_READING_THREADS = min(os.cpu_count() or 1, 8)  # each holds what it reads of the raster
_ROWS_AT_ONCE = 64  # of a strip; what is made of it lies in memory beside what the next tiles are blended in


@dataclass(frozen=True)
class Place:
    """A tile of those that something is wanted of.

    Attributes:
        row: of tiles.
        column: of tiles.
        wanted: `(tile, tile)` bool.
    """

    row: int
    column: int
    wanted: Mask


@dataclass(frozen=True)
class Piece:
    """What the network saw in a tile.

    Attributes:
        place: the tile.
        probability: of road, `(tile, tile)` float32.
    """

    place: Place
    probability: Images


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
class _Batch:
    """Tiles that go through the network together: of one row, and none if nothing is wanted of it.

    Attributes:
        places: of the tiles.
        images: `(B, C, tile, tile)`, normalised.
        last: whether the row ends with them.
    """

    places: Sequence[Place]
    images: Images
    last: bool


_Tile = tuple[Place, Sight]
_Group = tuple[Sequence[_Tile], bool]
"""What becomes a batch: its tiles, and whether the row ends with them."""


def slide(
    grid: Grid,
    normalisation: Normalisation,
    predict: Predictor,
    tiling: Tiling,
    reporter: Reporter,
    team: Team | None = None,
) -> Iterator[Strip]:
    """Yields the probability of road in the pixels of a raster, from the first row of a scene to its last.

    Overlapping tiles are blended by a smooth weight. Tiles without a wanted pixel are not computed. Of several
    processes, the first yields the strips, the same to the bit as a single one; the others yield none.

    Args:
        grid: what is looked at.
        normalisation: of the network.
        predict: the network.
        tiling: how the grid is cut.
        reporter: hears of the progress, and may stop the work.
        team: the processes that share the work; None for this one alone.

    Raises:
        ModelFileError: if the network answers with what is no number.
        RasterError: if the raster cannot be read.
        CancelledError: where the user asked to stop.
    """
    team = team or Alone()
    blender = _Blender(*grid.shape, tiling)
    rows, columns = range(team.rank, len(blender.rows), team.size), range(len(blender.columns))
    numbers = list(product(rows, columns))
    with ExitStack() as context:
        reader = grid.reader(context.enter_context(RasterReader()), tiling.tile)
        tiles = context.enter_context(closing(_tiles(numbers, blender, grid, reader, tiling)))
        told = _told(tiles, len(numbers), reporter)
        groups = (group for _ in rows for group in _groups(islice(told, len(columns)), tiling.batch))
        rooms = _rooms(len(grid.scene.raster.bands), tiling)
        batches = context.enter_context(closing(_batches(groups, normalisation, rooms)))
        seen = context.enter_context(closing(_seen(batches, predict)))
        all_rows = team.gather((_row(seen) for _ in rows), len(blender.rows))
        yield from grid.to_raster(blender.blend(all_rows), reader)


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


def _tiles(
    numbers: Iterable[tuple[int, int]], blender: _Blender, grid: Grid, reader: BlockReader, tiling: Tiling
) -> Generator[_Tile | None, None, None]:
    """The tiles of some rows and columns, read ahead; None where nothing is wanted of one."""

    def read(number: tuple[int, int]) -> _Tile | None:
        row, column = number
        sight = grid.read(reader, blender.rows[row], blender.columns[column], tiling.tile)
        if sight is None or not sight.wanted.any():
            return None
        return Place(row, column, sight.wanted), sight

    return map_ahead(read, numbers, _READING_THREADS, ahead=max(tiling.batch, _READING_THREADS))


def _told(tiles: Iterator[_Tile | None], count: int, reporter: Reporter) -> Iterator[_Tile | None]:
    for number, tile in enumerate(tiles, start=1):
        reporter.progress(number / count, f"tile {number} of {count}")
        yield tile


def _groups(tiles: Iterator[_Tile | None], most: int) -> Iterator[_Group]:
    """The tiles of a row, one group at least."""
    wanted = (tile for tile in tiles if tile)
    following = list(islice(wanted, 1))
    while True:
        some = [*following, *islice(wanted, most - 1)]
        following = list(islice(wanted, 1))
        yield some, not following
        if not following:
            return


def _rooms(bands: int, tiling: Tiling) -> Iterator[Images]:
    """Memory for one batch after the other, in turn for the one that is seen, the next, and the one that is filled.

    To ask for memory each time would take longer than to fill it.
    """
    return cycle(np.empty((3, tiling.batch, bands, tiling.tile, tiling.tile), dtype=np.float32))


def _batches(
    groups: Iterator[_Group], normalisation: Normalisation, rooms: Iterator[Images]
) -> Generator[_Batch, None, None]:
    """Batches, each in a room of its own; it is one batch ahead."""

    def fill(group: _Group, room: Images) -> _Batch:
        tiles, last = group
        # Not before: until then they lie there in the raster's own type, which takes less memory.
        for place_in_room, (_, sight) in zip(room, tiles, strict=False):
            normalisation.apply(sight.pixels, sight.valid, out=place_in_room)
        return _Batch([place for place, _ in tiles], room[: len(tiles)], last)

    return map_ahead(lambda each: fill(*each), zip(groups, rooms, strict=False), threads=1, ahead=1)


def _seen(batches: Iterable[_Batch], predict: Predictor) -> Generator[tuple[list[Piece], bool], None, None]:
    """What the network sees in batches, and whether they are the last of their row; it is one batch ahead."""

    def look(batch: _Batch) -> tuple[list[Piece], bool]:
        found = predict(batch.images) if batch.places else np.empty(0, np.float32)
        # Not by what it sees: pixels that are no numbers are invalid, and those hold the mean.
        if np.isnan(found).any():
            raise ModelFileError("The model gives no numbers (NaN) for roads: it is damaged; train it again.")
        return [Piece(*each) for each in zip(batch.places, found, strict=True)], batch.last

    return map_ahead(look, batches, threads=1, ahead=1)


def _row(seen: Iterator[tuple[list[Piece], bool]]) -> Iterator[Piece]:
    """The pieces up to the next end of a row."""
    for pieces, last in seen:
        yield from pieces
        if last:
            return


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

    def blend(self, rows: Iterator[Row]) -> Iterator[Strip]:
        """The grid's rows from those of its tiles."""
        for row, pieces in enumerate(rows):
            for piece in pieces:
                self._add(piece)
            yield from self._finish(row)

    def _add(self, piece: Piece) -> None:
        """Adds the probability of one tile."""
        place = piece.place
        start = self.columns[place.column]
        weighted = piece.probability * self._across[place.column]
        weighted *= self._down[place.row][:, None]
        self._sum[:, start : start + self._tile] += weighted
        self._valid[:, start : start + self._tile] |= place.wanted

    def _finish(self, row: int) -> Iterator[Strip]:
        """The rows that no tile below this row of tiles touches, some at a time; those below move up."""
        last = row == len(self.rows) - 1
        done = (self._height if last else self.rows[row + 1]) - self.rows[row]
        for top in range(0, done, _ROWS_AT_ONCE):
            part = slice(top, min(top + _ROWS_AT_ONCE, done)), slice(self._width)
            yield Strip(np.clip(self._sum[part], 0, 1), self._valid[part].copy())
        kept = self._tile - done
        for buffer in (self._sum, self._valid):
            buffer[:kept] = buffer[done:]
            buffer[kept:] = 0
