"""Training data: rasters and polygons, checked and measured, become sources of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from rasterio.windows import Window

from ..core.errors import AnnotationError, RasterError
from ..core.geodata.annotations import Annotation, VectorLayer, annotate, names_of
from ..core.geodata.rasters import SAME_GSD, RasterInfo, RasterReader
from ..core.images import Images, Mask, Normalisation
from ..core.labels import IGNORE, Labels
from .hold_out import held_out_at, hold_out
from .sources import Geometries, LabelledWindow, Source, source_of, windows_of_parts
from .survey import cells_with_data, measure_normalisation

__all__ = [
    "Split",
    "TrainingData",
    "TrainingInputs",
    "check_alike",
    "coarsened_gsd",
    "prepare",
    "read_labelled",
    "read_window",
    "split_annotated",
    "training_data",
    "unlabelled_sources",
]

_FINEST = 2.0  # times the imagery's resolution: beyond, windows hold nothing but made-up pixels
_WIDEST = 2.0  # times the largest raster's side: beyond, windows hold little but its mirror images
_MOST_CELLS = 64  # along and across a raster, by which it is known where it holds data


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
        validation: windows of what is held out of the annotated area: a tenth, one block at least and few at most.
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

    @property
    def rasters(self) -> list[RasterInfo]:
        """All that is looked at, those with labels first."""
        held_out = dict.fromkeys(window.source for window in self.validation)
        return list(dict.fromkeys(source.raster for source in (*self.labelled, *held_out, *self.unlabelled)))


@dataclass(frozen=True)
class Split:
    """The annotated ground of the labelled rasters, where they hold data.

    Attributes:
        learned: what is learned from, by raster.
        held_out: what is held out, by raster.
        gsd: ground sampling distance to learn at, in metres.
    """

    learned: Mapping[RasterInfo, Annotation]
    held_out: Mapping[RasterInfo, Annotation]
    gsd: float


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
    split = split_annotated(inputs, tile, seed, reader)
    without_labels = unlabelled_sources(inputs, split, tile, reader) if unlabelled else []
    return training_data(split, without_labels, tile, measure_normalisation(rasters, reader))


def split_annotated(inputs: TrainingInputs, tile: int, seed: int, reader: RasterReader) -> Split:
    """Holds a part of the annotated area out, in blocks that suit windows of `tile` pixels.

    Raises:
        RasterError: if the rasters are much coarser or smaller than the windows are to be.
        AnnotationError: if the annotation and the rasters' data do not meet, or are too small to be split.
    """
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
    learned, held_out = hold_out(annotations, 2 * tile * gsd, np.random.default_rng(seed))
    return Split(learned, held_out, gsd)


def unlabelled_sources(inputs: TrainingInputs, split: Split, tile: int, reader: RasterReader) -> list[Source]:
    """Sources of unlabelled windows of `tile` pixels: rasters where they hold data, without the annotated area.

    Raises:
        AnnotationError: if there are none.
    """
    sources = []
    for raster in inputs.unlabelled or inputs.labelled:
        annotation = annotate(raster, inputs.roads, inputs.area)
        if inputs.unlabelled and not inputs.area:
            # The labelled rasters are annotated as a whole, these are not; but they may show what is held out.
            annotation = annotation.inside(held_out_at(raster, split.held_out.items()))
        covered = float(shapely.area(annotation.area.geometries).sum())
        if covered < 0.99 * raster.width * raster.height:
            source = source_of(raster, annotation, split.gsd, tile)
            sources.append(replace(source, regions=_regions_with_data(source, reader)))
    if not any(len(source.regions) for source in sources):
        raise AnnotationError(f"There is no unlabelled imagery to learn from; {_way_to_unlabelled(inputs)}")
    return sources


def training_data(split: Split, unlabelled: Sequence[Source], tile: int, normalisation: Normalisation) -> TrainingData:
    """All that a run learns from, in windows of `tile` pixels."""
    gsd, held_out = split.gsd, split.held_out
    return TrainingData(
        labelled=tuple(
            replace(source_of(r, a, gsd, tile, a.area.geometries), held_out=held_out_at(r, held_out.items()))
            for r, a in split.learned.items()
        ),
        unlabelled=tuple(unlabelled),
        validation=tuple(window for r, a in held_out.items() for window in windows_of_parts(r, a, gsd, tile)),
        normalisation=normalisation,
        gsd=gsd,
        tile=tile,
        labelled_area=_square_metres(split.learned),
        held_out_area=_square_metres(held_out),
    )


def coarsened_gsd(labelled: Sequence[RasterInfo], finest: float, tile: int) -> float | None:
    """The ground sampling distance `finest`, in metres, where the labelled rasters' is finer; else None, for theirs.

    It is as much finer as it takes for a window of `tile` pixels to lie inside of the longest raster.
    """
    fitting = min(finest, _longest_side(labelled) / tile)
    return fitting if fitting > _usual_gsd(labelled) * (1 + SAME_GSD) else None


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


def _with_data(annotation: Annotation, raster: RasterInfo, gsd: float, tile: int, reader: RasterReader) -> Annotation:
    """An annotation without the ground that its raster holds no data of: nothing is to be learned or scored there."""
    regions = _regions_with_data(source_of(raster, annotation, gsd, tile), reader)
    parts = shapely.intersection(annotation.area.geometries, shapely.union_all(regions))
    parts = shapely.get_parts(parts)
    return annotation.inside(parts[shapely.area(parts) > 0])


def _way_to_unlabelled(inputs: TrainingInputs) -> str:
    """What to do where nothing is unlabelled."""
    if inputs.unlabelled:
        return "the unlabelled rasters hold nothing but nodata, or lie inside of the annotated area: choose others."
    if inputs.area:
        return (
            f"the annotated area {names_of(inputs.area)} covers all that the labelled rasters show: "
            "give unlabelled rasters, or choose the method supervised."
        )
    return "give the annotated area, or unlabelled rasters."


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
