"""Reading rasters by windows: pixels of every band and which of them are valid."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import array_bounds
from rasterio.windows import Window

from ..errors import RasterError, without_passwords
from ..images import Images, Mask, Pixels
from .ground import WGS84, Bounds, pixel_size, project_bounds
from .resampling import averaging_matrix, in_parts, means_of_valid

__all__ = [
    "BLOCK_CACHE",
    "SAME_GSD",
    "RasterInfo",
    "RasterReader",
    "check_end",
    "files_of",
    "has_mask",
    "imagery_bands",
    "inspect_raster",
    "mirrored",
]

BLOCK_CACHE = 64 * 2**20
"""Bytes for `GDAL_CACHEMAX` where a raster is gone through once: GDAL would else keep all the blocks that were read."""

SAME_GSD = 0.05
"""As a share: sizes of pixels that differ by no more are taken for the same."""

_OPEN_FILES = 64
_BRIGHTEST = 65535  # of what sensors deliver
_NO_VALUE = 1e30  # from here on: programs write the lowest float, or the largest, where nothing is, and may not say so
_THINNED = 512  # pixels along a side of a copy that tells where a raster holds data
_REMEMBERED = 64  # such copies: of a large raster without overviews, one takes seconds


@dataclass(frozen=True)
class RasterInfo:
    """What is known of a raster without reading its pixels.

    Attributes:
        path: where GDAL finds it.
        width: columns, in pixels.
        height: rows, in pixels.
        crs: its coordinate reference system.
        transform: from pixel (column, row) to CRS coordinates.
        bands: 1-based indexes of the bands that hold imagery, without alpha.
        dtype: NumPy's name of the bands' type.
        masked: whether nodata, alpha or a mask can make a pixel invalid.
        pixel: width and height of its central pixel, in metres.
        nodata: a value that counts as nodata besides what the file declares; or None.
        colours: of the bands, by GDAL's names, such as red, or undefined where the file does not tell; none for such
            as are not read from a file.
    """

    path: str
    width: int
    height: int
    crs: CRS
    transform: Affine
    bands: tuple[int, ...]
    dtype: str
    masked: bool
    pixel: tuple[float, float]
    nodata: float | None = None
    colours: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return Path(without_passwords(self.path)).name

    @property
    def window(self) -> Window:
        """All of its pixels."""
        return Window(0, 0, self.width, self.height)

    @property
    def gsd(self) -> float:
        """Ground sampling distance in metres: the side of a square as large as the central pixel."""
        return math.sqrt(math.prod(self.pixel))

    def is_of(self, gsd: float) -> bool:
        """Whether its pixels are taken for squares of a side in metres, on both axes."""
        return max(abs(size / gsd - 1) for size in self.pixel) <= SAME_GSD

    @cached_property
    def degrees(self) -> Bounds:
        """Its least longitude, least latitude, largest longitude and largest latitude.

        Raises:
            CRSError: if no way leads there from its coordinate reference system.
        """
        return project_bounds(self.crs, WGS84, array_bounds(self.height, self.width, self.transform))

    @property
    def may_lack_data(self) -> bool:
        """Whether a pixel can be invalid: floats may be no number."""
        return self.masked or np.dtype(self.dtype).kind == "f"


def inspect_raster(path: str, bands: Sequence[int] = (), nodata: float | None = None) -> RasterInfo:
    """Opens a raster, checks that it can be read to its end, and tells what it is.

    Args:
        path: where GDAL finds it.
        bands: 1-based indexes of the bands to read, in this order, as often as each is named; empty for all but alpha.
            A band that is named here is imagery, even if the file calls it alpha.
        nodata: a value that counts as nodata besides what the file declares.

    Raises:
        RasterError: if it cannot be opened or read to its end, has no CRS, no place in it or not those bands, or holds
            no imagery, such of several types, or several rasters of which none is named.
    """
    try:
        with rasterio.open(path) as dataset:
            if dataset.count == 0:
                raise RasterError(_without_bands(dataset))
            if dataset.crs is None:
                raise RasterError(_without_crs(dataset))
            if dataset.transform.is_degenerate or dataset.transform == Affine.identity():
                raise RasterError(
                    f"Nothing tells where the pixels of the raster {path} lie in its coordinate reference system; add "
                    "its world file, or bring it to its place (in QGIS: Georeferencer)."
                )
            chosen = imagery_bands(dataset, bands)
            check_end(dataset, chosen)
            return RasterInfo(
                path=path,
                width=dataset.width,
                height=dataset.height,
                crs=dataset.crs,
                transform=dataset.transform,
                bands=chosen,
                dtype=dataset.dtypes[chosen[0] - 1],
                masked=nodata is not None
                # GDAL's flags tell of alpha beside one or three bands of unsigned integers alone.
                or _alpha_band(dataset, chosen) is not None
                or any(MaskFlags.all_valid not in flags for flags in dataset.mask_flag_enums),
                pixel=pixel_size(dataset.crs, dataset.transform, dataset.width, dataset.height),
                nodata=nodata,
                colours=tuple(dataset.colorinterp[band - 1].name for band in chosen),
            )
    except RasterioError as error:
        raise RasterError(
            f"The raster {path} cannot be read: it is missing, damaged, or of a format that is not known here "
            f"({str(error.__cause__ or error).rstrip('.')}); if QGIS shows it, save it as a GeoTIFF (in QGIS: Raster > "
            "Conversion > Translate)."
        ) from error
    except CRSError as error:
        raise RasterError(
            f"The raster {path} has no place on the Earth in its coordinate reference system; assign one where it has "
            "(in QGIS: Raster > Projections > Assign Projection)."
        ) from error


def check_end(dataset: rasterio.DatasetReader, bands: Sequence[int]) -> None:
    """Reads the last pixel: there, a file that was cut short fails; of a PNG read as a whole, GDAL makes the rest 0.

    Raises:
        RasterioError: if it cannot be read.
    """
    dataset.read(list(bands), window=Window(dataset.width - 1, dataset.height - 1, 1, 1))


def imagery_bands(dataset: rasterio.DatasetReader, wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """The 1-based indexes of the wanted bands of a raster, or of all but alpha where none is wanted.

    Raises:
        RasterError: if it has not those bands, or they hold no imagery, or such of several types.
    """
    if absent := set(wanted) - set(dataset.indexes):
        raise RasterError(f"The raster {dataset.name} has no band {min(absent)}; its bands are 1 to {dataset.count}.")
    colours = zip(dataset.indexes, dataset.colorinterp, strict=True)
    bands = tuple(wanted) or tuple(index for index, colour in colours if colour != ColorInterp.alpha)
    # GDAL has complex integers, NumPy has not.
    if not bands or any(dataset.dtypes[band - 1].startswith("complex") for band in bands):
        raise RasterError(f"The raster {dataset.name} holds no imagery bands.")
    types = list(dict.fromkeys(dataset.dtypes[band - 1] for band in bands))
    if len(types) > 1:
        raise RasterError(
            f"The bands of the raster {dataset.name} hold values of several types ({', '.join(types)}); choose bands "
            "of one, or bring all to one (in QGIS: Raster > Conversion > Translate)."
        )
    return bands


def files_of(path: str) -> list[str]:
    """The files that a raster lies in, a virtual one's sources among them; of what is no raster, the path itself."""
    files, opened, waiting = [path], set[str](), [path]
    while waiting:
        virtual = waiting.pop(0)
        # Virtual rasters may name one another, or one of them over and over.
        if (place := os.path.realpath(virtual)) not in opened:
            opened.add(place)
            inner, nested = _files_beside(virtual)
            files += inner
            waiting += nested
    return files


