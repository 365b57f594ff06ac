"""Where the data of layers lie."""

from __future__ import annotations

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsProject, QgsProviderRegistry, QgsRasterDataProvider, QgsRasterLayer

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
    path = QgsProviderRegistry.instance().decodeUri(kind, source).get("path")
    return [path] if path else []


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
