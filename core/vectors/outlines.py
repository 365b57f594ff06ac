"""Outlines of the roads in a surface raster: polygons for a map, whole however large, and valid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.windows import Window

from ..errors import SettingError
from ..geodata.ground_plane import GroundPlane, ground_plane
from ..geodata.outputs import FeatureWriter, crs_told_in
from ..geodata.rasters import BLOCK_CACHE
from ..labels import ROAD
from ..reporting import Reporter
from .corners import Rows
from .ring_shapes import Placing, groups, polygons_of, rounded, simplified
from .rings import Rings, trace_rings

__all__ = ["VectorSettings", "write_outlines"]

_ROWS_AT_ONCE = 256
_LAYER = "outlines"
# Between the places where a raster is looked at, its pixels may be larger or smaller than there.
_MARGIN = 1.1

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Geometries = npt.NDArray[np.object_]


@dataclass(frozen=True)
class VectorSettings:
    """How the road of a surface raster becomes outlines and centre lines.

    Attributes:
        least_area: smaller roads are left out, in square metres.
        fill_holes: smaller holes are filled, in square metres, with all that stands in them.
        tolerance: of the simplification, in metres; 0 keeps the pixels' edges.
        smooth: as far from a corner, in metres, it is rounded off; 0 keeps the corners.
        bridge: gaps of centre lines up to this long are bridged, in metres.

    Raises:
        SettingError: if a number lies outside of its range.
    """

    least_area: float = 20.0
    fill_holes: float = 0.0
    tolerance: float = 0.5
    smooth: float = 0.0
    bridge: float = 0.0

    def __post_init__(self) -> None:
        for name, value, unit in (
            ("least area", self.least_area, "square metres"),
            ("size of holes to fill", self.fill_holes, "square metres"),
            ("simplification", self.tolerance, "metres"),
            ("smoothing", self.smooth, "metres"),
            ("length of gaps to bridge", self.bridge, "metres"),
        ):
            if not 0 <= value < np.inf:
                raise SettingError(f"The {name} must be 0 {unit} or more, got {value}.")


def write_outlines(
    surface: Path | str,
    path: Path,
    settings: VectorSettings,
    reporter: Reporter,
    crs: CRS | None = None,
    probability: Path | str | None = None,
) -> int:
    """Writes the outlines of the roads in a surface raster, with their areas in square metres on the ground.

    Memory grows with the corners of the outlines that are not whole yet, not with the raster.

    Args:
        surface: raster of 1 road; anything else is none.
        path: vector file to write, its format by its extension.
        settings: of the outlines.
        reporter: hears of the rows.
        crs: of the outlines; None for the raster's. GeoJSON holds WGS 84 in place of one without a code of EPSG.
        probability: raster of the probability of road on the same grid, for its mean in each outline; or None.

    Returns:
        How many outlines were written.

    Raises:
        CancelledError: where the user asked to stop.
    """
    fields = ["area"] if probability is None else ["area", "mean_probability"]
    count = 0
    with ExitStack() as opened:
        # Of servers that send no parts of files, GDAL's threads get nothing, and may call it zeros.
        local = all(Path(raster).exists() for raster in (surface, probability) if raster)
        opened.enter_context(rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS" if local else "1"))
        dataset = opened.enter_context(rasterio.open(surface))
        values = probability and opened.enter_context(rasterio.open(probability))
        opened.enter_context(rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE + (_row_of_blocks(values) if values else 0)))
        plane = ground_plane(dataset)
        target = crs_told_in(path, crs or plane.crs)
        writer = opened.enter_context(FeatureWriter(path, _LAYER, "Polygon", fields, target))
        for rings in trace_rings(_rows(dataset, values, reporter), _doubtful(plane, dataset.shape, settings)):
            count += _write(rings, plane, settings, target, writer)
            del rings  # they would lie in memory while the next are found
    return count


def _write(rings: Rings, plane: GroundPlane, settings: VectorSettings, target: CRS, writer: FeatureWriter) -> int:
    """Writes the outlines among some rings; returns how many."""

    def placed(points: Floats) -> Floats:
        return plane.to_map(points, target)

    count = 0
    for outlines, members in _outlines(rings, plane, settings, placed):
        centres = shapely.get_coordinates(shapely.centroid(outlines))
        columns = [shapely.area(outlines) * plane.area_scale(centres)]
        if rings.total is not None:
            columns.append(_with_holes(rings, rings.total)[members] / _with_holes(rings, rings.area)[members])
        writer.append(shapely.transform(outlines, placed), *columns)
        count += len(outlines)
    return count


def _doubtful(plane: GroundPlane, shape: tuple[int, int], settings: VectorSettings) -> tuple[float, float]:
    """From how many pixels on a part is large enough to be kept, and up to how many it may stand in a hole to fill."""
    if settings.fill_holes == 0:
        return 0, 0
    height, width = shape
    places = np.array([(x, y) for x in (0, width / 2, width) for y in (0, height / 2, height)]) * plane.pixel
    try:
        pixels = np.prod(plane.pixel) * plane.area_scale(places)
    except CRSError:
        # Of a raster that goes round the Earth.
        return 0, np.inf
    least, most = float(pixels.min()), float(pixels.max())
    return settings.least_area / (_MARGIN * most), _MARGIN * settings.fill_holes / least if least > 0 else np.inf


def _row_of_blocks(values: rasterio.DatasetReader) -> int:
    """Bytes of the blocks of a probability that lie side by side: each holds more rows than are read at once."""
    size: int = values.block_shapes[0][0] * values.width * np.dtype(np.float32).itemsize
    return size


def _rows(dataset: rasterio.DatasetReader, values: rasterio.DatasetReader | None, reporter: Reporter) -> Iterator[Rows]:
    for top in range(0, dataset.height, _ROWS_AT_ONCE):
        reporter.progress(top / dataset.height, "outlines")
        window = Window(0, top, dataset.width, min(_ROWS_AT_ONCE, dataset.height - top))
        mask = dataset.read(1, window=window) == ROAD
        yield Rows(mask, None if values is None else np.where(mask, values.read(1, window=window), np.float32(0)))


def _outlines(
    rings: Rings, plane: GroundPlane, settings: VectorSettings, placed: Placing
) -> Iterator[tuple[Geometries, Indices]]:
    """Polygons in metres of the plane, some at a time, and the rings that they begin with."""
    kept = _kept(rings, plane, settings)
    size = np.diff(rings.starts)
    members = np.flatnonzero(kept)
    members = members[np.argsort(_polygon(rings)[members] * 2 + rings.hole[members], kind="stable")]
    begins = np.flatnonzero(~rings.hole[members])
    for some in groups(np.add.reduceat(size[members], begins) if len(begins) else size[:0]):
        end = begins[some.stop] if some.stop < len(begins) else len(members)
        group = members[begins[some.start] : end]
        yield _polygons(rings, group, plane, settings, placed), group[~rings.hole[group]]


def _kept(rings: Rings, plane: GroundPlane, settings: VectorSettings) -> Flags:
    """Which rings belong to the outlines: roads large enough, and holes in them that are not filled."""
    pixel = np.array(plane.pixel)
    areas = rings.area * pixel.prod() * plane.area_scale(rings.corners[rings.starts[:-1], ::-1] * pixel)
    gone = rings.hole & (-areas < settings.fill_holes)
    within = rings.parent.clip(0)
    while (more := (rings.parent >= 0) & gone[within] & ~gone).any():
        gone |= more
    large = _with_holes(rings, np.where(gone, 0, areas)) >= settings.least_area
    kept: Flags = ~gone & np.where(rings.hole, (rings.parent >= 0) & large[within], large)
    return kept


def _polygon(rings: Rings) -> Indices:
    """The ring with which each stands: a hole with its parent, any other ring with itself."""
    return np.where(rings.hole & (rings.parent >= 0), rings.parent, np.arange(len(rings.hole)))


def _with_holes(rings: Rings, sums: Floats) -> Floats:
    """For each ring that is no hole, its own sum and those of its holes."""
    total: Floats = np.bincount(_polygon(rings), weights=sums, minlength=len(sums)).astype(np.float64)
    return total


def _polygons(
    rings: Rings, members: Indices, plane: GroundPlane, settings: VectorSettings, placed: Placing
) -> Geometries:
    """Polygons of rings, each followed by its holes; simplified and rounded."""
    sizes = np.diff(rings.starts)[members]
    ends = np.cumsum(sizes)
    taken = np.arange(ends[-1]) + np.repeat(rings.starts[:-1][members] - (ends - sizes), sizes)
    points: Floats = rings.corners[taken, ::-1] * np.array(plane.pixel)
    polygon = np.cumsum(~rings.hole[members]) - 1
    if settings.tolerance > 0:
        points, sizes = simplified(points, sizes, polygon, settings.tolerance, placed)
    if settings.smooth > 0:
        points, sizes = rounded(points, sizes, polygon, settings.smooth, placed)
    return polygons_of(points, sizes, polygon)
