"""Random windows become batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import shapely
import torch
from rasterio.windows import Window

from ..core.geodata.annotations import burn
from ..core.geodata.rasters import RasterReader
from ..core.images import Images, Mask
from ..core.labels import IGNORE, Labels
from ..core.trainers import Batch
from .data import TrainingData, read_window
from .sources import Bounds, Source, within

__all__ = ["Sampler"]

_TRIES = 16
_LEAST_LABELLED = 0.25
_LEAST_UNLABELLED = 0.5

Scalar = TypeVar("Scalar", bound=np.generic)
_Place = tuple[Source, Bounds]


class Sampler:
    """Draws batches; each window is a function of the seed, the step and its number alone, so any can be drawn again.

    Args:
        data: where to draw from.
        batch: labelled windows a step, and as many unlabelled ones where there are any.
        seed: of the drawing; several numbers make one seed.
        augment: whether windows are flipped and turned.
        reader: reads the rasters; from several threads if need be.
        part: which part of a larger batch is drawn here, where several processes draw one together.
    """

    def __init__(
        self,
        data: TrainingData,
        batch: int,
        seed: tuple[int, ...],
        augment: bool,
        reader: RasterReader,
        part: int = 0,
    ) -> None:
        self._data = data
        self._labelled_places, self._unlabelled_places = _Places(data.labelled), _Places(data.unlabelled)
        self._numbers = range(part * batch, (part + 1) * batch)
        self._seed = seed
        self._augment = augment
        self._reader = reader

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        labelled = [self._labelled(np.random.default_rng((*self._seed, step, n, 0))) for n in self._numbers]
        images, labels, valid = (torch.from_numpy(np.stack(part)) for part in zip(*labelled, strict=True))
        if not self._data.unlabelled:
            return Batch(images, labels.long(), valid, images[:0], valid[:0])
        unlabelled = [self._unlabelled(np.random.default_rng((*self._seed, step, n, 1))) for n in self._numbers]
        more, more_valid = (torch.from_numpy(np.stack(part)) for part in zip(*unlabelled, strict=True))
        return Batch(images, labels.long(), valid, more, more_valid)

    def _labelled(self, rng: np.random.Generator) -> tuple[Images, Labels, Mask]:
        # All tries are of one region: where none can show a quarter, the largest would else win over all the others.
        place = self._labelled_places.draw(rng)
        drawn = self._draw(rng, repeat(place, _TRIES), wants_labels=True)
        labels, (images, valid) = drawn.labels, drawn.pixels
        labels[~valid] = IGNORE
        held_out = burn(drawn.source.held_out, drawn.window, valid.shape)
        valid &= drawn.source.mirrored(held_out, drawn.window) == 0
        turn = self._turn(rng)
        return _turned(images, turn), _turned(labels, turn), _turned(valid, turn)

    def _unlabelled(self, rng: np.random.Generator) -> tuple[Images, Mask]:
        places = (self._unlabelled_places.draw(rng) for _ in range(_TRIES))
        drawn = self._draw(rng, places, wants_labels=False)
        images, valid = drawn.pixels
        turn = self._turn(rng)
        return _turned(images, turn), _turned(valid & (drawn.labels == IGNORE), turn)

    def _draw(self, rng: np.random.Generator, places: Iterable[_Place], wants_labels: bool) -> _Drawn:
        """A random window of the places, of which at least a quarter is labelled (or half is not), or the best one.

        What holds no data does not count: without a loss, it would still be seen by the batch norms.
        """
        least = _LEAST_LABELLED if wants_labels else _LEAST_UNLABELLED
        draws = (
            _Drawn(source, _window_over(rng, bounds, source), wants_labels, self._data, self._reader)
            for source, bounds in places
        )
        best = next(draws)
        while best.share < least and (other := next(draws, None)):
            best = max(best, other, key=lambda drawn: drawn.share)
        return best

    def _turn(self, rng: np.random.Generator) -> int:
        """One of the eight flips and right-angle turns of a square; 0 leaves it as it is."""
        return int(rng.integers(8)) if self._augment else 0


class _Drawn:
    """A window that was drawn; its pixels are read once, when they are asked for.

    Attributes:
        source: where it lies.
        window: in pixels of the source's raster.
        labels: `(tile, tile)`; where none are wanted, also on mirror images beyond the raster.
    """

    def __init__(
        self, source: Source, window: Window, wants_labels: bool, data: TrainingData, reader: RasterReader
    ) -> None:
        self.source, self.window = source, window
        labels = source.annotation.labels(window, (data.tile, data.tile))
        self.labels = labels if wants_labels else source.mirrored(labels, window)
        self._wants_labels, self._data, self._reader = wants_labels, data, reader

    @cached_property
    def pixels(self) -> tuple[Images, Mask]:
        """Normalised images `(C, tile, tile)` and validity `(tile, tile)`."""
        return read_window(self.source, self.window, self._data, self._reader)

    @cached_property
    def share(self) -> float:
        """How much of it holds data, and labels or none, as is wanted."""
        wanted = (self.labels != IGNORE) == self._wants_labels
        if self.source.raster.may_lack_data:
            wanted &= self.pixels[1]
        return float(np.mean(wanted))


class _Places:
    """The boxes of the regions of sources, each as likely as its region is large on the ground."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._places = [(source, bounds) for source in sources for bounds in shapely.bounds(source.regions)]
        ends = np.concatenate([np.zeros(0), *(source.weights for source in sources)]).cumsum()
        self._ends = ends / ends[-1:]

    def draw(self, rng: np.random.Generator) -> _Place:
        """One of them: its source and left, top, right and bottom in pixels."""
        # rng.choice would add up the shares of all places, of which there may be a hundred thousand, at every draw.
        return self._places[int(self._ends.searchsorted(rng.random(), side="right"))]


def _turned(array: npt.NDArray[Scalar], turn: int) -> npt.NDArray[Scalar]:
    """A flip (from 4 on) and `turn` modulo 4 quarter turns of the last two axes."""
    flipped = array[..., ::-1] if turn >= 4 else array
    return np.ascontiguousarray(np.rot90(flipped, turn % 4, axes=(-2, -1)))


def _window_over(rng: np.random.Generator, bounds: Bounds, source: Source) -> Window:
    """A random window inside of a region, or around it where the region is smaller; within the raster if it can."""
    left, top, right, bottom = (round(float(edge)) for edge in bounds)
    height, width = source.shape
    return Window(
        _offset(rng, left, right, width, source.raster.width),
        _offset(rng, top, bottom, height, source.raster.height),
        width,
        height,
    )


def _offset(rng: np.random.Generator, low: int, high: int, side: int, size: int) -> int:
    first, last = sorted((low, high - side))
    return within(int(rng.integers(first, last + 1)), side, size)