def _files_beside(path: str) -> tuple[list[str], list[str]]:
    """The files that a raster names besides itself, and those of them that may be virtual in a virtual one."""
    try:
        with rasterio.open(path) as dataset:
            files = [file for file in dataset.files if file != path]
            virtual = dataset.driver == "VRT"
    except RasterioError:
        return [], []
    # Virtual rasters of virtual ones, and tables and the like inside of files; others lie in themselves.
    return files, [file for file in files if virtual and (file.endswith(".vrt") or ":" in file[2:])]


def _without_bands(dataset: rasterio.DatasetReader) -> str:
    if rasters := dataset.subdatasets:
        return f"The file {dataset.name} holds several rasters ({', '.join(rasters)}); name one, as in '{rasters[0]}'."
    return f"The raster {dataset.name} holds no imagery bands."


def _without_crs(dataset: rasterio.DatasetReader) -> str:
    if dataset.gcps[0] or dataset.rpcs:
        return (
            f"The raster {dataset.name} is placed by control points or RPCs, not by a grid in a coordinate reference "
            "system; bring it to one (in QGIS: Raster > Projections > Warp)."
        )
    return (
        f"The raster {dataset.name} has no coordinate reference system; "
        "assign one (in QGIS: Raster > Projections > Assign Projection)."
    )


