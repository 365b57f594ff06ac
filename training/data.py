"""Training data: rasters and polygons become windows, windows become batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import shapely
import torch
from rasterio.windows import Window

from ..core.annotations import Annotation, VectorLayer, annotate, burn, names_of
from ..core.errors import AnnotationError, RasterError
from ..core.images import Images, Mask, Normalisation
from ..core.labels import IGNORE, Labels
from ..core.rasters import RasterInfo, RasterReader
from ..core.trainers import Batch
from .hold_out import held_out_at, hold_out
from .survey import cells_with_data, measure_normalisation

__all__ = [
    "LabelSource",
    "LabelledWindow",
    "Sampler",
    "Source",
    "TrainingData",
    "TrainingInputs",
    "check_alike",
    "coarsened_gsd",
    "prepare",
    "read_labelled",
    "read_window",
    "source_of",
    "windows_of_parts",
    "windows_over",
]

_TRIES = 16
_SAME_GSD = 0.05
_FINEST = 2.0  # times the imagery's resolution: beyond, windows hold nothing but made-up pixels
_WIDEST = 2.0  # times the largest raster's side: beyond, windows hold little but its mirror images
_LEAST_LABELLED = 0.25
_LEAST_UNLABELLED = 0.5
_MOST_CELLS = 64  # along and across a raster, by which it is known where it holds data

Bounds = npt.NDArray[np.float64]
Geometries = npt.NDArray[np.object_]
Scalar = TypeVar("Scalar", bound=np.generic)


class LabelSource(Protocol):
    """What knows the labels of a raster."""

    def labels(self, window: Window, shape: tuple[int, int]) -> Labels:
        """Labels `(H, W)` of a window resampled to `shape`: 1 road, 0 background, 255 unlabelled."""
        ...


@dataclass(frozen=True, eq=False)
class Source:
    """A raster that windows are drawn from.

    Attributes:
        raster: the raster.
        shape: rows and columns of a window, in pixels of the raster; other than the tile's where their sizes differ.
        annotation: what is known of it; of an unlabelled source, where not to look.
        regions: polygons `(N,)` to draw windows from, in pixels.
        held_out: polygons `(M,)`, in pixels, of which nothing is learned, not as unlabelled imagery either.
    """

    raster: RasterInfo
    shape: tuple[int, int]
    annotation: LabelSource
    regions: Geometries
    held_out: Geometries = field(default_factory=lambda: np.zeros(0, dtype=object))

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Area on the ground of each region, in square metres."""
        sizes: npt.NDArray[np.float64] = shapely.area(self.regions) * self.raster.gsd**2
        return sizes


_Place = tuple[Source, Bounds]


@dataclass(frozen=True)
class LabelledWindow:
    """A window to score on; the source's annotation is of what is to be scored there alone."""

    source: Source
    window: Window

    def labels(self, tile: int) -> Labels:
        """Labels `(tile, tile)`: 1 road, 0 background, 255 unlabelled."""
        return self.source.annotation.labels(self.window, (tile, tile))


@dataclass(frozen=True)
class TrainingInputs:
    """What is to be learned from.

    Attributes:
        labelled: rasters that roads were drawn on; at least one.
        roads: all the roads inside of the area.
        area: where all roads were drawn; empty for the whole of the rasters.
        unlabelled: further rasters; empty for what lies outside of the area.
        gsd: ground sampling distance to learn at, in metres; None for the median of the labelled rasters.
    """

    labelled: Sequence[RasterInfo]
    roads: Sequence[VectorLayer]
    area: Sequence[VectorLayer]
    unlabelled: Sequence[RasterInfo]
    gsd: float | None = None


@dataclass(frozen=True)
class TrainingData:
    """All that a run learns from.

    Attributes:
        labelled: rasters with roads, their areas without what is held out.
        unlabelled: rasters without; their areas are to be left out. None where the labels alone are learned from.
        validation: windows of what is held out of the annotated area: a tenth, or one block where blocks are larger.
        normalisation: of every window.
        gsd: ground sampling distance of every window, in metres.
        tile: side of every window, in pixels.
        labelled_area: square metres that are learned from.
        held_out_area: square metres that are held out.
    """

    labelled: tuple[Source, ...]
    unlabelled: tuple[Source, ...]
    validation: tuple[LabelledWindow, ...]
    normalisation: Normalisation
    gsd: float
    tile: int
    labelled_area: float
    held_out_area: float


