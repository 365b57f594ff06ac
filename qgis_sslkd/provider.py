"""The Processing provider `sslkd`."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS
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

    def icon(self) -> QIcon:
        """Return the icon shown in the Toolbox."""
        return icon("provider")

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportsNonFileBasedOutput(self) -> bool:
        """Tell QGIS that outputs are files: the worker is another process and sees no memory layers."""
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        """Return what the worker writes as rasters."""
        return ["tif", "tiff"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """Return what the worker writes as vectors."""
        return ["gpkg", "fgb", "geojson", "shp"]
