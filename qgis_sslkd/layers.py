"""Vector layers to plain files that another process can read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFields,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVector,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)

from .errors import Cancelled, PluginError
from .resources import tr

_MULTI_TYPES = {
    QgsWkbTypes.GeometryType.PolygonGeometry: QgsWkbTypes.Type.MultiPolygon,
    QgsWkbTypes.GeometryType.LineGeometry: QgsWkbTypes.Type.MultiLineString,
}

_TURN = 2 * math.pi * 6378137  # metres round the Earth, as Web Mercator counts them
_POINTS = 40  # along and across where rasters lie, by which they are found in another system
_STEPS = 200  # across where the rasters lie: if that is 100 km wide, an edge of one step bends by millimetres


class LayerUnusable(PluginError):
    """Raised when a layer cannot be given to the worker; says what to do with the layer."""


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """Return the name or the definition by which another process knows the coordinate reference system."""
    # What the user has defined goes by a number that only this QGIS knows.
    known = crs.authid() and not crs.authid().startswith("USER:")
    return crs.authid() if known else crs_definition(crs)


def crs_definition(crs: QgsCoordinateReferenceSystem) -> str:
    """Return the definition of a coordinate reference system, which is whole without any database."""
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2018)


def file_name(title: str) -> str:
    """Return the name of a file that is to be known by a layer's title, without extension."""
    # Besides what file systems forbid, the libraries of the other process read addresses out of signs such as ; and !.
    # File systems take 255 bytes, and a letter takes up to 4 of them.
    return re.sub(r"[^\w .,()-]", "_", title)[:60].strip() or "layer"


