"""Graphical models that come with the plugin."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingModelAlgorithm
from qgis.PyQt.QtGui import QIcon

from ..resources import icon, tr

__all__ = ["TrainAndDetect"]

_FILE = Path(__file__).parent / "train_and_detect.model3"


class TrainAndDetect(QgsProcessingModelAlgorithm):
    """Trains on the annotated part of a raster and detects roads in all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fromFile(str(_FILE))

    def createInstance(self) -> TrainAndDetect:
        """Return a fresh algorithm of the same kind."""
        return TrainAndDetect()

    def name(self) -> str:
        """Return the id; models and scripts depend on it."""
        return "trainanddetect"

    def displayName(self) -> str:
        """Return the name shown in the Toolbox."""
        return tr("Train and detect")

    def group(self) -> str:
        """Return the group shown in the Toolbox."""
        return tr("Roads")

    def groupId(self) -> str:
        """Return the group's id."""
        return "roads"

    def tags(self) -> list[str]:
        """Return the words that find it in the Toolbox."""
        return tr("roads,train,detect,model,deep learning,segmentation").split(",")

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon(self.name())
