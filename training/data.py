"""Training data: rasters and polygons become windows, windows become batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import shapely
import torch
from rasterio.windows import Window

from ..core.annotations import Annotation, VectorLayer, annotate
from ..core.errors import AnnotationError, RasterError
from ..core.losses import IGNORE
from ..core.rasters import Images, Mask, Normalisation, RasterInfo, RasterReader, measure_normalisation
from ..core.trainers import Batch
from .hold_out import hold_out

__all__ = ["Sampler", "Source", "TrainingData", "ValidationWindow", "check_alike", "prepare", "read_window"]

_TRIES = 16
_SAME_GSD = 0.05
_LEAST_LABELLED = 0.25
_LEAST_UNLABELLED = 0.5

Labels = npt.NDArray[np.uint8]
Bounds = npt.NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Source:
    """A raster that windows are drawn from.

    Attributes:
        raster: the raster.
        side: of a window, in pixels of the raster; more or fewer than the tile where its GSD differs.
        annotation: roads, and the area: where to learn from the roads, or, of an unlabelled source, where not to look.
        regions: boxes `(N, 4)` to draw windows from: left, top, right, bottom in pixels.
    """

    raster: RasterInfo
    side: int
    annotation: Annotation
    regions: Bounds

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Area on the ground of each region, in square metres."""
        left, top, right, bottom = self.regions.T
        sizes: npt.NDArray[np.float64] = (right - left) * (bottom - top) * self.raster.gsd**2
        return sizes

    @property
    def annotated_square_metres(self) -> float:
        """Area of the annotation's area."""
        return float(shapely.area(self.annotation.area.geometries).sum()) * self.raster.gsd**2


@dataclass(frozen=True)
class ValidationWindow:
    """A window of the part of the annotated area that is held out; the source's annotation is of that part."""

    source: Source
    window: Window


@dataclass(frozen=True)
class TrainingData:
    """All that a run learns from.

    Attributes:
        labelled: rasters with roads, their areas without what is held out.
        unlabelled: rasters without; their areas are to be left out.
        validation: windows of what is held out of the annotated area: a tenth, or one block where blocks are larger.
        normalisation: of every window.
        gsd: ground sampling distance of every window, in metres.
        tile: side of every window, in pixels.
    """

    labelled: tuple[Source, ...]
    unlabelled: tuple[Source, ...]
    validation: tuple[ValidationWindow, ...]
    normalisation: Normalisation
    gsd: float
    tile: int

    @property
    def labelled_area(self) -> float:
        """Square metres that are learned from."""
        return sum(source.annotated_square_metres for source in self.labelled)

    @property
    def held_out_area(self) -> float:
        """Square metres that are held out."""
        sources = dict.fromkeys(window.source for window in self.validation)
        return sum(source.annotated_square_metres for source in sources)


def prepare(
    labelled: Sequence[RasterInfo],
    roads: Sequence[VectorLayer],
    area: Sequence[VectorLayer],
    unlabelled: Sequence[RasterInfo],
    tile: int,
    seed: int,
    reader: RasterReader,
) -> TrainingData:
    """Finds where labels and imagery are, and holds a part of the annotated area out.

    Args:
        labelled: rasters that roads were drawn on; at least one.
        roads: all the roads inside of the area.
        area: where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
        tile: side of a window in pixels.
        seed: of the hold-out.
        reader: reads the rasters.

    Raises:
        RasterError: if the rasters do not go together.
        AnnotationError: if the annotation and the rasters do not meet, or nothing is unlabelled.
    """
    check_alike([*labelled, *unlabelled])
    gsd = float(np.median([raster.gsd for raster in labelled]))
    annotations = {raster: annotate(raster, roads, area) for raster in labelled}
    annotations = {r: a for r, a in annotations.items() if len(a.area.geometries)}
    _check_annotations(annotations, roads, area)
    training, held_out = hold_out(annotations, 2 * tile, np.random.default_rng(seed))
    return TrainingData(
        labelled=tuple(_source(r, a, gsd, tile, _bounds(a)) for r, a in training.items()),
        unlabelled=tuple(_unlabelled(unlabelled or labelled, roads, area, bool(unlabelled), gsd, tile)),
        validation=tuple(
            window for r, a in held_out.items() for window in _validation(_source(r, a, gsd, tile, _bounds(a)))
        ),
        normalisation=measure_normalisation([*labelled, *unlabelled], reader),
        gsd=gsd,
        tile=tile,
    )


