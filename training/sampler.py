"""Random windows become batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        source, window, labels = self._draw(rng, repeat(place, _TRIES), wants_labels=True)
        images, valid = read_window(source, window, self._data, self._reader)
        labels[~valid] = IGNORE
        valid &= source.mirrored(burn(source.held_out, window, valid.shape), window) == 0
        turn = self._turn(rng)
        return _turned(images, turn), _turned(labels, turn), _turned(valid, turn)

    def _unlabelled(self, rng: np.random.Generator) -> tuple[Images, Mask]:
        places = (self._unlabelled_places.draw(rng) for _ in range(_TRIES))
        source, window, labels = self._draw(rng, places, wants_labels=False)
        images, valid = read_window(source, window, self._data, self._reader)
        turn = self._turn(rng)
        return _turned(images, turn), _turned(valid & (labels == IGNORE), turn)

    def _draw(
        self, rng: np.random.Generator, places: Iterable[_Place], wants_labels: bool
    ) -> tuple[Source, Window, Labels]:
        """A random window of the places, of which at least a quarter is labelled (or half is not), or the best one.

        What holds no data does not count: without a loss, it would still be seen by the batch norms.
        """
        least = _LEAST_LABELLED if wants_labels else _LEAST_UNLABELLED
        drawn = []
        for source, bounds in places:
            window = _window_over(rng, bounds, source)
            labels = source.annotation.labels(window, (self._data.tile, self._data.tile))
            if not wants_labels:
                labels = source.mirrored(labels, window)
            wanted = (labels != IGNORE) == wants_labels
            if source.raster.may_lack_data:
                wanted &= read_window(source, window, self._data, self._reader)[1]
            share = float(np.mean(wanted))
            drawn.append((share, source, window, labels))
            if share >= least:
                break
        _, source, window, labels = max(drawn, key=lambda draw: draw[0])
        return source, window, labels

    def _turn(self, rng: np.random.Generator) -> int:
        """One of the eight flips and right-angle turns of a square; 0 leaves it as it is."""
        return int(rng.integers(8)) if self._augment else 0


class _Places:
    """The boxes of the regions of sources, each as likely as its region is large on the ground."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._places = [(source, bounds) for source in sources for bounds in shapely.bounds(source.regions)]
        weights = np.concatenate([np.zeros(0), *(source.weights for source in sources)])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> _Place:
        """One of them: its source and left, top, right and bottom in pixels."""
        return self._places[rng.choice(len(self._places), p=self._shares)]


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
