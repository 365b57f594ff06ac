"""Vector layers to plain files that another process can read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFields,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
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
    name: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> str:
    """Write the geometries, as selected, filtered and edited, to a GeoPackage and return its path."""
    path = QgsProcessingUtils.generateTempFilename(f"{name}.gpkg")
    writer = _open_writer(path, name, source, context)
    # The validity check of Processing would stop at the first crossed outline, which is mended here instead.
    unchecked = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    counts: Counter[str] = Counter()
    for feature in source.getFeatures(QgsFeatureRequest().setNoAttributes(), unchecked):
        if feedback.isCanceled():
            raise Cancelled(tr("Cancelled: nothing was written."))
        counts.update(_oddities(feature.geometry()))
        parts = _plain(feature.geometry(), _multi_type(source))
        counts.update(["written"] if parts else ["left out"])
        _write(writer, parts)
    del writer  # the file is whole only when its writer is gone
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


def _open_writer(
    path: str, name: str, source: QgsProcessingFeatureSource, context: QgsProcessingContext
) -> QgsVectorFileWriter:
    if not source.sourceCrs().isValid():
        raise LayerUnusable(
            tr("The layer {} has no coordinate reference system: set it first.").format(source.sourceName())
        )
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = name
    writer = QgsVectorFileWriter.create(
        path, QgsFields(), _multi_type(source), source.sourceCrs(), context.transformContext(), options
    )
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
    if geometry.isNull():
        return
    shape = geometry.constGet()
    if not geometry.isGeosValid():
        yield "invalid"
    if shape.is3D() or shape.isMeasure():
        yield "high"
    if shape.hasCurvedSegments():
        yield "curved"
    if shape.partCount() > 1:
        yield "multi"


def _plain(geometry: QgsGeometry, wanted: QgsWkbTypes.Type) -> list[QgsGeometry]:
    """Return a geometry made valid, flat and straight; nothing where nothing of the wanted kind is left of it."""
    if not geometry.isNull() and not geometry.isGeosValid():
        geometry = geometry.makeValid()
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
    }
    told = [text.format(counts[name]) for name, text in oddities.items() if counts[name]]
    features = tr("{}: {} feature(s)").format(layer, counts["written"])
    return f"{features} ({'; '.join(told)})." if told else f"{features}."