def prepare(
    inputs: TrainingInputs, tile: int, seed: int, reader: RasterReader, unlabelled: bool = True
) -> TrainingData:
    """Finds where labels and imagery are, and holds a part of the annotated area out.

    Args:
        inputs: what is to be learned from.
        tile: side of a window in pixels.
        seed: of the hold-out.
        reader: reads the rasters.
        unlabelled: whether imagery without labels is learned from, too.

    Raises:
        RasterError: if the rasters do not go together, or are much coarser or smaller than the windows are to be.
        AnnotationError: if the annotation and the rasters' data do not meet, or nothing is unlabelled.
    """
    rasters = [*inputs.labelled, *(inputs.unlabelled if unlabelled else ())]
    check_alike(rasters)
    usual = _usual_gsd(inputs.labelled)
    if inputs.gsd is not None:
        _check_gsd(inputs.gsd, usual, tile, inputs.labelled)
    gsd = inputs.gsd or usual
    annotations = {
        raster: _with_data(annotate(raster, inputs.roads, inputs.area), raster, gsd, tile, reader)
        for raster in inputs.labelled
    }
    annotations = {r: a for r, a in annotations.items() if len(a.area.geometries)}
    _check_annotations(annotations, inputs)
    training, held_out = hold_out(annotations, round(2 * tile * gsd / usual), np.random.default_rng(seed))
    return TrainingData(
        labelled=tuple(
            replace(source_of(r, a, gsd, tile, a.area.geometries), held_out=held_out_at(r, held_out))
            for r, a in training.items()
        ),
        unlabelled=tuple(_unlabelled(inputs, held_out, gsd, tile, reader)) if unlabelled else (),
        validation=tuple(window for r, a in held_out.items() for window in windows_of_parts(r, a, gsd, tile)),
        normalisation=measure_normalisation(rasters, reader),
        gsd=gsd,
        tile=tile,
        labelled_area=_square_metres(training),
        held_out_area=_square_metres(held_out),
    )


def coarsened_gsd(labelled: Sequence[RasterInfo], finest: float, tile: int) -> float | None:
    """The ground sampling distance `finest`, in metres, where the labelled rasters' is finer; else None, for theirs.

    It is as much finer as it takes for a window of `tile` pixels to lie inside of the longest raster.
    """
    fitting = min(finest, _longest_side(labelled) / tile)
    return fitting if fitting > _usual_gsd(labelled) * (1 + _SAME_GSD) else None


def _usual_gsd(labelled: Sequence[RasterInfo]) -> float:
    return float(np.median([raster.gsd for raster in labelled]))


def _longest_side(rasters: Sequence[RasterInfo]) -> float:
    """In metres."""
    return max(max(raster.width * raster.pixel[0], raster.height * raster.pixel[1]) for raster in rasters)


