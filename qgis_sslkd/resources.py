"""Icons, styles and translated texts."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

_HERE = Path(__file__).parent


def tr(text: str) -> str:
    """Return the text in QGIS's language."""
    return QCoreApplication.translate("SSLKD", text)


def icon(name: str) -> QIcon:
    """Return one of the plugin's icons."""
    return QIcon(str(_HERE / "icons" / f"{name}.svg"))


def style_file(name: str) -> str:
    """Return the path of one of the plugin's layer styles."""
    return str(_HERE / "styles" / f"{name}.qml")
