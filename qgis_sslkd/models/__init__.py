"""Graphical models that come with the plugin."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingModelAlgorithm
from qgis.PyQt.QtGui import QIcon

from ..instances import new_instance
from ..resources import help_page, icon, short_help, tr, translate_titles

__all__ = ["TrainAndDetect"]

_FILE = Path(__file__).parent / "train_and_detect.model3"
# QGIS orders the outputs of models by the alphabet.
_OUTPUTS = ("train:MODEL", "train:REPORT", "detect:SURFACE", "detect:OUTLINES", "detect:CENTRE_LINES")


class TrainAndDetect(QgsProcessingModelAlgorithm):
    """Trains on the annotated part of a raster and detects roads in all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fromFile(str(_FILE))
        # Without it, QGIS takes the model for one that is not saved, and leaves its runs out of its history.
        self.setSourceFilePath(str(_FILE))
        for key in _OUTPUTS:
            self._move_to_end(key)
        translate_titles(self)

    def createInstance(self) -> TrainAndDetect:
        """Return a fresh algorithm of the same kind."""
        return new_instance(self)

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

    def shortDescription(self) -> str:
        """Return the tool tip."""
        return tr("Trains a road detector on a raster of which a part is annotated, and finds the roads in all of it")

    def shortHelpString(self) -> str:
        """Return the help beside the dialog."""
        return short_help(
            self.name(),
            tr(
                "Trains a road detector on a raster of which a part is annotated, and finds the roads in all of it: "
                "<i>Train SSLKD</i> and <i>Detect roads</i> in one.\n\n"
                "<b>Raster</b>: the imagery.\n"
                "<b>Annotations</b>: road surfaces as polygons, or roads as lines.\n"
                "<b>Road width</b>: what roads drawn as lines get, in metres.\n"
                "<b>Annotated area</b>: where every road is drawn; a part of the raster. "
                "Without it, the whole raster counts as annotated.\n"
                "<b>Preset</b>: quick suits a laptop without a GPU, balanced a GPU, "
                "paper is what the publication did.\n\n"
                "Advanced parameters that stay empty follow the preset. "
                "<b>Nodata value</b>: one that stands for nothing, besides what the raster declares. "
                "<b>Steps of each stage</b>: more take longer. "
                "<b>Tile in training</b> and <b>tiles at a time in training</b>: less needs less memory. "
                "<b>Device</b>: auto takes the GPU where there is one.\n\n"
                "<b>Model file</b> and <b>report</b> are those of <i>Train SSLKD</i>; <b>road surface</b>, "
                "<b>road outlines</b> and <b>road centre lines</b> those of <i>Detect roads</i>."
            ),
        )

    def helpUrl(self) -> str:
        """Return the address of the help page, which the dialog's button opens."""
        return help_page(self.name())

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon(self.name())

    def _move_to_end(self, key: str) -> None:
        # None while QGIS does not know the steps yet, whose outputs these are.
        parameter = self.parameterDefinition(key)
        if parameter is not None:
            moved = parameter.clone()
            self.removeParameter(key)
            self.addParameter(moved)
