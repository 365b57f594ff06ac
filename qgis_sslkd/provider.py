"""The Processing provider `sslkd`."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS
from .instances import let_go_of_provider
from .managed import plugin_version
from .models import TrainAndDetect
from .resources import icon


class SslkdProvider(QgsProcessingProvider):
    """What SSLKD adds to the Processing Toolbox."""

    def id(self) -> str:
        """Return the provider's id; models and scripts depend on it."""
        return "sslkd"

    def name(self) -> str:
        """Return the name shown in the Toolbox."""
        return "SSLKD"

    def longName(self) -> str:
        """Return the name shown where there is room."""
        return "SSLKD road detection"

    def versionInfo(self) -> str:
        """Return the version that the log of every run tells."""
        return plugin_version()

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon("provider")

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        for algorithm in (*ALGORITHMS, TrainAndDetect):
            self.addAlgorithm(algorithm())

    def load(self) -> bool:
        """Load the algorithms; once more when QGIS knows them, which a model of them needs to know its outputs."""
        QgsApplication.processingRegistry().providerAdded.connect(self._load_again)
        return super().load()

    def unload(self) -> None:
        """Leave QGIS, which may hold algorithms still; called before QGIS deletes the provider."""
        let_go_of_provider()

    def _load_again(self, added: str) -> None:
        if added == self.id():
            self.refreshAlgorithms()

    def supportsNonFileBasedOutput(self) -> bool:
        """Tell QGIS that outputs are files: the worker is another process and sees no memory layers."""
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return what the worker writes as rasters."""
        return ["tif", "tiff"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """Return what the worker writes as vectors."""
        return ["gpkg", "fgb", "geojson", "shp"]
