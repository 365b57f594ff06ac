"""How the layers that Processing loads when an algorithm has ended look, what they are called and where they lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qgis.core import (
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsLayerTreeNode,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt

from .managed import plugin_version
from .resources import layer_style, tr

# From the top of the layer tree down: what covers little of the map lies over what covers much.
_ORDER = ("centre_lines", "outlines", "map", "probability", "surface")
_SUBJECT, _PRODUCT = "sslkd/subject", "sslkd/product"


@dataclass(frozen=True)
class Origin:
    """Where a layer comes from.

    Attributes:
        subject: name of the raster that roads were looked for in.
        algorithm: what made it, as the Toolbox calls it.
        facts: what it was made with, by name.
    """

    subject: str
    algorithm: str
    facts: Mapping[str, str]


# Of results by their paths: the steps of a model hand on files, before QGIS makes layers of them that could tell.
_subjects: dict[str, str] = {}


def subject_of(layer: QgsMapLayer) -> str:
    """Return the name of the raster that a layer tells of: of a result, that of the raster it was made of."""
    return str(layer.customProperty(_SUBJECT) or _subjects.get(layer.source()) or layer.name())


def present_when_loaded(
    path: str, product: str, usual_name: str, origin: Origin, context: QgsProcessingContext
) -> None:
    """Have the layer named, styled, described and put in its place when QGIS loads it, if it is going to.

    Args:
        path: of the output.
        product: what it is, which names its style, too, and in capitals is its key.
        usual_name: what Processing calls it if nobody chose another name, which would be kept as the file's is.
        origin: where it comes from.
        context: of the algorithm.
    """
    _subjects[path] = origin.subject
    if context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        # By its key it goes in the model that comes along.
        if details.name in (usual_name, product.upper()):
            # Not forced: by itself, QGIS calls files that somebody has named by those names.
            details.name = f"{usual_name}: {origin.subject}"
        presenter = _Presenter(product, origin)
        details.setPostProcessor(presenter)
        _waiting.add(presenter)


class _Presenter(QgsProcessingLayerPostProcessorInterface):
    """Finishes one layer."""

    def __init__(self, product: str, origin: Origin) -> None:
        super().__init__()
        self._product, self._origin = product, origin
        self._made = QDateTime.currentDateTime()

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style, describe and place the layer; called in the main thread when it is in the project."""
        # One whose file was made anew keeps its style, with labels and fields of expressions: they may be the user's.
        if layer.customProperty(_PRODUCT) != self._product:
            self._style(layer, feedback)
        layer.setCustomProperty(_SUBJECT, self._origin.subject)
        layer.setCustomProperty(_PRODUCT, self._product)
        self._describe(layer)
        node = layer.project().layerTreeRoot().findLayer(layer.id()) if layer.project() else None
        if node is not None:
            _put_in_place(node, self._origin.subject)
        layer.triggerRepaint()
        _waiting.discard(self)

    def _style(self, layer: QgsMapLayer, feedback: QgsProcessingFeedback) -> None:
        loaded, problem = layer.importNamedStyle(layer_style(self._product))
        if not loaded:
            feedback.pushWarning(tr("The layer {} keeps QGIS's style: {}").format(layer.name(), problem))
        if isinstance(layer, QgsVectorLayer):
            layer.setMapTipTemplate(_map_tip(layer))

    def _describe(self, layer: QgsMapLayer) -> None:
        date = self._made.toString(Qt.DateFormat.ISODate)
        made = tr("{}: made by {}, SSLKD {}").format(date, self._origin.algorithm, plugin_version())
        facts = [f"{name}: {value}" for name, value in self._origin.facts.items()]
        metadata = layer.metadata()
        metadata.setTitle(layer.name())
        metadata.setAbstract("\n".join([*facts, made]))
        metadata.addHistoryItem(made)
        layer.setMetadata(metadata)


# QGIS keeps no reference to a post-processor and calls it when the algorithm is gone.
_waiting: set[_Presenter] = set()


def _map_tip(layer: QgsVectorLayer) -> str:
    """Return what QGIS shows of a road under the mouse: its measures, as the attribute table calls them."""
    titles = {field.name(): field.alias() for field in layer.fields() if field.alias()}
    lines = (f'{title}: [% round("{name}", 2) %]' for name, title in titles.items())
    return f'<div style="white-space: nowrap">{"<br>".join(lines)}</div>'


def _put_in_place(node: QgsLayerTreeLayer, subject: str) -> None:
    """Move a layer into the group of its raster, above what it should cover."""
    group = _group_of(subject, node)
    # QGIS may have put the layer into the group itself, at the top, with others that are to be put in their places yet.
    children = enumerate(group.children(), start=1)
    place = max((below for below, child in children if child != node and _rank(child) < _rank(node)), default=0)
    parent = node.parent()
    # First the copy: QGIS drops layers that are no longer in the tree.
    group.insertChildNode(place, node.clone())
    parent.removeChildNode(node)
    # Its file was made anew of another raster, and was the last of the former one's results.
    if parent.customProperty(_SUBJECT) is not None and not parent.children():
        parent.parent().removeChildNode(parent)


def _group_of(subject: str, node: QgsLayerTreeLayer) -> QgsLayerTreeGroup:
    """Return the group of a raster's results, made where the layer is, but beside the groups of other rasters."""
    title = tr("Roads of {}").format(subject)
    group = node.layer().project().layerTreeRoot().findGroup(title) or _inserted(title, node)
    group.setCustomProperty(_SUBJECT, subject)
    return group


def _inserted(title: str, node: QgsLayerTreeNode) -> QgsLayerTreeGroup:
    """Return a new group above a node, which QGIS may have put among the results of another raster."""
    parent = node.parent()
    if parent.customProperty(_SUBJECT) is not None:
        return _inserted(title, parent)
    return parent.insertGroup(parent.children().index(node), title)


def _rank(node: QgsLayerTreeNode) -> int:
    """Return how far down a layer lies; what is not from here lies at the bottom."""
    layer = node.layer() if isinstance(node, QgsLayerTreeLayer) else None
    product = layer.customProperty(_PRODUCT) if layer else None
    return _ORDER.index(product) if product in _ORDER else len(_ORDER)