def write_features(
    source: QgsProcessingFeatureSource,
    places: Sequence[QgsReferencedRectangle],
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> str:
    """Write the geometries, as selected, filtered and edited, to a GeoPackage named after the layer; return its path.

    Args:
        source: of polygons or lines.
        places: of the rasters that they are for. What is near them is written, in the coordinate reference system of
            the first, to which it comes by the way that QGIS takes: it knows the project's choice and the grids of
            datums, another process does not. Without any, all is written in the layer's own.
        context: of the project.
        feedback: is told what was written.

    Raises:
        LayerUnusable: if there is nothing to write, it cannot be written, or a geometry cannot be brought to the
            first raster.
    """
    near = _surroundings(source.sourceCrs(), places, context.transformContext())
    way = _way(near, source.sourceCrs(), places, context.transformContext())
    path = QgsProcessingUtils.generateTempFilename(f"{file_name(source.sourceName())}.gpkg")
    writer = _open_writer(path, source, way.crs if way else source.sourceCrs(), context)
    # The validity check of Processing would stop at the first crossed outline, which is mended here instead.
    unchecked = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    wanted, counts = _multi_type(source), Counter[str]()
    for feature in source.getFeatures(_request(near, source), unchecked):
        if feedback.isCanceled():
            raise Cancelled(tr("Cancelled: nothing was written."))
        geometry = feature.geometry()
        counts.update(_oddities(geometry))
        if not (geometry.isEmpty() or geometry.isGeosValid()):
            counts["invalid"] += 1
            geometry = _mended(geometry)
        if way and way.misses(geometry):
            continue
        parts = _plain(way.cut(geometry) if way else geometry, wanted)
        counts["written" if parts else "left out"] += 1
        _write(writer, _led(parts, way, source.sourceName()) if way else parts)
    del writer  # the file is whole only when its writer is gone
    if not near.isNull():
        if not counts["written"]:
            # That nothing is near is the worker's to tell, which knows whether it matters.
            return write_features(source, (), context, feedback)
        # Where a filter decides, QGIS does not know how many there are.
        counts["far"] = max(0, source.featureCount() - counts["written"] - counts["left out"])
    if not counts["written"]:
        raise LayerUnusable(
            tr(
                "The layer {} holds no polygon or line that can be used: draw some, or check its filter and its "
                "selection."
            ).format(source.sourceName())
        )
    feedback.pushInfo(_told(source.sourceName(), counts))
    return path


def unsaved_edits(layer: QgsVectorLayer) -> str:
    """Return a sentence on what is drawn in a layer and not saved yet, which is used; empty if nothing is."""
    edits = layer.editBuffer() if layer.isModified() else None
    if edits is None:
        return ""
    return tr("{}: edits that are not saved yet are used: {} drawn, {} reshaped, {} deleted.").format(
        layer.name(), len(edits.addedFeatures()), len(edits.changedGeometries()), len(edits.deletedFeatureIds())
    )


@dataclass(frozen=True)
class _Way:
    """Leads what is near some rasters to another coordinate reference system, which may not reach to the rest."""

    transform: QgsCoordinateTransform
    near: QgsRectangle

    @property
    def crs(self) -> QgsCoordinateReferenceSystem:
        """Where it leads to."""
        return self.transform.destinationCrs()

    def misses(self, geometry: QgsGeometry) -> bool:
        """Return whether there is a geometry, and all of it is far from the rasters."""
        return not geometry.isEmpty() and not geometry.intersects(self.near)

    def cut(self, geometry: QgsGeometry) -> QgsGeometry:
        """Return what of a geometry is near the rasters."""
        if self.near.contains(geometry.boundingBox()):
            return geometry
        return geometry.intersection(QgsGeometry.fromRect(self.near))

    def lead(self, geometry: QgsGeometry) -> QgsGeometry:
        """Return a geometry where it leads to; raise QgsCsException if it does not.

        What is straight here may be bent there, so long edges get points in between.
        """
        led = geometry.densifyByDistance(max(self.near.width(), self.near.height()) / _STEPS)
        led.transform(self.transform)
        if not led.boundingBox().isFinite():
            raise QgsCsException("")
        return led


def _surroundings(
    crs: QgsCoordinateReferenceSystem,
    places: Sequence[QgsReferencedRectangle],
    transforms: QgsCoordinateTransformContext,
) -> QgsRectangle:
    """Return what lies around some rasters, in another system; null if there are none, or QGIS does not find them."""
    near = QgsRectangle()
    for around in _joined(places) if crs.isValid() else ():
        if around.crs() == crs:
            near.combineExtentWith(around)
            continue
        back = QgsCoordinateTransform(around.crs(), crs, transforms)
        # Point by point: of a rectangle, QGIS 3.40 forgets the way that the project has chosen.
        for across, down in product(range(_POINTS + 1), repeat=2):
            x = around.xMinimum() + around.width() * across / _POINTS
            y = around.yMinimum() + around.height() * down / _POINTS
            with suppress(QgsCsException):
                point = back.transform(x, y)
                if math.isfinite(point.x()) and math.isfinite(point.y()):
                    near.combineExtentWith(point.x(), point.y())
    return near


def _joined(places: Sequence[QgsReferencedRectangle]) -> Iterable[QgsReferencedRectangle]:
    """Return what lies around some rasters, in each of their systems one rectangle: there may be thousands of them."""
    joined: dict[str, QgsReferencedRectangle] = {}
    for place in places:
        around = joined.setdefault(crs_text(place.crs()), QgsReferencedRectangle(QgsRectangle(), place.crs()))
        # Beyond the raster: half the width of a line there may reach into it.
        around.combineExtentWith(place.buffered(max(place.width(), place.height()) / 2))
    return joined.values()


def _way(
    near: QgsRectangle,
    crs: QgsCoordinateReferenceSystem,
    places: Sequence[QgsReferencedRectangle],
    transforms: QgsCoordinateTransformContext,
) -> _Way | None:
    """Return the way of what is near some rasters to the first of them; None where none is needed or known."""
    if near.isNull() or places[0].crs() == crs:
        return None
    return _Way(QgsCoordinateTransform(crs, places[0].crs(), transforms), near)


def _request(near: QgsRectangle, source: QgsProcessingFeatureSource) -> QgsFeatureRequest:
    """Return the request for the geometries of a layer in a rectangle; for all of them if that is null."""
    request = QgsFeatureRequest().setNoAttributes()
    # A layer may hold the roads of a country; to find those at a raster is what its provider has an index for.
    return request if near.isNull() else request.setFilterRect(_on_every_turn(near, source))


def _on_every_turn(near: QgsRectangle, source: QgsProcessingFeatureSource) -> QgsRectangle:
    """Return a rectangle, joined with where a layer goes on to the same places another turn round the Earth."""
    crs, found = source.sourceCrs(), QgsRectangle(near)
    turn = 360.0 if crs.isGeographic() else _TURN if crs.authid() == "EPSG:3857" else 0.0
    for move in (-turn, turn) if turn else ():
        moved = near + QgsVector(move, 0)
        if moved.intersects(source.sourceExtent()):
            found.combineExtentWith(moved)
    return found


def _led(parts: list[QgsGeometry], way: _Way, layer: str) -> list[QgsGeometry]:
    try:
        return [way.lead(part) for part in parts]
    except QgsCsException as error:
        raise LayerUnusable(
            tr(
                "The layer {} cannot be brought to the coordinate reference system of the raster, {}: check the "
                "layer's position, and the transformations in the project's properties."
            ).format(layer, way.crs.userFriendlyIdentifier())
        ) from error


def _open_writer(
    path: str, source: QgsProcessingFeatureSource, crs: QgsCoordinateReferenceSystem, context: QgsProcessingContext
) -> QgsVectorFileWriter:
    # First of all: a table has no coordinate reference system either, and none can be set.
    geometries = _multi_type(source)
    if not source.sourceCrs().isValid():
        raise LayerUnusable(
            tr("The layer {} has no coordinate reference system: set it first.").format(source.sourceName())
        )
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "features"
    writer = QgsVectorFileWriter.create(path, QgsFields(), geometries, crs, context.transformContext(), options)
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise LayerUnusable(
            tr("The layer {} cannot be written to {}: {}").format(source.sourceName(), path, writer.errorMessage())
        )
    return writer


def _multi_type(source: QgsProcessingFeatureSource) -> QgsWkbTypes.Type:
    """Return the plain two-dimensional type that holds all of the source's geometries."""
    wanted = _MULTI_TYPES.get(QgsWkbTypes.geometryType(source.wkbType()))
    if wanted is None:
        raise LayerUnusable(tr("The layer {} holds neither polygons nor lines.").format(source.sourceName()))
    return wanted


def _oddities(geometry: QgsGeometry) -> Iterator[str]:
    """Yield what a geometry has that a plain one has not."""
    if geometry.isEmpty():
        return
    shape = geometry.constGet()
    if shape.is3D() or shape.isMeasure():
        yield "high"
    if shape.hasCurvedSegments():
        yield "curved"
    if shape.partCount() > 1:
        yield "multi"


def _mended(geometry: QgsGeometry) -> QgsGeometry:
    # Part by part: mended together, what two parts share would become a hole.
    return QgsGeometry.unaryUnion([part.makeValid() for part in geometry.asGeometryCollection()])


def _plain(geometry: QgsGeometry, wanted: QgsWkbTypes.Type) -> list[QgsGeometry]:
    """Return a valid geometry flat and straight; nothing where nothing of the wanted kind is left of it."""
    if QgsWkbTypes.flatType(geometry.wkbType()) == QgsWkbTypes.Type.GeometryCollection:
        geometry.convertGeometryCollectionToSubclass(QgsWkbTypes.geometryType(wanted))
    # Mended, a polygon may have become a line, which would be coerced to a polygon again.
    if geometry.isEmpty() or geometry.type() != QgsWkbTypes.geometryType(wanted):
        return []
    return list(geometry.coerceToType(wanted))


def _write(writer: QgsVectorFileWriter, parts: list[QgsGeometry]) -> None:
    for part in parts:
        feature = QgsFeature()
        feature.setGeometry(part)
        if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            raise LayerUnusable(tr("A geometry could not be written: {}").format(writer.errorMessage()))


def _told(layer: str, counts: Counter[str]) -> str:
    """Return the sentence on what was written of a layer."""
    oddities = {
        "multi": tr("{} of several parts"),
        "invalid": tr("{} invalid, mended"),
        "high": tr("{} with heights or measures, flattened"),
        "curved": tr("{} curved, straightened"),
        "left out": tr("{} without a usable shape, left out"),
        "far": tr("{} far from the raster, left out"),
    }
    told = [text.format(counts[name]) for name, text in oddities.items() if counts[name]]
    features = tr("{}: {} feature(s)").format(layer, counts["written"])
    return f"{features} ({'; '.join(told)})." if told else f"{features}."
