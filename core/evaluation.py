"""Scores of a road-surface raster against drawn roads: exact, within a buffer, and by polygon of an area."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.windows import Window
from shapely import STRtree

from .ahead import map_ahead
from .errors import AnnotationError, RasterError, SettingError
from .geodata.annotations import Annotation, Geometries, VectorLayer, annotate, burn_numbers, pixels_around
from .geodata.outputs import StripWriter
from .geodata.rasters import BLOCK_CACHE, RasterInfo, RasterReader, has_mask
from .geodata.surface import check_surface, check_surface_values
from .images import Mask
from .labels import IGNORE, ROAD, Labels
from .metrics import Confusion, Matches, confusion, matches
from .reporting import Reporter

__all__ = ["FALSE_ALARM", "HIT", "MISS", "REJECTION", "Comparison", "Evaluation", "Part", "evaluate_surface"]

REJECTION, HIT, MISS, FALSE_ALARM = 0, 1, 2, 3
"""Values of the map of an evaluation; `IGNORE` where nothing was compared."""

_THREADS = min(os.cpu_count() or 1, 4)  # each takes memory for its rows
_MOST_ROWS = 512
_PIXELS_AT_ONCE = 2**21
# Projections stretch by about a thousandth: a buffer of whole pixels must not lose its rim to that.
_STRETCH = 1.001


@dataclass(frozen=True)
class Comparison:
    """What was counted in a part of a raster; counts of several parts add up.

    Attributes:
        confusion: pixel by pixel.
        matches: within the buffer.
    """

    confusion: Confusion
    matches: Matches

    def __add__(self, other: Comparison) -> Comparison:
        return Comparison(self.confusion + other.confusion, self.matches + other.matches)


_NOTHING = Comparison(Confusion(), Matches())


@dataclass(frozen=True)
class Part:
    """A polygon of the area.

    Attributes:
        place: a point in it, in the raster's CRS.
        comparison: what was counted in it.
    """

    place: tuple[float, float]
    comparison: Comparison


@dataclass(frozen=True)
class Evaluation:
    """A surface raster compared with drawn roads.

    Attributes:
        whole: what was counted in all the area, each pixel once.
        parts: the polygons of the area that lie on the raster, in their order; none without an area.
    """

    whole: Comparison
    parts: tuple[Part, ...]


def evaluate_surface(
    surface: RasterInfo,
    roads: Sequence[VectorLayer],
    area: Sequence[VectorLayer],
    buffer: float,
    map_file: Path | None,
    reporter: Reporter,
) -> Evaluation:
    """Compares a surface raster (1 road, 0 background) with road polygons, inside an area if one is given.

    Within the buffer of a pixel that is compared, roads count wherever they are on the raster, be it outside of the
    area. Memory grows with the raster's width times the buffer, not with its height.

    Args:
        surface: the raster.
        roads: the drawn roads.
        area: where to compare; empty for the whole raster.
        buffer: in metres on the ground, as at the raster's centre.
        map_file: raster of hits, misses and false alarms to write, if any.
        reporter: hears of the progress.

    Raises:
        SettingError: if the buffer is negative or endless.
        RasterError: if the raster holds anything but 0, 1 and nodata in one band.
        AnnotationError: if the area holds no pixel of the raster that was decided.
        CancelledError: where the user asked to stop.
    """
    _check(surface, buffer)
    surface = _with_background(surface, reporter)
    annotation = annotate(surface, roads, area)
    polygons = STRtree(_polygons(surface, area))
    groups = _groups(polygons)
    whole, by_polygon = _NOTHING, [_NOTHING] * len(polygons)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE))
        writer = map_file and stack.enter_context(StripWriter(map_file, surface, surface.window, "uint8", IGNORE))
        for strip in _strips(surface, annotation, buffer, stack.enter_context(RasterReader()), reporter):
            whole += strip.compare()
            near = polygons.query(strip.box)
            for group in np.unique(groups[near]):
                some = near[groups[near] == group]
                for index, found in zip(some, strip.compare_inside(polygons.geometries[some]), strict=True):
                    by_polygon[index] += found
            if writer:
                writer.append(strip.map())
    if whole.confusion.pixels == 0:
        raise AnnotationError(f"The area to compare in holds no pixel of {surface.name}; check the layers' positions.")
    places = (_place(polygon, surface) for polygon in polygons.geometries)
    return Evaluation(whole, tuple(map(Part, places, by_polygon)))


@dataclass(frozen=True)
class _Strip:
    """Some rows of the raster `(h, W)` from `top` on: roads found, labels, and what is near either."""

    top: int
    found: Mask
    labels: Labels
    near_found: Mask
    near_road: Mask

    @property
    def box(self) -> shapely.Geometry:
        """Its place in pixel coordinates."""
        height, width = self.labels.shape
        return shapely.box(0, self.top, width, self.top + height)

    def compare(self) -> Comparison:
        return Comparison(
            confusion(self.found, self.labels), matches(self.found, self.near_found, self.near_road, self.labels)
        )

    def compare_inside(self, polygons: Geometries) -> Iterator[Comparison]:
        """What is counted inside each of some polygons in pixel coordinates that do not meet."""
        height, width = self.labels.shape
        window = Window(0, self.top, width, height)
        numbers = burn_numbers(polygons, window)
        for number, polygon in enumerate(polygons, start=1):
            place = pixels_around(polygon, window)
            if place is None:
                yield _NOTHING
                continue
            here = Window(place.col_off, place.row_off - self.top, place.width, place.height).toslices()
            labels = np.where(numbers[here] == number, self.labels[here], np.uint8(IGNORE))
            yield _Strip(self.top, self.found[here], labels, self.near_found[here], self.near_road[here]).compare()

    def map(self) -> Labels:
        """Which pixels are hits, misses and false alarms."""
        kinds = np.array([[REJECTION, MISS], [FALSE_ALARM, HIT]], dtype=np.uint8)
        compared = kinds[self.found.astype(np.intp), (self.labels == ROAD).astype(np.intp)]
        return np.where(self.labels == IGNORE, np.uint8(IGNORE), compared)


def _check(surface: RasterInfo, buffer: float) -> None:
    if not 0 <= buffer < math.inf:
        raise SettingError(f"The buffer must be 0 metres or more, got {buffer}.")
    if len(surface.bands) > 1:
        raise RasterError(
            f"The raster {surface.name} has {len(surface.bands)} bands; choose a road surface, with a single band: "
            "1 road and 0 background."
        )
    check_surface(surface)


def _with_background(surface: RasterInfo, reporter: Reporter) -> RasterInfo:
    """The surface, whose 0 counts even if the file declares it as nodata, as masks of roads alone often do."""
    with rasterio.open(surface.path) as dataset:
        declared = dataset.nodatavals[surface.bands[0] - 1]
    if declared != 0 or has_mask(surface):
        return surface
    reporter.warning(f"The raster {surface.name} declares 0 as nodata; it was taken for background.")
    return replace(surface, masked=False)


def _polygons(surface: RasterInfo, area: Sequence[VectorLayer]) -> list[shapely.Geometry]:
    """The polygons of an area that lie on a raster, in its pixel coordinates."""
    extent = shapely.box(0, 0, surface.width, surface.height)
    cut = (shapely.intersection(polygon, extent) for layer in area for polygon in layer.in_pixels(surface))
    return [polygon for polygon in cut if polygon.area > 0]


def _groups(polygons: STRtree) -> npt.NDArray[np.intp]:
    """A number for each polygon of an index, other than those of the polygons that it meets; 0 for most."""
    groups = np.zeros(len(polygons), dtype=np.intp)
    pairs = polygons.query(polygons.geometries, predicate="intersects")
    for index, met in groupby(pairs[:, pairs[1] < pairs[0]].T.tolist(), key=itemgetter(0)):
        taken = {groups[other] for _, other in met}
        groups[index] = next(group for group in count() if group not in taken)
    return groups


def _place(polygon: shapely.Geometry, surface: RasterInfo) -> tuple[float, float]:
    """A point in a polygon in pixel coordinates, in the raster's CRS."""
    point = shapely.point_on_surface(polygon)
    x, y = surface.transform @ (point.x, point.y)
    return float(x), float(y)