def check_alike(rasters: Sequence[RasterInfo]) -> None:
    """Checks that rasters can be learned from together.

    Raises:
        RasterError: if they differ in the number or the type of their bands.
    """
    first = rasters[0]
    for other in rasters[1:]:
        if len(other.bands) != len(first.bands):
            raise RasterError(
                f"The rasters must have the same bands: {first.name} has {len(first.bands)}, "
                f"{other.name} has {len(other.bands)}."
            )
        if other.dtype != first.dtype:
            raise RasterError(
                f"The rasters must hold values of one type: {first.name} has {first.dtype}, "
                f"{other.name} has {other.dtype}."
            )


class Sampler:
    """Draws batches; each is a function of the seed and the step alone, so any step can be drawn again.

    Args:
        data: where to draw from.
        batch: labelled windows a step, and as many unlabelled ones.
        seed: of the drawing; several numbers make one seed.
        augment: whether windows are flipped and turned.
        reader: reads the rasters; from several threads if need be.
    """

    def __init__(
        self, data: TrainingData, batch: int, seed: tuple[int, ...], augment: bool, reader: RasterReader
    ) -> None:
        self._data = data
        self._batch = batch
        self._seed = seed
        self._augment = augment
        self._reader = reader

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        rng = np.random.default_rng((*self._seed, step))
        labelled = [self._labelled(rng) for _ in range(self._batch)]
        unlabelled = [self._unlabelled(rng) for _ in range(self._batch)]
        images, labels, valid = (torch.from_numpy(np.stack(part)) for part in zip(*labelled, strict=True))
        more, more_valid = (torch.from_numpy(np.stack(part)) for part in zip(*unlabelled, strict=True))
        return Batch(images, labels.long(), valid, more, more_valid)

    def _labelled(self, rng: np.random.Generator) -> tuple[Images, Labels, Mask]:
        source, window, labels = self._draw(rng, self._data.labelled, wants_labels=True)
        images, valid = read_window(source, window, self._data, self._reader)
        labels[~valid] = IGNORE
        turn = self._turn(rng)
        return _turned(images, turn), _turned(labels, turn), _turned(valid, turn)

    def _unlabelled(self, rng: np.random.Generator) -> tuple[Images, Mask]:
        source, window, labels = self._draw(rng, self._data.unlabelled, wants_labels=False)
        images, valid = read_window(source, window, self._data, self._reader)
        turn = self._turn(rng)
        return _turned(images, turn), _turned(valid & (labels == IGNORE), turn)

    def _draw(
        self, rng: np.random.Generator, sources: Sequence[Source], wants_labels: bool
    ) -> tuple[Source, Window, Labels]:
        """A random window, of which at least a quarter is labelled (or half is not), or the best of many tries."""
        least = _LEAST_LABELLED if wants_labels else _LEAST_UNLABELLED
        weights = np.concatenate([source.weights for source in sources])
        places = [(source, bounds) for source in sources for bounds in source.regions]
        drawn = []
        for _ in range(_TRIES):
            source, bounds = places[rng.choice(len(places), p=weights / weights.sum())]
            window = _window_over(rng, bounds, source)
            labels = source.annotation.labels(window, (self._data.tile, self._data.tile))
            share = float(np.mean((labels != IGNORE) == wants_labels))
            drawn.append((share, source, window, labels))
            if share >= least:
                break
        _, source, window, labels = max(drawn, key=lambda draw: draw[0])
        return source, window, labels

    def _turn(self, rng: np.random.Generator) -> int:
        """One of the eight flips and right-angle turns of a square; 0 leaves it as it is."""
        return int(rng.integers(8)) if self._augment else 0


