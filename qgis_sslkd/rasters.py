"""Raster layers to files that another process opens: by name, or copied where only QGIS can read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsNetworkAccessManager,
    QgsNetworkReplyContent,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSingleBandColorDataRenderer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtNetwork import QNetworkReply

from .errors import Cancelled
from .layers import LayerUnusable, crs_definition, file_name
from .resources import tr
from .sources import gdal_name, open_options

MOST_TILES = 2500
_TILE = 256  # pixels of most servers' tiles
_PIECE = 1024  # pixels asked for at a time; QGIS asks a server for 256 tiles at most
_MOST_FAILURES = 16
_NO_IMAGERY = ("text/", "application/xml", "application/vnd.ogc.se")  # types of what servers say in its place
_WGS84_ELLIPSOID = "EPSG:7030"
_NO_RESULT = -3.4028234663852886e38  # the least float: of formulas where their rasters have nothing, NaN in later QGIS
_PICTURES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
_GEOTIFF = ["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"]


class Raster(Protocol):
    """A raster layer, taken apart in the main thread so that any thread may ask it for a file."""

    @property
    def place(self) -> QgsReferencedRectangle:
        """Where it lies, in its coordinate reference system as QGIS has it."""

    def file(self, folder: Path, feedback: QgsProcessingFeedback) -> str:
        """Return the name by which GDAL opens the raster in another process, copied to the folder if need be."""


@dataclass(frozen=True)
class Frame:
    """How much is copied of a layer that another process cannot read.

    Attributes:
        extent: in the layer's coordinate reference system; null where none is chosen.
        pixel: metres on the ground, for pictures, which have no pixels of their own; None where none is chosen.
        most_tiles: of 256 by 256 pixels; None for any number.
    """

    extent: QgsRectangle = field(default_factory=QgsRectangle)
    pixel: float | None = None
    most_tiles: int | None = MOST_TILES


def take_raster(layer: QgsRasterLayer, frame: Frame | None, context: QgsProcessingContext) -> Raster:
    """Take from the layer what only the main thread may ask it.

    Args:
        layer: of any provider.
        frame: how much of it to copy, if it must be copied; None where a picture will not do.
        context: for transformations.

    Raises:
        LayerUnusable: if it cannot be read, or is too large to be copied.
    """
    if not layer.isValid():
        raise LayerUnusable(tr("The layer {} cannot be read: mend or remove it first.").format(layer.name()))
    if not layer.crs().isValid():
        raise LayerUnusable(tr("The layer {} has no coordinate reference system: set it first.").format(layer.name()))
    if layer.providerType() == "gdal":
        return _take_file(layer)
    if frame is None and _is_picture(layer.dataProvider()):
        raise LayerUnusable(tr("The layer {} is a picture: choose a raster of values.").format(layer.name()))
    return RasterOfProvider(layer, frame or Frame(most_tiles=None), context.transformContext())


def _take_file(layer: QgsRasterLayer) -> Raster:
    name, place = gdal_name(layer.source()), QgsReferencedRectangle(layer.extent(), layer.crs())
    crs = None if layer.crs() == layer.dataProvider().crs() else crs_definition(layer.crs())
    opened = open_options(layer.source())
    if name.startswith("/vsimem/"):
        made = {"creationOptions": _GEOTIFF, "outputSRS": crs}
        return TranslatedRaster(place, layer.name(), name, opened, "tif", made)
    if crs or opened:
        return TranslatedRaster(place, layer.name(), name, opened, "vrt", {"format": "VRT", "outputSRS": crs})
    return RasterFile(place, name)


@dataclass(frozen=True)
class RasterFile:
    """A raster that every GDAL opens by its name."""

    place: QgsReferencedRectangle
    name: str

    def file(self, folder: Path, feedback: QgsProcessingFeedback) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True)
class TranslatedRaster:
    """A raster in the memory of QGIS's GDAL, one that QGIS has put into another system, or opens by options."""

    place: QgsReferencedRectangle
    title: str
    name: str
    opened: list[str]
    extension: str
    options: dict[str, Any]

    def file(self, folder: Path, feedback: QgsProcessingFeedback) -> str:
        """Copy it as it is, or refer to it from a file that tells its coordinate reference system and its options."""
        path = _place(folder, self.title, self.extension)

        def goes_on(share: float, *_: object) -> bool:
            feedback.setProgress(100 * share)
            return not feedback.isCanceled()

        try:
            source = gdal.OpenEx(self.name, gdal.OF_RASTER, open_options=self.opened)
            copied, problem = source and gdal.Translate(path, source, callback=goes_on, **self.options), ""
        except RuntimeError as error:  # None, where nobody asked GDAL for exceptions
            copied, problem = None, str(error)
        if copied is None:
            Path(path).unlink(missing_ok=True)
            _raise_if_cancelled(feedback)
            raise LayerUnusable(
                tr("The layer {} cannot be copied to {}: {}").format(
                    self.title, path, problem or gdal.GetLastErrorMsg()
                )
            )
        return path


