"""Styles for the layers that Processing loads when an algorithm has ended."""

from __future__ import annotations

from functools import cache

from qgis.core import (
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
)

from .resources import style_file, tr


def style_when_loaded(path: str, style: str, context: QgsProcessingContext) -> None:
    """Have the layer styled when QGIS loads it, if it is going to."""
    if context.willLoadLayerOnCompletion(path):
        context.layerToLoadOnCompletionDetails(path).setPostProcessor(_styler(style))


class _Styler(QgsProcessingLayerPostProcessorInterface):
    """Gives one style to every layer that it is handed."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self._style = style

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Load the style; called in the main thread."""
        problem, loaded = layer.loadNamedStyle(style_file(self._style))
        if not loaded:
            feedback.pushWarning(tr("The layer {} keeps QGIS's style: {}").format(layer.name(), problem))
        layer.triggerRepaint()


# QGIS keeps no reference to a post-processor and calls it when the algorithm is gone: the cache keeps each.
@cache
def _styler(style: str) -> _Styler:
    return _Styler(style)