def read_window(source: Source, window: Window, data: TrainingData, reader: RasterReader) -> tuple[Images, Mask]:
    """Normalised images `(C, tile, tile)` and validity `(tile, tile)` of a window."""
    pixels, valid = reader.read(source.raster, window, (data.tile, data.tile))
    return data.normalisation.apply(pixels, valid), valid


def _turned(array: npt.NDArray[Scalar], turn: int) -> npt.NDArray[Scalar]:
    """A flip (from 4 on) and `turn` modulo 4 quarter turns of the last two axes."""
    flipped = array[..., ::-1] if turn >= 4 else array
    return np.ascontiguousarray(np.rot90(flipped, turn % 4, axes=(-2, -1)))


def _window_over(rng: np.random.Generator, bounds: Bounds, source: Source) -> Window:
    """A random window inside of a region, or around it where the region is smaller; within the raster if it can."""
    left, top, right, bottom = (round(float(edge)) for edge in bounds)
    return Window(
        _offset(rng, left, right, source.side, source.raster.width),
        _offset(rng, top, bottom, source.side, source.raster.height),
        source.side,
        source.side,
    )


def _offset(rng: np.random.Generator, low: int, high: int, side: int, size: int) -> int:
    first, last = sorted((low, high - side))
    offset = int(rng.integers(first, last + 1))
    return min(max(offset, 0), max(size - side, 0))


def _source(raster: RasterInfo, annotation: Annotation, gsd: float, tile: int, regions: Bounds) -> Source:
    factor = gsd / raster.gsd
    side = tile if abs(factor - 1) < _SAME_GSD else max(1, round(tile * factor))
    return Source(raster, side, annotation, regions)


def _unlabelled(
    rasters: Sequence[RasterInfo],
    roads: Sequence[VectorLayer],
    area: Sequence[VectorLayer],
    elsewhere: bool,
    gsd: float,
    tile: int,
) -> list[Source]:
    """Sources of unlabelled windows: whole rasters, of which the annotated area is left out.

    Args:
        rasters: where to look.
        roads: of the annotation.
        area: of the annotation.
        elsewhere: whether these rasters are others than the labelled ones, so that no area means no annotation.
        gsd: ground sampling distance of the windows, in metres.
        tile: side of the windows, in pixels.
    """
    sources = []
    for raster in rasters:
        annotation = annotate(raster, roads, area)
        if elsewhere and not area:
            annotation = annotation.inside(np.zeros(0, dtype=object))
        covered = float(shapely.area(annotation.area.geometries).sum())
        if covered < 0.99 * raster.width * raster.height:
            whole = np.array([[0.0, 0.0, raster.width, raster.height]])
            sources.append(_source(raster, annotation, gsd, tile, whole))
    if not sources:
        raise AnnotationError(
            "There is no unlabelled imagery to learn from; give the annotated area, or unlabelled rasters."
        )
    return sources


def _bounds(annotation: Annotation) -> Bounds:
    """The boxes of the parts of an area."""
    bounds: Bounds = shapely.bounds(annotation.area.geometries)
    return bounds


def _check_annotations(
    annotations: Mapping[RasterInfo, Annotation], roads: Sequence[VectorLayer], area: Sequence[VectorLayer]
) -> None:
    """Checks that there are labelled pixels, and roads among them."""
    if not annotations:
        raise AnnotationError(
            f"The annotated area {_names(area)} lies outside of the labelled rasters; check the layers' positions."
        )
    if not any(
        len(annotation.roads.query(annotation.area.geometries, predicate="intersects")[0])
        for annotation in annotations.values()
    ):
        where = "annotated part of the labelled rasters" if area else "labelled rasters"
        raise AnnotationError(f"No road of {_names(roads)} lies inside the {where}; check the layers' positions.")


def _names(layers: Sequence[VectorLayer]) -> str:
    return ", ".join(layer.path for layer in layers)


def _validation(source: Source) -> list[ValidationWindow]:
    """Windows side by side that cover every region of a source."""
    windows = []
    for bounds in source.regions:
        left, top, right, bottom = (round(float(edge)) for edge in bounds)
        windows += [
            ValidationWindow(source, Window(column, row, source.side, source.side))
            for row in range(top, bottom, source.side)
            for column in range(left, right, source.side)
        ]
    return windows