class RasterOfProvider:
    """A raster of a provider that only QGIS has: values of a database or a formula, or pictures of a server."""

    def __init__(self, layer: QgsRasterLayer, frame: Frame, transforms: QgsCoordinateTransformContext) -> None:
        self._name, self._crs, self._transforms = layer.name(), layer.crs(), transforms
        self._grid = self._planned(layer.dataProvider(), frame)
        if frame.most_tiles is not None and self._grid.tiles > frame.most_tiles:
            raise LayerUnusable(
                tr(
                    "Of the layer {}, {} x {} pixels would be copied, which are {} tiles, and the most are {}: "
                    "choose a smaller extent, larger pixels or more tiles."
                ).format(self._name, self._grid.columns, self._grid.rows, self._grid.tiles, frame.most_tiles)
            )
        # Cloned once: QGIS 3.22 forgets the layers of a formula in the clone of a clone.
        self._pipe = _pipe(layer.dataProvider().clone())

    @property
    def place(self) -> QgsReferencedRectangle:
        """What is copied."""
        return QgsReferencedRectangle(self._grid.extent, self._crs)

    def file(self, folder: Path, feedback: QgsProcessingFeedback) -> str:
        """Write what the frame holds to a GeoTIFF: values as they are, pictures as red, green, blue and alpha."""
        feedback.pushInfo(
            tr("Copying {}: {} x {} pixels of {:.2f} m, which are {} tiles of {} x {}.").format(
                self._name, self._grid.columns, self._grid.rows, self._metres(), self._grid.tiles, _TILE, _TILE
            )
        )
        path = _place(folder, self._name, "tif")
        try:
            self._write(path, feedback)
        except (LayerUnusable, Cancelled):
            Path(path).unlink(missing_ok=True)
            raise
        return path

    def _planned(self, provider: QgsRasterDataProvider, frame: Frame) -> _Grid:
        extent = provider.extent()
        if not frame.extent.isNull():
            extent = extent.intersect(frame.extent)
        if extent.isEmpty():
            raise LayerUnusable(
                tr("The extent holds no part of the raster {}: draw it over the raster.").format(self._name)
            )
        if provider.xSize() and provider.ySize() and not _is_picture(provider):
            whole = provider.extent()
            pixel = whole.width() / provider.xSize(), whole.height() / provider.ySize()
            return _Grid.around(extent, (whole.xMinimum(), whole.yMaximum()), pixel)
        return self._planned_picture(provider, extent, frame)

    def _planned_picture(self, provider: QgsRasterDataProvider, extent: QgsRectangle, frame: Frame) -> _Grid:
        if frame.extent.isNull():
            raise LayerUnusable(tr("The layer {} is a picture of a server: choose an extent.").format(self._name))
        if frame.pixel is None:
            raise LayerUnusable(tr("The layer {} is a picture of a server: choose a pixel size.").format(self._name))
        side = _at_least_as_fine(frame.pixel / self._metres_per_unit(extent), provider.nativeResolutions())
        # Tiles start at whole pixels from the origin in most schemes: then no pixel is interpolated, though after 3.40
        # QGIS draws tiles up to a pixel larger on each side, against gaps.
        return _Grid.around(extent, (0.0, 0.0), (side, side))

    def _metres(self) -> float:
        return self._grid.extent.width() / self._grid.columns * self._metres_per_unit(self._grid.extent)

    def _metres_per_unit(self, extent: QgsRectangle) -> float:
        return _metres_per_unit(self._crs, extent.center(), self._transforms)

    def _write(self, path: str, feedback: QgsProcessingFeedback) -> None:
        writer, grid = _writer(path, self._pipe.provider()), self._grid
        of_pictures = _is_picture(self._pipe.provider())
        with _told_to_stop(feedback) as block, _replies(block, of_pictures) as replies:
            problem = writer.writeRaster(
                self._pipe, grid.columns, grid.rows, grid.extent, self._crs, self._transforms, block
            )
        _raise_if_cancelled(feedback)
        if replies.failed or block.errors():
            reason = next(iter([*replies.failed.values(), *block.errors()]))
            raise LayerUnusable(tr("The server of the layer {} does not answer: {}").format(self._name, reason))
        # None is 0, by names that differ between versions of QGIS.
        if problem != type(problem)(0):
            raise LayerUnusable(tr("The layer {} cannot be copied to {}.").format(self._name, path))
        if self._pipe.provider().name() == "virtualraster":
            _declare_nodata(path, _NO_RESULT)
        if replies.absent:
            feedback.pushWarning(
                tr("The server has nothing for {} of the tiles; they count as nodata.").format(len(replies.absent))
            )