class RasterReader:
    """Reads windows of rasters, from any number of threads, each with handles of its own, of which few stay open."""

    def __init__(self) -> None:
        self._handles = threading.local()
        self._opened: set[rasterio.DatasetReader] = set()
        self._lock = threading.Lock()
        self.thinned_validity = lru_cache(_REMEMBERED)(self._thinned_validity)

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(self, *_: object) -> None:
        for dataset in self._opened:
            dataset.close()

    def read(self, raster: RasterInfo, window: Window, shape: tuple[int, int]) -> tuple[Pixels, Mask]:
        """Pixels and validity of a window, resampled to a shape.

        What lies outside of the raster mirrors what lies inside, pixels and validity alike: a network
        then sees no edge.

        Args:
            raster: which raster.
            window: in whole pixels of the raster; it may reach beyond it, but must touch it.
            shape: rows and columns of the result, (H, W).

        Returns:
            Pixels `(C, H, W)` and validity `(H, W)`: in the raster's type as they are; of another size, as detection
            sees them, means of what is valid, float32, of the raster's own pixels and not of its overviews, which
            may be thinned.

        Raises:
            RasterError: if the raster cannot be read there.
        """
        if shape != (window.height, window.width):
            return self._read_resampled(raster, window, shape)
        inside = window.intersection(raster.window)
        top, left = inside.row_off - window.row_off, inside.col_off - window.col_off
        margins = ((top, shape[0] - top - inside.height), (left, shape[1] - left - inside.width))
        return mirrored(*self._read(raster, inside, (inside.height, inside.width)), margins)

    def block_shape(self, raster: RasterInfo) -> tuple[int, int]:
        """Rows and columns of the blocks that a raster is stored in."""
        shape: tuple[int, int] = self._handle(raster.path).block_shapes[raster.bands[0] - 1]
        return shape

    def _thinned_validity(self, raster: RasterInfo) -> Mask:
        """Whether the pixels of a thinned copy of a raster, `(H, W)`, hold data."""
        shape = (min(_THINNED, raster.height), min(_THINNED, raster.width))
        if not raster.may_lack_data:
            return np.ones(shape, dtype=bool)
        return self._read(raster, raster.window, shape)[1]

    def _read_resampled(self, raster: RasterInfo, window: Window, shape: tuple[int, int]) -> tuple[Images, Mask]:
        down = averaging_matrix(window.row_off, window.height / shape[0], shape[0], raster.height)
        across = averaging_matrix(window.col_off, window.width / shape[1], shape[1], raster.width)
        parts = [
            means_of_valid(*self._read(raster, part, (part.height, part.width)), *matrices)
            for part, *matrices in in_parts(down, across, len(raster.bands))
        ]
        images, valid = zip(*parts, strict=True)
        return np.concatenate(images, axis=1), np.concatenate(valid)

    def _read(self, raster: RasterInfo, window: Window, shape: tuple[int, int]) -> tuple[Pixels, Mask]:
        """A window within the raster, thinned to a shape."""
        where = {"indexes": list(raster.bands), "window": window, "out_shape": (len(raster.bands), *shape)}
        try:
            dataset = self._handle(raster.path)
            pixels = dataset.read(**where, resampling=Resampling.nearest)
            valid = np.ones(shape, dtype=bool)
            if raster.masked:
                valid = _mask(dataset, raster, window, shape) & _has_data(dataset, raster, pixels)
        except RasterioError as error:
            raise RasterError(
                f"The raster {raster.path} cannot be read at column {window.col_off:.0f}, "
                f"row {window.row_off:.0f}: a file is missing, damaged or cut short ({error.__cause__ or error})."
            ) from error
        if pixels.dtype.kind == "f":
            # NaN is below nothing.
            valid &= (np.abs(pixels) < _NO_VALUE).all(axis=0)
        return pixels, valid

    def _handle(self, path: str) -> rasterio.DatasetReader:
        # Oldest use first: a data set of thousands of tiles would use up the files that a process may hold open.
        handles: dict[str, rasterio.DatasetReader] = self._handles.__dict__
        dataset = handles.pop(path, None) or self._open(path)
        handles[path] = dataset
        if len(handles) > _OPEN_FILES:
            self._close(handles.pop(next(iter(handles))))
        return dataset

    def _open(self, path: str) -> rasterio.DatasetReader:
        dataset = rasterio.open(path)
        with self._lock:
            self._opened.add(dataset)
        return dataset

    def _close(self, dataset: rasterio.DatasetReader) -> None:
        with self._lock:
            self._opened.remove(dataset)
        dataset.close()


