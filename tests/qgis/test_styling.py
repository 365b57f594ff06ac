"""Where results lie in the tree of layers."""

from conftest import memory_layer
from qgis.core import QgsProcessingContext, QgsProject

from qgis_sslkd.styling import Origin, present_when_loaded

KINDS = {"centre_lines": "LineString", "outlines": "Polygon"}


def test_results_lie_in_order_whichever_of_those_that_qgis_has_loaded_is_presented_first(context, feedback):
    project = QgsProject.instance()
    group = project.layerTreeRoot().addGroup("Roads of ortho")
    for first in ("centre_lines", "outlines"):
        # So does QGIS 3.44 where a layer of the group is current: all are at its top before the first is presented.
        layers = {product: memory_layer(kind) for product, kind in KINDS.items()}
        project.addMapLayers(layers.values(), addToLegend=False)
        for layer in reversed(layers.values()):
            group.insertLayer(0, layer)
        for product in sorted(layers, key=first.__ne__):
            present(layers[product], product, context, feedback)
    found = [child.layer().customProperty("sslkd/product") for child in group.children()]
    assert found == ["centre_lines"] * 2 + ["outlines"] * 2


def present(layer, product, context, feedback):
    """Do with a layer what QGIS does once it is in the project."""
    path, project = layer.source(), QgsProject.instance()
    details = QgsProcessingContext.LayerDetails("Roads", project, product.upper())
    context.addLayerToLoadOnCompletion(path, details)
    present_when_loaded(path, product, "Roads", Origin("ortho", "Detect roads", {}), context)
    context.layerToLoadOnCompletionDetails(path).postProcessor().postProcessLayer(layer, context, feedback)