@dataclass(frozen=True)
class _Grid:
    """Pixels on the map."""

    extent: QgsRectangle
    columns: int
    rows: int

    @classmethod
    def around(cls, extent: QgsRectangle, origin: tuple[float, float], pixel: tuple[float, float]) -> _Grid:
        """Return the least whole pixels, counted from the origin, that hold the extent."""
        left, right = _whole(extent.xMinimum(), extent.xMaximum(), origin[0], pixel[0])
        bottom, top = _whole(extent.yMinimum(), extent.yMaximum(), origin[1], pixel[1])
        return cls(
            QgsRectangle(
                origin[0] + left * pixel[0],
                origin[1] + bottom * pixel[1],
                origin[0] + right * pixel[0],
                origin[1] + top * pixel[1],
            ),
            right - left,
            top - bottom,
        )

    @property
    def tiles(self) -> int:
        """How many tiles of a server they are."""
        return math.ceil(self.columns / _TILE) * math.ceil(self.rows / _TILE)


class _Replies:
    """What servers answered in this thread, by address; QGIS leaves out in silence what does not come."""

    def __init__(self, block: QgsRasterBlockFeedback, of_pictures: bool) -> None:
        self.failed: dict[str, str] = {}
        self.absent: set[str] = set()
        self._block, self._of_pictures = block, of_pictures

    def hear(self, reply: QgsNetworkReplyContent) -> None:
        """Take an answer; QGIS asks again after a failure, so the last one counts."""
        address, error = reply.request().url().toString(), reply.error()
        self.failed.pop(address, None)
        # Of pictures it is a tile that there is not, which QGIS makes transparent.
        if error == QNetworkReply.NetworkError.ContentNotFoundError and self._of_pictures:
            self.absent.add(address)
        elif error not in (QNetworkReply.NetworkError.NoError, QNetworkReply.NetworkError.OperationCanceledError):
            self.failed[address] = reply.errorString()
        elif (kind := bytes(reply.rawHeader(b"Content-Type")).decode()).startswith(_NO_IMAGERY):
            self.failed[address] = tr("it sent {} in place of imagery").format(kind)
        if len(self.failed) > _MOST_FAILURES:
            self._block.cancel()


