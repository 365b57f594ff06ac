"""Semi-supervised knowledge distillation for road extraction; imported by QGIS and by the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .plugin import SslkdPlugin


def classFactory(iface: object) -> SslkdPlugin:
    """Give QGIS the plugin; importing it only here lets the worker, without QGIS, import this package."""
    from .plugin import SslkdPlugin

    return SslkdPlugin()
