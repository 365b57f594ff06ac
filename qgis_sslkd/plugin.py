"""The plugin that QGIS loads: it registers the Processing provider and takes it back."""

from __future__ import annotations

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QPushButton

from .environment import EnvironmentMissing, worker_python
from .provider import SslkdProvider
from .resources import tr


class SslkdPlugin:
    """Registers the provider in QGIS and in qgis_process."""

    def __init__(self) -> None:
        """Start without a provider: QGIS decides when it is wanted."""
        self._provider: SslkdProvider | None = None

    def initGui(self) -> None:
        """Start in the QGIS desktop."""
        from qgis.utils import iface

        self.initProcessing()
        # Once QGIS has started: what is looked for lies on a disk that may be slow.
        QTimer.singleShot(0, lambda: offer_set_up(iface.messageBar()))

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


def offer_set_up(bar: QgsMessageBar) -> None:
    """Say in the window that the worker has no environment, or another version's, with a button that mends it."""
    try:
        worker_python()
    except EnvironmentMissing as missing:
        message = bar.createMessage("SSLKD", str(missing))
        button = QPushButton(tr("Set up SSLKD"), message)
        button.clicked.connect(_open_set_up)
        message.layout().addWidget(button)
        bar.pushWidget(message, Qgis.MessageLevel.Info)


def _open_set_up() -> None:
    # Processing, itself a plugin, may be loaded after this one.
    import processing

    processing.execAlgorithmDialog("sslkd:setup")
