"""The one root of what this side of the plugin raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qgis.core import QgsProcessingException

from .resources import tr


class PluginError(Exception):
    """Raised when something cannot be done; the text is a sentence that the user can act on."""


class UnusableParameters(PluginError):
    """Raised when parameters make no sense together."""


class Cancelled(PluginError):
    """Raised when the user cancelled; nothing is left running or half written."""


@contextmanager
def shown_by_qgis() -> Iterator[None]:
    """Hand errors to QGIS, which shows the text of this very class of its own, and a traceback of any other."""
    try:
        yield
    except PluginError as error:
        raise QgsProcessingException(str(error)) from error
    except OSError as error:
        raise QgsProcessingException(tr("A file cannot be read or written: {}").format(error)) from error
