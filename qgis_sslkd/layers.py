"""Vector layers to plain files that another process can read."""

from __future__ import annotations

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
    QgsWkbTypes,
)

from .errors import PluginError
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
    return crs.authid() if known else crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2018)


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
    mended = 0
    for feature in source.getFeatures(QgsFeatureRequest().setNoAttributes(), unchecked):
        if feedback.isCanceled():
            break
        if feature.hasGeometry():
            geometry, was_mended = _mend(feature.geometry())
            mended += was_mended
            _write_geometry(writer, geometry, _multi_type(source))
    del writer  # the file is whole only when its writer is gone
    if mended:
        feedback.pushInfo(tr("{}: {} invalid geometries were mended.").format(source.sourceName(), mended))
    return path


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


def _mend(geometry: QgsGeometry) -> tuple[QgsGeometry, bool]:
    """Return the geometry made valid, and whether it was not."""
    if geometry.isGeosValid():
        return geometry, False
    return geometry.makeValid(), True


def _write_geometry(writer: QgsVectorFileWriter, geometry: QgsGeometry, wanted: QgsWkbTypes.Type) -> None:
    if QgsWkbTypes.flatType(geometry.wkbType()) == QgsWkbTypes.Type.GeometryCollection:
        geometry.convertGeometryCollectionToSubclass(QgsWkbTypes.geometryType(wanted))
    for part in geometry.coerceToType(wanted):
        feature = QgsFeature()
        feature.setGeometry(part)
        if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            raise LayerUnusable(tr("A geometry could not be written: {}").format(writer.errorMessage()))