def mirrored(pixels: Pixels, valid: Mask, margins: tuple[tuple[int, int], tuple[int, int]]) -> tuple[Pixels, Mask]:
    """Pixels `(C, H, W)` and validity `(H, W)` with their mirror images around them.

    Args:
        pixels: of a raster.
        valid: likewise.
        margins: rows above and below, columns on the left and on the right.
    """
    if not np.any(margins):
        return pixels, valid
    return np.pad(pixels, ((0, 0), *margins), mode="symmetric"), np.pad(valid, margins, mode="symmetric")


def _mask(dataset: rasterio.DatasetReader, raster: RasterInfo, window: Window, shape: tuple[int, int]) -> Mask:
    """Where alpha or a mask says so; everywhere without one."""
    # dataset.dataset_mask() will not do: it takes the fourth band of red, green, blue and near infrared for alpha.
    where = {"window": window, "resampling": Resampling.nearest}
    if alpha := _alpha_band(dataset, raster.bands):
        valid: Mask = dataset.read(alpha, out_shape=shape, **where) > 0
        return valid
    bands = [band for band in raster.bands if _is_masked(dataset.mask_flag_enums[band - 1])]
    if not bands:
        return np.ones(shape, dtype=bool)
    if MaskFlags.per_dataset in dataset.mask_flag_enums[bands[0] - 1]:
        bands = bands[:1]
    valid = (dataset.read_masks(bands, out_shape=(len(bands), *shape), **where) > 0).any(axis=0)
    return valid


def _has_data(dataset: rasterio.DatasetReader, raster: RasterInfo, values: Pixels) -> Mask:
    """Where the bands `(C, H, W)` hold other values than their nodata, the declared one and the given one."""
    valid = np.ones(values.shape[1:], dtype=bool)
    if raster.nodata is not None:
        valid &= _differ(values, [raster.nodata] * len(values))
    if not _is_hidden(dataset, raster.bands):
        declared = (dataset.nodatavals[band - 1] for band in raster.bands)
        # All values differ from NaN.
        valid &= _differ(values, [math.nan if value is None else value for value in declared])
    return valid


def _differ(values: Pixels, nodata: Sequence[float]) -> Mask:
    """Where any band `(C, H, W)` differs from its nodata, and all do whose nodata no sensor could measure.

    A dark pixel is 0 in one band, a bright one 255; -9999 in one band has no colour.
    """
    differing: Mask = np.array([layer != value for layer, value in zip(values, nodata, strict=True)])
    impossible = [not 0 <= value <= _BRIGHTEST for value in nodata]
    return np.logical_and(differing.any(axis=0), differing[impossible].all(axis=0))


def _alpha_band(dataset: rasterio.DatasetReader, bands: Sequence[int]) -> int | None:
    """The band of transparency; none where it is read as imagery."""
    colours = zip(dataset.indexes, dataset.colorinterp, strict=True)
    return next((band for band, colour in colours if colour == ColorInterp.alpha and band not in bands), None)


def _is_masked(flags: Sequence[MaskFlags]) -> bool:
    """Whether a mask beside the values decides, one that was made for it."""
    return MaskFlags.all_valid not in flags and MaskFlags.alpha not in flags and flags != [MaskFlags.nodata]


def _is_hidden(dataset: rasterio.DatasetReader, bands: Sequence[int]) -> bool:
    """Whether alpha or a mask decides, and no value."""
    masked = any(_is_masked(dataset.mask_flag_enums[band - 1]) for band in bands)
    return masked or _alpha_band(dataset, bands) is not None


def has_mask(raster: RasterInfo) -> bool:
    """Whether alpha or a mask tells which pixels of a raster are valid, whatever value is declared as nodata."""
    with rasterio.open(raster.path) as dataset:
        return _is_hidden(dataset, raster.bands)
