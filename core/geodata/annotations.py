"""Drawn roads and annotated areas, from vector files to labels of a window."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.windows import Window
from shapely import STRtree
from shapely.affinity import affine_transform

from ..errors import AnnotationError, without_passwords
from ..images import Mask
from ..labels import IGNORE, Labels
from .ground import WGS84, Bounds, metres_per_unit, on_nearest_turn, project, project_bounds, turn_of
from .plain_ways import plain_way
from .rasters import RasterInfo

__all__ = [
    "Annotation",
    "Geometries",
    "VectorLayer",
    "annotate",
    "are_near",
    "burn",
    "burn_numbers",
    "names_of",
    "on_ground",
    "pixels_around",
    "read_polygons",
]

# A window at the raster's corner has the identity as its transform, which is right in pixel coordinates.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
# Measures along lines, which pyogrio leaves out, are nothing to learn from.
warnings.filterwarnings("ignore", r"Measured \(M\) geometry types", UserWarning)

_MARGIN = 2  # pixels; nearer to a window, cutting polygons would show in it
_ROWS_AT_ONCE = 64
_TURNS = np.array([-1, 0, 1])  # round the Earth

Geometries = npt.NDArray[np.object_]


@dataclass(frozen=True)
class VectorLayer:
    """Polygons of one vector file, valid and not empty, in their own CRS; those at some rasters, or all."""

    path: str
    polygons: Geometries
    crs: CRS

    @property
    def name(self) -> str:
        """The file's name, for messages; what comes from QGIS lies in a folder that says nothing."""
        return Path(without_passwords(self.path)).name

    def in_pixels(self, raster: RasterInfo) -> Geometries:
        """The polygons at a raster, in its pixel coordinates (column, row); across the antimeridian they go on.

        Raises:
            AnnotationError: if no way leads from their CRS to the raster's.
        """
        centre, _ = raster.transform @ (raster.width / 2, raster.height / 2)

        def in_crs(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            xs, ys = project(self.crs, raster.crs, *points.T)
            return np.column_stack([on_nearest_turn(xs, centre, raster.crs), ys])

        def to_pixels(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.column_stack(~raster.transform @ points.T)

        try:
            boxes = _surroundings(raster, self.crs)
            near = self.polygons[np.unique(self._index.query(boxes, predicate="intersects")[1])]
            if self.crs == raster.crs:
                near = _on_nearest_turn(near, centre, self.crs)
            else:
                # The raster's CRS may not reach to the rest of them.
                near = shapely.transform(shapely.intersection(near, shapely.union_all(boxes)), in_crs)
            polygons: Geometries = shapely.make_valid(shapely.transform(near, to_pixels))
        except CRSError as error:
            raise AnnotationError(
                f"The vector layer {self.name} cannot be brought to the coordinate reference system of {raster.name}; "
                "check the layers' positions."
            ) from error
        return polygons

    @cached_property
    def _index(self) -> STRtree:
        """Finds the few polygons at one of thousands of rasters."""
        return STRtree(self.polygons)


@dataclass(frozen=True)
class Annotation:
    """Roads and the annotated area of one raster, in its pixel coordinates.

    Attributes:
        roads: index of the road polygons.
        area: index of the parts of the annotated area; outside of them a pixel is unlabelled.
    """

    roads: STRtree
    area: STRtree

    def labels(self, window: Window, shape: tuple[int, int]) -> Labels:
        """Labels `(H, W)` of a window resampled to `shape`: 1 road, 0 background, 255 outside the area."""
        return np.where(self.annotated(window, shape), self.road(window, shape), np.uint8(IGNORE))

    def annotated(self, window: Window, shape: tuple[int, int]) -> Mask:
        """Which pixels `(H, W)` of a window resampled to `shape` lie in the annotated area."""
        return burn(_met(self.area, window), window, shape) > 0

    def road(self, window: Window, shape: tuple[int, int]) -> Mask:
        """Which pixels `(H, W)` of a window resampled to `shape` lie in the polygon of a road, annotated or not."""
        return burn(_met(self.roads, window), window, shape) > 0

    def has_roads(self, window: Window) -> bool:
        """Whether the polygon of a road meets a window."""
        return _met(self.roads, window).size > 0

    def has_road_pixels(self, window: Window) -> bool:
        """Whether the centre of a pixel of a window lies in the polygon of a road."""
        return any(_holds_a_centre(polygon, window) for polygon in _met(self.roads, window))

    @property
    def has_roads_inside(self) -> bool:
        """Whether the polygon of a road meets the annotated area."""
        return bool(self.roads.query(self.area.geometries, predicate="intersects").size)

    def inside(self, area: Geometries) -> Annotation:
        """The same roads with another annotated area."""
        return Annotation(self.roads, STRtree(area))


def read_polygons(path: str, line_width: float | None, rasters: Sequence[RasterInfo] = ()) -> VectorLayer:
    """Reads polygons, or lines widened to polygons.

    Args:
        path: a vector file that OGR reads; `file.gpkg|layername=roads` names one of its layers.
        line_width: full width in metres that lines get; None where lines make no sense.
        rasters: that it is read for: what is far from them is left out, unless nothing else is there; none to read all.

    Raises:
        AnnotationError: if the file cannot be read, has no CRS, holds no polygon (or line), lines to be widened
            that lie at no place on the Earth, or several layers of which none is named.
        SettingError: if it has a name that pyogrio cannot be given.
    """
    # It brings a GDAL of its own, which need not lie in memory beside a network.
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    file, _, named = path.partition("|layername=")
    try:
        # Where there is no such file, it may be one in an archive, or on a server.
        with plain_way(Path(file)) if Path(file).exists() else nullcontext(file) as way:
            layer = named or _only_layer(pyogrio.list_layers(str(way)), path)
            about = pyogrio.read_info(str(way), layer=layer)
            crs = _crs(path, about["crs"])
            bounds = _bounds_at(rasters, crs, line_width or 0, about["total_bounds"])
            _, _, encoded, _ = pyogrio.raw.read(str(way), layer=layer, columns=[], force_2d=True, bbox=bounds)
    except (DataSourceError, DataLayerError) as error:
        raise AnnotationError(f"The vector layer {path} cannot be read: it is missing, damaged or none.") from error
    # Part by part: mended together, what two parts of a road share would become a hole.
    parts = _single(shapely.from_wkb(encoded))
    polygons = _mended(parts, 2)
    if line_width is not None:
        try:
            polygons = np.concatenate([polygons, _widen(_mended(parts, 1), crs, line_width)])
        except CRSError as error:
            raise AnnotationError(
                f"The vector layer {path} holds lines at no place on the Earth in its coordinate reference system; "
                "assign the right one (in QGIS: right-click the layer > Layer CRS > Set Layer CRS), or delete them."
            ) from error
    if polygons.size == 0:
        if bounds:
            # That nothing is near is for those to tell who know whether it matters.
            return read_polygons(path, line_width)
        wanted = "polygons" if line_width is None else "polygons or lines"
        raise AnnotationError(f"The vector layer {path} holds no {wanted}.")
    return VectorLayer(path, polygons, crs)


def names_of(layers: Sequence[VectorLayer]) -> str:
    """The files' names, for messages."""
    return ", ".join(layer.name for layer in layers)


def annotate(raster: RasterInfo, roads: Sequence[VectorLayer], area: Sequence[VectorLayer]) -> Annotation:
    """Brings roads and annotated area to a raster; without an area, the whole raster is annotated."""
    extent = shapely.box(0, 0, raster.width, raster.height)
    parts = np.array([extent])
    if area:
        # Of thousands of polygons few meet; to join all of them at once takes many times as long.
        drawn = shapely.disjoint_subset_union_all(np.concatenate([layer.in_pixels(raster) for layer in area]))
        inside = shapely.get_parts(shapely.intersection(shapely.get_parts(drawn), extent))
        parts = inside[shapely.area(inside) > 0]
    polygons = np.concatenate([layer.in_pixels(raster) for layer in roads])
    return Annotation(STRtree(polygons[shapely.intersects(polygons, extent)]), STRtree(parts))


def on_ground(polygons: Geometries, raster: RasterInfo) -> VectorLayer:
    """Polygons in the pixel coordinates of a raster as a layer in its CRS."""
    to_crs = raster.transform.to_shapely()
    return VectorLayer(raster.path, np.array([affine_transform(each, to_crs) for each in polygons]), raster.crs)


def are_near(one: RasterInfo, others: Sequence[RasterInfo]) -> npt.NDArray[np.bool_]:
    """Of which rasters the bounds meet one's; of what is far away, coordinates may be none in the other's CRS."""
    left, bottom, right, top = one.degrees
    west, south, east, north = np.array([other.degrees for other in others]).reshape(-1, 4).T
    moves = turn_of(WGS84) * _TURNS[:, None]
    meet = (bottom <= north) & (south <= top) & (left <= east + moves) & (west + moves <= right)
    near: npt.NDArray[np.bool_] = np.logical_or.reduce(meet, axis=0)
    return near


def burn(polygons: Geometries, window: Window, shape: tuple[int, int]) -> Labels:
    """1 where a pixel's centre lies in one of some polygons in pixel coordinates, else 0: `(H, W)` of a window."""
    burnt: Labels = _burn(polygons, np.ones(len(polygons), dtype=np.uint8), window, shape)
    return burnt


def burn_numbers(polygons: Geometries, window: Window) -> npt.NDArray[np.uint32]:
    """Which of some polygons in pixel coordinates, counted from 1, each pixel's centre lies in, or 0: `(H, W)`."""
    numbers = np.arange(1, len(polygons) + 1, dtype=np.uint32)
    burnt: npt.NDArray[np.uint32] = _burn(polygons, numbers, window, (window.height, window.width))
    return burnt


def pixels_around(polygon: shapely.Geometry, window: Window) -> Window | None:
    """The pixels of a window that the bounds of a polygon in pixel coordinates touch; None where there are none."""
    left, top, right, bottom = polygon.bounds
    columns = max(math.floor(left), window.col_off), min(math.ceil(right), window.col_off + window.width)
    rows = max(math.floor(top), window.row_off), min(math.ceil(bottom), window.row_off + window.height)
    return Window.from_slices(rows, columns) if rows[0] < rows[1] and columns[0] < columns[1] else None


def _burn(
    polygons: Geometries, values: npt.NDArray[np.unsignedinteger], window: Window, shape: tuple[int, int]
) -> npt.NDArray[np.unsignedinteger]:
    """The value of the last polygon that each pixel's centre lies in, or 0."""
    right, bottom = window.col_off + window.width, window.row_off + window.height
    # Long borders take long to burn, wherever they lie.
    near = shapely.clip_by_rect(
        polygons, window.col_off - _MARGIN, window.row_off - _MARGIN, right + _MARGIN, bottom + _MARGIN
    )
    burnt = np.zeros(shape, dtype=values.dtype)
    meets = ~shapely.is_empty(near)
    if meets.any():
        to_window = Affine.translation(window.col_off, window.row_off) @ Affine.scale(
            window.width / shape[1], window.height / shape[0]
        )
        rasterize(zip(near[meets], values[meets].tolist(), strict=True), out=burnt, transform=to_window)
    return burnt


def _holds_a_centre(polygon: shapely.Geometry, window: Window) -> bool:
    around = pixels_around(polygon, window)
    return around is not None and any(
        burn(np.array([polygon]), part, (part.height, part.width)).any() for part in _by_rows(around)
    )


def _by_rows(window: Window) -> Iterator[Window]:
    """The parts of a window of some rows each, from the top."""
    end = window.row_off + window.height
    for row in range(window.row_off, end, _ROWS_AT_ONCE):
        yield Window(window.col_off, row, window.width, min(_ROWS_AT_ONCE, end - row))


def _bounds_at(
    rasters: Sequence[RasterInfo], crs: CRS, margin: float, extent: tuple[float, ...] | None
) -> Bounds | None:
    """Bounds in a CRS of what may be of use at some rasters and a margin in metres around them; None for everything.

    Args:
        rasters: at which.
        crs: of the bounds.
        margin: in metres.
        extent: bounds of all there is, to know which turns round the Earth it was drawn on; None where that takes long.
    """
    if not rasters or extent is None:
        return None
    try:
        boxes = np.array([_surroundings(raster, crs, margin) for raster in rasters])
    except CRSError:
        return None  # which the use at that raster tells
    # Joined with those on other turns, they would go round the Earth.
    met = (_TURNS == 0) | shapely.intersects(boxes, shapely.box(*extent))
    return tuple(shapely.total_bounds(boxes[met]).tolist())


def _surroundings(raster: RasterInfo, crs: CRS, margin: float = 0) -> Geometries:
    """Boxes of a raster and what is around it, with a margin in metres, in a CRS, on every turn round the Earth.

    Raises:
        CRSError: if no way leads there from the raster's.
    """
    extent = shapely.box(0, 0, raster.width, raster.height)
    transform = raster.transform
    left, bottom, right, top = affine_transform(extent, transform.to_shapely()).bounds
    units = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    units_per_metre = max(units[0] / raster.pixel[0], units[1] / raster.pixel[1])
    beyond = max(right - left, top - bottom) / 10 + margin * units_per_metre
    around = (left - beyond, bottom - beyond, right + beyond, top + beyond)
    bounds = around if crs == raster.crs else project_bounds(raster.crs, crs, around)
    return _on_every_turn(bounds, crs)


def _only_layer(layers: npt.NDArray[np.object_], path: str) -> str | None:
    """The name of the only one of some layers, names and types `(N, 2)`, that has geometries; None without one."""
    names = [name for name, kind in layers if kind is not None]
    if len(names) > 1:
        raise AnnotationError(
            f"The vector file {path} holds several layers ({', '.join(names)}); "
            f"name one, as in '{path}|layername={names[0]}'."
        )
    return names[0] if names else None


def _crs(path: str, text: str | None) -> CRS:
    if text is None:
        raise AnnotationError(
            f"The vector layer {path} has no coordinate reference system; "
            "assign one (in QGIS: right-click the layer > Layer CRS > Set Layer CRS)."
        )
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise AnnotationError(f"The coordinate reference system of {path} is not understood.") from error


def _single(geometries: Geometries) -> Geometries:
    """The points, lines and polygons that geometries consist of, however nested."""
    while (shapely.get_type_id(geometries) >= shapely.GeometryType.MULTIPOINT).any():
        geometries = shapely.get_parts(geometries)
    return geometries


def _mended(parts: Geometries, dimension: int) -> Geometries:
    """The parts of a dimension, valid and not empty; what mending makes of a polygon's spike is no line drawn."""
    whole = _single(shapely.make_valid(parts[shapely.get_dimensions(parts) == dimension]))
    mended: Geometries = whole[(shapely.get_dimensions(whole) == dimension) & ~shapely.is_empty(whole)]
    return mended


def _on_every_turn(bounds: Bounds, crs: CRS) -> Geometries:
    """A box, and those a turn round the Earth to either side of it."""
    left, bottom, right, top = bounds
    turns = turn_of(crs) * _TURNS
    boxes: Geometries = shapely.box(left + turns, bottom, right + turns, top)
    return boxes


def _on_nearest_turn(polygons: Geometries, centre: float, crs: CRS) -> Geometries:
    """Polygons, each moved as a whole by turns round the Earth to the nearest to a centre."""
    left, _, right, _ = shapely.bounds(polygons).T
    middles = (left + right) / 2
    moves = on_nearest_turn(middles, centre, crs) - middles
    if not moves.any():
        return polygons
    points, owners = shapely.get_coordinates(polygons, return_index=True)
    points[:, 0] += moves[owners]
    moved: Geometries = shapely.set_coordinates(polygons.copy(), points)
    return moved


def _widen(lines: Geometries, crs: CRS, width: float) -> Geometries:
    """Buffers lines on the ground, whatever the units of their CRS, each by the scale at its own place.

    Raises:
        CRSError: if one of them lies at no place on the Earth.
    """
    left, bottom, right, top = shapely.bounds(lines).T
    scales = np.column_stack(metres_per_unit(crs, (left + right) / 2, (bottom + top) / 2))
    buffered = shapely.buffer(_scaled(lines, scales), width / 2, cap_style="flat", join_style="round")
    return _scaled(buffered, 1 / scales)


def _scaled(geometries: Geometries, scales: npt.NDArray[np.float64]) -> Geometries:
    """Geometries with their coordinates multiplied, each by its own factors along x and y, `(N, 2)`."""
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    scaled: Geometries = shapely.set_coordinates(geometries.copy(), points * scales[owners])
    return scaled


def _met(tree: STRtree, window: Window) -> Geometries:
    """The geometries of an index that meet a window."""
    box = shapely.box(window.col_off, window.row_off, window.col_off + window.width, window.row_off + window.height)
    met: Geometries = tree.geometries[tree.query(box, predicate="intersects")]
    return met
