"""Writing results: rasters strip by strip, vector files features by features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from .errors import SettingError
from .rasters import RasterInfo

__all__ = ["PROBABILITY_NODATA", "SURFACE_NODATA", "FeatureWriter", "StripWriter", "check_vector_output"]

SURFACE_NODATA = 255
PROBABILITY_NODATA = -1.0
_FORMATS = (".gpkg", ".shp", ".geojson", ".fgb")
_BLOCK = 512
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
        SettingError: if its extension is none of a format that holds polygons and lines, numbers and any CRS.
    """
    if path.suffix.lower() not in _FORMATS:
        raise SettingError(
            f"Features cannot be written to {path.name}; give it the extension .gpkg, .shp, .geojson or .fgb."
        )


class FeatureWriter:
    """Writes features to a vector file, its format by its extension, as many at a time as one likes.

    Args:
        path: where to write.
        layer: the layer's name.
        geometry_type: OGR's name of the type of all geometries.
        fields: names of the numbers that each feature has.
        crs: of the geometries.
    """

    def __init__(self, path: Path, layer: str, geometry_type: str, fields: Sequence[str], crs: CRS) -> None:
        self._path, self._geometry_type, self._fields, self._crs = path, geometry_type, fields, crs
        # The one layer of a Shapefile goes by the file's name; under another, nothing can be appended to it.
        self._layer = path.stem if path.suffix.lower() == ".shp" else layer

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and not self._path.exists():
            self.append(np.zeros(0, dtype=object), *(np.zeros(0) for _ in self._fields))

    def append(self, geometries: npt.NDArray[np.object_], *columns: npt.NDArray[np.float64]) -> None:
        """Adds features `(N,)` with their numbers, `(N,)` for each field."""
        # It brings a GDAL of its own, which need not lie in memory beside a network.
        import pyogrio

        first = not self._path.exists()
        pyogrio.raw.write(
            str(self._path),
            geometry=shapely.to_wkb(geometries),
            field_data=list(columns),
            fields=list(self._fields),
            geometry_type=self._geometry_type,
            crs=self._crs.to_wkt(),
            layer=self._layer,
            append=not first,
            # Older releases of GDAL, as in QGIS 3.22, warn of what came after this version of GeoPackage.
            dataset_options={"VERSION": "1.2"} if first and self._path.suffix.lower() == ".gpkg" else {},
        )
