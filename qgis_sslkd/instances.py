"""The algorithms that QGIS holds: they may outlive the plugin, as one that runs while it is disabled or renewed."""

from __future__ import annotations

from weakref import WeakSet

from qgis.core import QgsProcessingAlgorithm
from qgis.PyQt import sip

_held: WeakSet[QgsProcessingAlgorithm] = WeakSet()


def new_instance(algorithm: QgsProcessingAlgorithm) -> QgsProcessingAlgorithm:
    """Return a fresh algorithm of the same kind."""
    made = type(algorithm)()
    _held.add(made)
    return made


def let_go_of_provider() -> None:
    """Have all of them forget the provider, which QGIS deletes: asked for their ids, they would have QGIS crash."""
    for algorithm in tuple(_held):
        if not sip.isdeleted(algorithm):
            algorithm.setProvider(None)