def _check_gsd(gsd: float, usual: float, tile: int, labelled: Sequence[RasterInfo]) -> None:
    if gsd < usual / _FINEST:
        raise RasterError(
            f"The pixel size to learn at, {gsd:g} m, is much finer than the labelled imagery's {usual:.2g} m; "
            "choose one of about that, or a coarser one."
        )
    side = _longest_side(labelled)
    if tile * gsd > _WIDEST * side:
        raise RasterError(
            f"The pixel size to learn at, {gsd:g} m, makes windows of {tile} pixels {tile * gsd:.0f} m wide, but the "
            f"labelled imagery is only {side:.0f} m long; choose a finer one."
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
        valid &= burn(source.held_out, window, valid.shape) == 0
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
        self._weights = np.concatenate([np.zeros(0), *(source.weights for source in sources)])

    def draw(self, rng: np.random.Generator) -> _Place:
        """One of them: its source and left, top, right and bottom in pixels."""
        return self._places[rng.choice(len(self._places), p=self._weights / self._weights.sum())]


def read_window(source: Source, window: Window, data: TrainingData, reader: RasterReader) -> tuple[Images, Mask]:
    """Normalised images `(C, tile, tile)` and validity `(tile, tile)` of a window."""
    pixels, valid = reader.read(source.raster, window, (data.tile, data.tile))
    return data.normalisation.apply(pixels, valid), valid


def read_labelled(window: LabelledWindow, data: TrainingData, reader: RasterReader) -> tuple[Images, Labels]:
    """Normalised images `(C, tile, tile)` of a window to score on, and labels `(tile, tile)`, 255 where no data is."""
    images, valid = read_window(window.source, window.window, data, reader)
    labels = window.labels(data.tile)
    labels[~valid] = IGNORE
    return images, labels


def source_of(
    raster: RasterInfo, annotation: LabelSource, gsd: float, tile: int, regions: Geometries | None = None
) -> Source:
    """A source of windows of `tile` pixels of `gsd` metres, drawn from regions, or from the whole raster."""
    width, height = (_pixels_along(tile, gsd / size) for size in raster.pixel)
    whole = np.array([shapely.box(0, 0, raster.width, raster.height)])
    return Source(raster, (height, width), annotation, whole if regions is None else regions)


def _pixels_along(tile: int, factor: float) -> int:
    return tile if abs(factor - 1) < _SAME_GSD else max(1, round(tile * factor))


def windows_over(source: Source) -> list[LabelledWindow]:
    """Windows side by side that cover every region of a source, to score on."""
    windows = []
    height, width = source.shape
    for bounds in shapely.bounds(source.regions):
        left, top, right, bottom = (round(float(edge)) for edge in bounds)
        windows += [
            LabelledWindow(source, Window(column, row, width, height))
            for row in range(top, bottom, height)
            for column in range(left, right, width)
        ]
    return windows


def windows_of_parts(raster: RasterInfo, annotation: Annotation, gsd: float, tile: int) -> list[LabelledWindow]:
    """Windows over the parts of an annotated area, each with the labels of its own part: no pixel is scored twice."""
    parts = [np.array([part]) for part in annotation.area.geometries]
    sources = [source_of(raster, annotation.inside(part), gsd, tile, part) for part in parts]
    return [window for source in sources for window in windows_over(source)]


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
    offset = int(rng.integers(first, last + 1))
    return min(max(offset, 0), max(size - side, 0))


def _unlabelled(
    inputs: TrainingInputs, held_out: Mapping[RasterInfo, Annotation], gsd: float, tile: int, reader: RasterReader
) -> list[Source]:
    """Sources of unlabelled windows: rasters where they hold data, of which the annotated area is left out."""
    sources = []
    for raster in inputs.unlabelled or inputs.labelled:
        annotation = annotate(raster, inputs.roads, inputs.area)
        if inputs.unlabelled and not inputs.area:
            # The labelled rasters are annotated as a whole, these are not; but they may show what is held out.
            annotation = annotation.inside(held_out_at(raster, held_out))
        covered = float(shapely.area(annotation.area.geometries).sum())
        if covered < 0.99 * raster.width * raster.height:
            source = source_of(raster, annotation, gsd, tile)
            sources.append(replace(source, regions=_regions_with_data(source, reader)))
    if not any(len(source.regions) for source in sources):
        way_out = (
            "the unlabelled rasters hold nothing but nodata, or lie inside of the annotated area: choose others."
            if inputs.unlabelled
            else "give the annotated area, or unlabelled rasters."
        )
        raise AnnotationError(f"There is no unlabelled imagery to learn from; {way_out}")
    return sources


def _with_data(annotation: Annotation, raster: RasterInfo, gsd: float, tile: int, reader: RasterReader) -> Annotation:
    """An annotation without the ground that its raster holds no data of: nothing is to be learned or scored there."""
    regions = _regions_with_data(source_of(raster, annotation, gsd, tile), reader)
    parts = shapely.intersection(annotation.area.geometries, shapely.union_all(regions))
    parts = shapely.get_parts(parts)
    return annotation.inside(parts[shapely.area(parts) > 0])


def _regions_with_data(source: Source, reader: RasterReader) -> Geometries:
    """Boxes of what a raster holds data in: itself, or cells of it where some of its pixels may hold none."""
    raster = source.raster
    if not raster.may_lack_data:
        return source.regions
    sides = [2 * size // side for size, side in zip((raster.height, raster.width), source.shape, strict=True)]
    rows, columns = (min(max(1, cells), _MOST_CELLS) for cells in sides)
    height, width = raster.height / rows, raster.width / columns
    row, column = cells_with_data(raster, (height, width), reader).T
    if len(row) == rows * columns:
        return source.regions
    cells: Geometries = shapely.box(column * width, row * height, (column + 1) * width, (row + 1) * height)
    return cells


def _square_metres(annotations: Mapping[RasterInfo, Annotation]) -> float:
    return sum(float(shapely.area(a.area.geometries).sum()) * raster.gsd**2 for raster, a in annotations.items())


def _check_annotations(annotations: Mapping[RasterInfo, Annotation], inputs: TrainingInputs) -> None:
    """Checks that there are labelled pixels, and roads among them."""
    if not annotations:
        where = f" in the annotated area {names_of(inputs.area)}" if inputs.area else ""
        raise AnnotationError(
            f"The labelled rasters hold no data{where}; check the layers' positions and the rasters' nodata."
        )
    if not any(annotation.has_roads_inside for annotation in annotations.values()):
        place = "annotated part of the labelled rasters" if inputs.area else "labelled rasters"
        raise AnnotationError(
            f"No road of {names_of(inputs.roads)} lies inside the {place}; check the layers' positions."
        )