def _strips(
    surface: RasterInfo, annotation: Annotation, buffer: float, reader: RasterReader, reporter: Reporter
) -> Iterator[_Strip]:
    """The raster from top to bottom; each strip is read with the rows around it that the buffer reaches."""
    width, height = surface.pixel
    halo = math.ceil(buffer * _STRETCH / height)
    rows = max(1, min(_MOST_ROWS, _PIXELS_AT_ONCE // surface.width))

    def strip(top: int) -> _Strip:
        bottom = min(top + rows, surface.height)
        first, last = max(0, top - halo), min(surface.height, bottom + halo)
        window = Window(0, first, surface.width, last - first)
        found, valid = _found(surface, window, reader)
        road = annotation.road(window, found.shape)
        own = slice(top - first, bottom - first)
        compared = valid[own] & annotation.annotated(Window(0, top, surface.width, bottom - top), valid[own].shape)
        labels = np.where(compared, road[own], np.uint8(IGNORE))
        near_found, near_road = (_near(mask, own, buffer, (height, width)) for mask in (found, road))
        return _Strip(top, found[own], labels, near_found, near_road)

    tops = range(0, surface.height, rows)
    with closing(map_ahead(strip, tops, _THREADS, ahead=_THREADS - 1)) as strips:
        for done in strips:
            yield done
            bottom = done.top + len(done.found)
            reporter.progress(bottom / surface.height, f"row {bottom} of {surface.height}")


def _found(surface: RasterInfo, window: Window, reader: RasterReader) -> tuple[Mask, Mask]:
    """Where a window of the surface says road, and where it says anything."""
    (values,), valid = reader.read(surface, window, (window.height, window.width))
    valid &= values != IGNORE
    road: Mask = (values == ROAD) & valid
    check_surface_values(values[valid & ~road & (values != 0)], surface)
    return road, valid


def _near(mask: Mask, rows: slice, buffer: float, pixel: tuple[float, float]) -> Mask:
    """Where a pixel of the mask is within the buffer, in some of its rows, for pixels of so many metres down, across.

    By the distances along the rows around, which takes a fraction of the time of distances in the plane.
    """
    reach, (height, width) = buffer * _STRETCH, pixel
    rows_off = min(int(reach / height), len(mask))
    columns_off = min(int(reach / width), mask.shape[1])
    aside = _columns_to_nearest(mask, columns_off)
    aside = np.pad(aside, ((rows_off, rows_off), (0, 0)), constant_values=columns_off + 1)
    near = np.zeros_like(mask[rows])
    for down in range(-rows_off, rows_off + 1):
        first = rows.start + rows_off + down
        columns = math.sqrt(max(reach**2 - (down * height) ** 2, 0)) / width
        near |= aside[first : first + len(near)] <= min(int(columns), columns_off)
    return near


def _columns_to_nearest(mask: Mask, most: int) -> npt.NDArray[np.unsignedinteger]:
    """How far each pixel is from the nearest one of the mask in its row; `most + 1` if farther than `most`."""
    far, columns = most + 1, np.arange(mask.shape[1], dtype=np.int32)
    before = np.maximum.accumulate(np.where(mask, columns, np.int32(-far)), axis=1)
    after = np.minimum.accumulate(np.where(mask, columns, np.int32(len(columns) + far))[:, ::-1], axis=1)[:, ::-1]
    nearest = np.minimum(columns - before, after - columns)
    # Of a byte each for most buffers, which are compared in a fraction of the time.
    return np.minimum(nearest, far).astype(np.min_scalar_type(far))
