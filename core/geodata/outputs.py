"""Writing results: rasters strip by strip, vector files features by features."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import product
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
import shapely
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import array_bounds
from rasterio.windows import Window

from ..errors import NotWholeError, SettingError
from ..files import NOT_WHOLE
from .ground import WGS84, is_on_ground, project_bounds
from .plain_ways import check_plain, plain_way
from .rasters import RasterInfo

__all__ = [
    "PROBABILITY_NODATA",
    "SURFACE_NODATA",
    "FeatureWriter",
    "StripWriter",
    "check_raster_output",
    "check_vector_output",
    "crs_told_in",
    "find_crs",
    "optimise_for_cloud",
]

SURFACE_NODATA = 255
PROBABILITY_NODATA = -1.0
_SURE = 90  # percent, that a CRS is that of a code of EPSG
_FORMATS = (".gpkg", ".shp", ".geojson", ".fgb")
_BLOCK = 512
_BLOCKS_AT_ONCE = 8  # side by side, for GDAL's threads
_SMALLEST_OVERVIEW = 256
_WRITES_AHEAD = 2
_SHAPEFILE_NAME = 10  # letters of a field's name, at most
_LAYERS = "SELECT count(*) FROM gpkg_contents WHERE table_name <> 'layer_styles'"  # and tables
_PROJECTS = "SELECT count(*) FROM qgis_projects"
_DECIMALS = 3  # of metres, square metres and probabilities: more says nothing


class StripWriter:
    """Writes a one-band GeoTIFF from top to bottom, whole rows of blocks at a time, with overviews at the end.

    A thread of its own writes while the next rows are made. Adding rows, or leaving the context, raises a SettingError
    if the raster could not be written whole.

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
        self._thread = ThreadPoolExecutor(1)
        self._writing: deque[Future[None]] = deque()
        self._handed_over = 0
        self._waiting: list[npt.NDArray[np.generic]] = []

    def __enter__(self) -> StripWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._hand_over(sum(len(rows) for rows in self._waiting))
                self._await(0)
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._dataset.close()
        if kind is None:
            with _told(self._path):
                overviews = self._add_overviews()
            _check_whole(self._path, overviews)

    def append(self, rows: npt.NDArray[np.generic]) -> None:
        """Adds the next rows `(h, W)`; what went wrong with earlier ones is raised here."""
        self._waiting.append(rows)
        waiting = sum(len(rows) for rows in self._waiting)
        # A compressed block that is written twice would leave its first copy as dead space in the file.
        if waiting >= _BLOCK:
            self._hand_over(waiting // _BLOCK * _BLOCK)

    def _hand_over(self, height: int) -> None:
        """Has the thread write rows; a few may wait for it."""
        if not height:
            return
        rows = np.concatenate(self._waiting)
        self._waiting = [rows[height:]]
        window = Window(0, self._handed_over, self._dataset.width, height)
        self._handed_over += height
        self._writing.append(self._thread.submit(self._dataset.write, rows[:height], 1, window=window))
        self._await(_WRITES_AHEAD)

    def _await(self, most: int) -> None:
        with _told(self._path):
            while len(self._writing) > most:
                self._writing.popleft().result()

    def _add_overviews(self) -> int:
        """Adds overviews down to a small one, and returns how many."""
        largest = max(self._dataset.width, self._dataset.height)
        factors: list[int] = []
        while largest / 2 ** len(factors) > _SMALLEST_OVERVIEW:
            factors.append(2 ** (len(factors) + 1))
        if factors:
            options = {"GDAL_NUM_THREADS": "ALL_CPUS", "ZLEVEL_OVERVIEW": "1"}
            with rasterio.Env(**options), rasterio.open(self._path, "r+") as dataset:
                dataset.build_overviews(factors, Resampling.nearest)
        return len(factors)


def optimise_for_cloud(path: Path) -> None:
    """Replaces a GeoTIFF that `StripWriter` wrote by a Cloud Optimised one.

    Raises:
        NotWholeError: if it cannot be written whole.
    """
    plain = path.with_name(f"{path.stem}-plain{path.suffix}")
    path.rename(plain)
    options = {"compress": "deflate", "level": 1, "predictor": "yes", "blocksize": _BLOCK, "bigtiff": "if_safer"}
    with _told(path), rasterio.open(plain) as dataset:
        overviews = len(dataset.overviews(1))
        rasterio.shutil.copy(dataset, path, driver="COG", num_threads="all_cpus", **options)
    plain.unlink()
    _check_whole(path, overviews)


def check_raster_output(path: Path) -> None:
    """Checks that a raster file of this name can be written.

    Raises:
        SettingError: if its extension is not GeoTIFF's.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise SettingError(f"Rasters are written as GeoTIFF, not to {path.name}; give it the extension .tif.")


def check_vector_output(path: Path) -> None:
    """Checks that a vector file of this name can be written.

    Raises:
        SettingError: if its extension is none of a format that holds polygons and lines, numbers and any CRS,
            pyogrio cannot be given its name, or it is a GeoPackage of several layers or with a project of QGIS, which
            would all go.
    """
    if path.suffix.lower() not in _FORMATS:
        raise SettingError(
            f"Features cannot be written to {path.name}; give it the extension .gpkg, .shp, .geojson or .fgb."
        )
    check_plain(path)
    if path.suffix.lower() == ".gpkg" and path.exists():
        if (count := _count(path, _LAYERS)) > 1:
            raise SettingError(
                f"The output {path} holds {count} layers, which would all be replaced; give another name."
            )
        if _count(path, _PROJECTS):
            raise SettingError(f"The output {path} holds a QGIS project, which would be lost; give another name.")


def find_crs(text: str, raster: RasterInfo) -> CRS:
    """The coordinate reference system of a name, such as EPSG:25832, for the features found in a raster.

    Raises:
        SettingError: if there is none, or the raster has no place in it.
    """
    try:
        with rasterio.Env():  # PROJ's own words are not printed
            crs = CRS.from_user_input(text)
        project_bounds(raster.crs, crs, array_bounds(raster.height, raster.width, raster.transform))
        if not is_on_ground(crs):
            raise CRSError("It has no axes along the ground.")
    # CRSError is one; for a code of EPSG that is no number, rasterio leaves Python's own.
    except ValueError as error:
        raise SettingError(
            f"The coordinate reference system {text!r} is not known or has no place for {raster.name}; "
            "give one such as EPSG:25832."
        ) from error
    return crs


def crs_told_in(path: Path, crs: CRS) -> CRS:
    """The CRS in which features come to a vector file: that given, as far as the file can tell of it.

    GeoJSON names a CRS by its code of EPSG alone; without one, all take coordinates for WGS 84 (RFC 7946).
    """
    if path.suffix.lower() != ".geojson":
        return crs
    code = crs.to_epsg(confidence_threshold=_SURE)
    return CRS.from_epsg(code) if code else WGS84


class FeatureWriter:
    """Writes features to a vector file, its format by its extension, as many at a time as one likes.

    Adding features, or leaving the context, raises a NotWholeError if the file could not be written whole.

    Args:
        path: where to write.
        layer: the layer's name.
        geometry_type: OGR's name of the type of all geometries.
        fields: names of the numbers that each feature has.
        crs: of the geometries.
    """

    def __init__(self, path: Path, layer: str, geometry_type: str, fields: Sequence[str], crs: CRS) -> None:
        self._path, self._geometry_type, self._crs = path, geometry_type, crs
        self._layer, self._fields = layer, list(fields)
        if path.suffix.lower() == ".shp":
            # Its one layer goes by the file's name; under another, nothing can be appended to it.
            self._layer = path.stem
            # GDAL would cut them, too, and warn of each.
            self._fields = [name[:_SHAPEFILE_NAME] for name in fields]
        self._count = 0
        self._opened = ExitStack()

    def __enter__(self) -> FeatureWriter:
        way = self._opened.enter_context(plain_way(self._path))
        # GDAL writes a Shapefile's extension in small letters, whatever it is told.
        self._written = way.with_suffix(way.suffix.lower())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._opened:
            if kind is None:
                if not self._written.exists():
                    self.append(np.zeros(0, dtype=object), *(np.zeros(0) for _ in self._fields))
                self._check_whole()
                self._written.rename(self._written.with_name(self._path.name))

    def append(self, geometries: npt.NDArray[np.object_], *columns: npt.NDArray[np.float64]) -> None:
        """Adds features `(N,)` with their numbers, `(N,)` for each field, of which thousandths are kept."""
        # It brings a GDAL of its own, which need not lie in memory beside a network.
        import pyogrio

        first = not self._written.exists()
        with self._told():
            pyogrio.raw.write(
                str(self._written),
                geometry=shapely.to_wkb(geometries),
                field_data=[column.round(_DECIMALS) for column in columns],
                fields=self._fields,
                geometry_type=self._geometry_type,
                crs=self._crs.to_wkt(),
                layer=self._layer,
                append=not first,
                # Older releases of GDAL, as in QGIS 3.22, warn of what came after this version of GeoPackage.
                dataset_options={"VERSION": "1.2"} if first and self._written.suffix == ".gpkg" else {},
            )
        self._count += len(geometries)

    def _check_whole(self) -> None:
        """Reads the file back: GDAL does not always tell of a disk that is full, but leaves features or shapes out."""
        import pyogrio

        with self._told():
            _, bounds = pyogrio.read_bounds(self._written)
        if np.isfinite(bounds).all(axis=0).sum() < self._count:
            raise NotWholeError(NOT_WHOLE.format(self._path.name))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tells in a sentence what GDAL says of a file that it cannot go on with."""
        from pyogrio.errors import DataLayerError, DataSourceError

        try:
            yield
        except (DataLayerError, DataSourceError) as error:
            raise NotWholeError(NOT_WHOLE.format(self._path.name)) from error


def _count(path: Path, query: str) -> int:
    """What a query counts in a GeoPackage; 0 of what is none, or has no such table."""
    # Few outputs are there already: its import can wait.
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])
    except sqlite3.Error:
        return 0


def _check_whole(path: Path, overviews: int) -> None:
    """Reads a raster back: GDAL, which writes behind, does not always tell of a disk that is full."""
    with _told(path):
        with rasterio.open(path, num_threads="all_cpus") as dataset:
            whole = len(dataset.overviews(1)) == overviews
            _read_through(dataset)
        for level in range(overviews):
            with rasterio.open(path, num_threads="all_cpus", overview_level=level) as dataset:
                _read_through(dataset)
    if not whole:
        raise NotWholeError(NOT_WHOLE.format(path.name))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells in a sentence what GDAL says of a raster that it cannot go on with; some of it rasterio leaves as it is."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise NotWholeError(NOT_WHOLE.format(path.name)) from error


def _read_through(dataset: rasterio.DatasetReader) -> None:
    for top, left in product(range(0, dataset.height, _BLOCK), range(0, dataset.width, _BLOCKS_AT_ONCE * _BLOCK)):
        rows, columns = min(_BLOCK, dataset.height - top), min(_BLOCKS_AT_ONCE * _BLOCK, dataset.width - left)
        dataset.read(1, window=Window(left, top, columns, rows))
