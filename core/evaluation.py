"""Scores of a road-surface raster against drawn roads: exact, within a buffer, and by polygon of an area."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt
from shapely import STRtree

from .ahead import map_ahead
from .errors import AnnotationError, RasterError, SettingError
from .geodata.annotations import Annotation, VectorLayer, annotate, burn, pixels_around
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
    whole, by_polygon = _NOTHING, [_NOTHING] * len(polygons)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE))
        writer = map_file and stack.enter_context(StripWriter(map_file, surface, surface.window, "uint8", IGNORE))
        for strip in _strips(surface, annotation, buffer, stack.enter_context(RasterReader()), reporter):
            whole += strip.compare()
            for index in polygons.query(strip.box):
                by_polygon[index] += strip.compare_inside(polygons.geometries[index])
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

    def compare_inside(self, polygon: shapely.Geometry) -> Comparison:
        """What is counted inside a polygon in pixel coordinates."""
        height, width = self.labels.shape
        place = pixels_around(polygon, Window(0, self.top, width, height))
        if place is None:
            return _NOTHING
        here = Window(place.col_off, place.row_off - self.top, place.width, place.height).toslices()
        inside = burn(np.array([polygon]), place, (place.height, place.width))
        labels = np.where(inside == 1, self.labels[here], np.uint8(IGNORE))
        return _Strip(self.top, self.found[here], labels, self.near_found[here], self.near_road[here]).compare()

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
    everywhere = annotation.inside(np.array([shapely.box(0, 0, surface.width, surface.height)]))
    halo = math.ceil(buffer * _STRETCH / height)
    rows = max(1, min(_MOST_ROWS, _PIXELS_AT_ONCE // surface.width))

    def strip(top: int) -> _Strip:
        bottom = min(top + rows, surface.height)
        first, last = max(0, top - halo), min(surface.height, bottom + halo)
        window = Window(0, first, surface.width, last - first)
        found, valid = _found(surface, window, reader)
        road = everywhere.labels(window, found.shape) == ROAD
        own = slice(top - first, bottom - first)
        labels = np.where(valid, annotation.labels(window, found.shape), np.uint8(IGNORE))[own]
        near_found, near_road = (_near(mask, buffer, (height, width))[own] for mask in (found, road))
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


def _near(mask: Mask, buffer: float, pixel: tuple[float, float]) -> Mask:
    """Where a pixel of the mask is within the buffer, for pixels of so many metres in height and width."""
    if not mask.any():
        return mask
    near: Mask = distance_transform_edt(~mask, sampling=pixel) <= buffer * _STRETCH
    return near
