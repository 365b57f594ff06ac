"""The plugin that QGIS loads: it registers the Processing provider and takes it back."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import SslkdProvider


class SslkdPlugin:
    """Registers the provider in QGIS and in qgis_process."""

    def __init__(self) -> None:
        """Start without a provider: QGIS decides when it is wanted."""
        self._provider: SslkdProvider | None = None

    def initGui(self) -> None:
        """Start in the QGIS desktop."""
        self.initProcessing()

    def initProcessing(self) -> None:
        """Start in qgis_process, which calls nothing but this."""
        provider = SslkdProvider()
        if QgsApplication.processingRegistry().addProvider(provider):
            self._provider = provider

    def unload(self) -> None:
        """Take the provider out of QGIS."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