@contextmanager
def _replies(block: QgsRasterBlockFeedback, of_pictures: bool) -> Iterator[_Replies]:
    replies = _Replies(block, of_pictures)
    answered = QgsNetworkAccessManager.instance().finished[QgsNetworkReplyContent]
    answered.connect(replies.hear)
    try:
        yield replies
    finally:
        answered.disconnect(replies.hear)


@contextmanager
def _told_to_stop(feedback: QgsProcessingFeedback) -> Iterator[QgsRasterBlockFeedback]:
    """Yield a feedback for rasters that passes on cancel and progress."""
    block = QgsRasterBlockFeedback()
    block.progressChanged.connect(feedback.setProgress)
    # Directly: this thread is busy with the raster and hears no signal of another.
    feedback.canceled.connect(block.cancel, Qt.ConnectionType.DirectConnection)
    if feedback.isCanceled():
        block.cancel()
    try:
        yield block
    finally:
        feedback.canceled.disconnect(block.cancel)


def _raise_if_cancelled(feedback: QgsProcessingFeedback) -> None:
    if feedback.isCanceled():
        raise Cancelled(tr("Cancelled: nothing was written."))


def _writer(path: str, provider: QgsRasterDataProvider) -> QgsRasterFileWriter:
    writer = QgsRasterFileWriter(path)
    writer.setOutputFormat("GTiff")
    # By another name since 3.44.
    set_options = writer.setCreationOptions if hasattr(writer, "setCreationOptions") else writer.setCreateOptions
    set_options(_GEOTIFF)
    # No larger piece than the provider gives at a time.
    writer.setMaxTileWidth(min(_PIECE, provider.stepWidth()))
    writer.setMaxTileHeight(min(_PIECE, provider.stepHeight()))
    return writer


def _declare_nodata(path: str, value: float) -> None:
    dataset = gdal.Open(path, gdal.GA_Update)
    for band in range(1, dataset.RasterCount + 1):
        dataset.GetRasterBand(band).SetNoDataValue(value)
    dataset.FlushCache()


def _pipe(provider: QgsRasterDataProvider) -> QgsRasterPipe:
    pipe = QgsRasterPipe()
    pipe.set(provider)
    if _is_picture(provider):
        # The server's own colours, whatever the layer's style makes of them.
        pipe.set(QgsSingleBandColorDataRenderer(provider, 1))
    return pipe


def _is_picture(provider: QgsRasterDataProvider) -> bool:
    return provider.dataType(1) in _PICTURES


def _at_least_as_fine(wanted: float, native: list[float]) -> float:
    """Return the coarsest of a server's own resolutions that is as fine as wanted; its finest if none is."""
    fine = [each for each in native if each <= wanted * 1.01]
    return max(fine) if fine else min(native, default=wanted)


def _metres_per_unit(
    crs: QgsCoordinateReferenceSystem, place: QgsPointXY, transforms: QgsCoordinateTransformContext
) -> float:
    """Return how many metres on the ground one map unit spans at a place, as the mean of both directions."""
    ruler, step = QgsDistanceArea(), 1e-4 if crs.isGeographic() else 10.0
    ruler.setSourceCrs(crs, transforms)
    ruler.setEllipsoid(_WGS84_ELLIPSOID)
    across = ruler.measureLine(place, QgsPointXY(place.x() + step, place.y()))
    along = ruler.measureLine(place, QgsPointXY(place.x(), place.y() + step))
    return math.sqrt(across * along) / step


def _whole(least: float, most: float, origin: float, pixel: float) -> tuple[int, int]:
    """Return the first pixel of a range and the one after its last; a thousandth of a pixel is rounding."""
    first, end = (least - origin) / pixel, (most - origin) / pixel
    return math.floor(first + 1e-3), math.ceil(end - 1e-3)


def _place(folder: Path, title: str, extension: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{file_name(title)}.{extension}")
