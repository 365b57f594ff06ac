"""Writing results: rasters strip by strip, and outlines from a written raster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.features import shapes
from rasterio.windows import Window
from shapely.geometry import shape

from .errors import SettingError
from .ground import metres_per_unit
from .rasters import RasterInfo

__all__ = ["PROBABILITY_NODATA", "SURFACE_NODATA", "StripWriter", "check_vector_output", "write_outlines"]

SURFACE_NODATA = 255
PROBABILITY_NODATA = -1.0
_LAYER = "outlines"
_FORMATS = (".gpkg", ".shp", ".geojson", ".fgb")
_BLOCK = 512
_FEATURES_AT_ONCE = 10_000
_SMALLEST_OVERVIEW = 256


class StripWriter:
    """Writes a one-band GeoTIFF from top to bottom, whole rows of blocks at a time, with overviews at the end.

    Args:
        path: where to write.
        raster: whose grid the result lies on.
        window: the part of the raster that the result covers.
        dtype: NumPy's name of the type.
        nodata: the value of pixels without a result.
    """

    def __init__(self, path: Path, raster: RasterInfo, window: Window, dtype: str, nodata: float) -> None:
        self._path = path
        self._dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=window.width,
            height=window.height,
            count=1,
            dtype=dtype,
            nodata=nodata,
            crs=raster.crs,
            transform=raster.transform @ raster.transform.translation(window.col_off, window.row_off),
            tiled=True,
            blockxsize=_BLOCK,
            blockysize=_BLOCK,
            compress="deflate",
            predictor=3 if dtype.startswith("float") else 2,
            zlevel=1,
            num_threads="all_cpus",
            bigtiff="if_safer",
        )
        self._written = 0
        self._waiting: list[npt.NDArray[np.generic]] = []

    def __enter__(self) -> StripWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(sum(len(rows) for rows in self._waiting))
        self._dataset.close()
        if kind is None:
            self._add_overviews()

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Adds the next rows `(h, W)`."""
        self._waiting.append(rows)
        waiting = sum(len(rows) for rows in self._waiting)
        # A compressed block that is written twice would leave its first copy as dead space in the file.
        if waiting >= _BLOCK:
            self._write(waiting // _BLOCK * _BLOCK)

    def _write(self, height: int) -> None:
        rows = np.concatenate(self._waiting) if self._waiting else np.zeros((0, self._dataset.width))
        if height:
            window = Window(0, self._written, self._dataset.width, height)
            self._dataset.write(rows[:height], 1, window=window)
        self._written += height
        self._waiting = [rows[height:]]

    def _add_overviews(self) -> None:
        largest = max(self._dataset.width, self._dataset.height)
        factors: list[int] = []
        while largest / 2 ** len(factors) > _SMALLEST_OVERVIEW:
            factors.append(2 ** (len(factors) + 1))
        if factors:
            with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"), rasterio.open(self._path, "r+") as dataset:
                dataset.build_overviews(factors, Resampling.nearest)


def check_vector_output(path: Path) -> None:
    """Checks that a vector file of this name can be written.

    Raises:
        SettingError: if its extension is none of a format that holds polygons, numbers and any CRS.
    """
    if path.suffix.lower() not in _FORMATS:
        raise SettingError(
            f"Outlines cannot be written to {path.name}; give it the extension .gpkg, .shp, .geojson or .fgb."
        )


def write_outlines(surface: Path, path: Path, least_area: float, tolerance: float) -> int:
    """Writes the outlines of the roads in a surface raster, streamed from the file.

    Args:
        surface: raster of 1 road, 0 background, 255 nodata.
        path: vector file to write, its format by its extension.
        least_area: smaller roads are left out, in square metres.
        tolerance: of the simplification, in metres; 0 keeps the pixels' edges.

    Returns:
        How many outlines were written.
    """
    with rasterio.open(surface) as dataset:
        crs = dataset.crs
        scale = metres_per_unit(crs, *dataset.transform @ (dataset.width / 2, dataset.height / 2))
        outlines = (shape(geometry) for geometry, value in _shapes(dataset) if value == 1)
        count = 0
        for chunk in _chunks(outlines):
            geometries, areas = _finished(np.array(chunk, dtype=object), scale, least_area, tolerance)
            _append(path, geometries, areas, crs, append=count > 0)
            count += len(geometries)
        if not path.exists():
            _append(path, np.zeros(0, dtype=object), np.zeros(0), crs, append=False)
        return count


def _shapes(dataset: rasterio.DatasetReader) -> Iterator[tuple[dict[str, object], float]]:
    # Its own values as the mask: 0 is left out, so no polygon of all the background is ever built.
    band = rasterio.band(dataset, 1)
    yield from shapes(band, mask=band, connectivity=4, transform=dataset.transform)


def _chunks(geometries: Iterator[shapely.Geometry]) -> Iterator[list[shapely.Geometry]]:
    chunk: list[shapely.Geometry] = []
    for geometry in geometries:
        chunk.append(geometry)
        if len(chunk) == _FEATURES_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _finished(
    geometries: npt.NDArray[np.object_], scale: tuple[float, float], least_area: float, tolerance: float
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
    """The outlines that are large enough, simplified, and their areas in square metres."""
    areas = shapely.area(geometries) * scale[0] * scale[1]
    geometries, areas = geometries[areas >= least_area], areas[areas >= least_area]
    if tolerance > 0:
        geometries = _simplified(geometries, np.array(scale), tolerance)
        areas = shapely.area(geometries) * scale[0] * scale[1]
    return geometries, areas


def _simplified(
    geometries: npt.NDArray[np.object_], scale: npt.NDArray[np.float64], tolerance: float
) -> npt.NDArray[np.object_]:
    """Polygons with fewer points; one that would cross itself stays as it is."""
    on_ground = shapely.transform(geometries, lambda points: points * scale)
    simple = shapely.simplify(on_ground, tolerance, preserve_topology=True)
    simple = shapely.transform(simple, lambda points: points / scale)
    polygons: npt.NDArray[np.object_] = np.where(shapely.is_valid(simple), simple, geometries)
    return polygons


def _append(
    path: Path,
    geometries: npt.NDArray[np.object_],
    areas: npt.NDArray[np.float64],
    crs: CRS,
    append: bool,
) -> None:
    pyogrio.raw.write(
        str(path),
        geometry=shapely.to_wkb(geometries),
        field_data=[areas],
        fields=["area"],
        geometry_type="Polygon",
        crs=crs.to_wkt(),
        # The one layer of a Shapefile goes by the file's name; under another, nothing can be appended to it.
        layer=path.stem if path.suffix.lower() == ".shp" else _LAYER,
        append=append,
        # Older releases of GDAL, as in QGIS 3.22, warn of what came after this version of GeoPackage.
        dataset_options={"VERSION": "1.2"} if path.suffix.lower() == ".gpkg" and not append else {},
    )
