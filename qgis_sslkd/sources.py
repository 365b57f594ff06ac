"""Where the data of layers lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsMapLayer,
    QgsProcessingFeedback,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsVectorLayer,
)

from .resources import tr

_PARTS_OF_A_GDAL_NAME = ("path", "layerName", "vsiPrefix", "vsiSuffix")


def files_of(layer: QgsMapLayer) -> list[str]:
    """Return the files that a layer's data lie in, as far as QGIS or GDAL know of any."""
    kind, source = layer.providerType(), layer.source()
    if kind == "gdal":
        return _files_of_raster(gdal_name(source))
    if kind == "virtualraster":
        formula, _ = QgsRasterDataProvider.decodeVirtualRasterProviderUri(source)
        parts = [QgsRasterLayer(each.uri, each.name, each.provider) for each in formula.rInputLayers]
        return [file for part in parts for file in files_of(part)]
    if kind == "virtual":
        parts = [QgsProject.instance().mapLayer(each.layerId()) for each in layer.dependencies()]
        return [file for part in parts if part is not None for file in files_of(part)]
    path = _named_file(layer)
    return [path] if path else []


def read_anew(layers: Iterable[QgsMapLayer], files: Iterable[str], feedback: QgsProcessingFeedback) -> None:
    """Have layers let go of files that were replaced: they would show the former ones, and save edits to them.

    Args:
        layers: of the project, whichever way they came there.
        files: that were made anew.
        feedback: is told of edits that are not saved yet.
    """
    replaced = {Path(file).resolve() for file in files}
    names = {file.name for file in replaced}
    for layer in layers:
        file = Path(_named_file(layer) or "")
        # Not all that GDAL opens by a name is a path that systems resolve, and servers may not answer.
        if file.name in names and file.resolve() in replaced:
            _read_anew(layer, feedback)


def gdal_name(source: str) -> str:
    """Return a raster layer's source without what only QGIS understands: open options, credentials, subsets."""
    registry = QgsProviderRegistry.instance()
    parts = registry.decodeUri("gdal", source)
    return registry.encodeUri("gdal", {key: parts[key] for key in _PARTS_OF_A_GDAL_NAME if parts.get(key)})


def open_options(source: str) -> list[str]:
    """Return the options by which GDAL opens a raster layer, such as where it looks for the raster's place."""
    return list(QgsProviderRegistry.instance().decodeUri("gdal", source).get("openOptions", []))


def _files_of_raster(name: str) -> list[str]:
    try:
        dataset = gdal.Open(name)
    except RuntimeError:  # None, where nobody asked GDAL for exceptions
        dataset = None
    return (dataset.GetFileList() or []) if dataset else []


def _named_file(layer: QgsMapLayer) -> str | None:
    """Return the file that a layer's source names, which is not opened for it; None where it names none."""
    return QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source()).get("path")


def _read_anew(layer: QgsMapLayer, feedback: QgsProcessingFeedback) -> None:
    layer.setDataSource(layer.source(), layer.name(), layer.providerType())
    if isinstance(layer, QgsVectorLayer):
        layer.updateExtents()
        if layer.isModified():
            feedback.pushWarning(
                tr(
                    "The layer {} was edited while its file was made anew: the edits that are not saved yet are of the "
                    "former features, and would change others. Drop them, or look at each before you save."
                ).format(layer.name())
            )
    layer.triggerRepaint()
