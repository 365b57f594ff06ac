"""The Python that runs the worker: where it is, and what mends it when it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from .errors import PluginError
from .resources import tr

VARIABLE = "SSLKD_PYTHON"
SETTING = "sslkd/python"


class EnvironmentMissing(PluginError):
    """Raised when no Python is found for the worker; says how to mend it."""


def worker_python() -> str:
    """Return the Python that runs the worker: the one pointed at, else that of the QGIS profile."""
    for origin, python in _named_by_user():
        if shutil.which(python) is None:
            raise EnvironmentMissing(
                tr("{origin} points at {python}, which is no program that can be run. {mend}").format(
                    origin=origin, python=python, mend=how_to_mend()
                )
            )
        return python
    managed = managed_python()
    if not managed.is_file():
        raise EnvironmentMissing(tr("SSLKD has no Python environment for its worker yet. {}").format(how_to_mend()))
    return str(managed)


def managed_python() -> Path:
    """Return where the Python of the environment in the QGIS profile belongs."""
    environment = Path(QgsApplication.qgisSettingsDirPath()) / "sslkd" / "environment"
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def how_to_mend() -> str:
    """Return the sentence that says how to get a working environment."""
    return tr(
        "Run `make install` from the source tree, or point the setting {setting} or the variable {variable} "
        "at a Python that has the packages of requirements/worker.txt."
    ).format(setting=SETTING, variable=VARIABLE)


def _named_by_user() -> Iterator[tuple[str, str]]:
    variable = os.environ.get(VARIABLE, "").strip()
    if variable:
        yield tr("The variable {}").format(VARIABLE), variable
    setting = str(QgsSettings().value(SETTING, "") or "").strip()
    if setting:
        yield tr("The setting {}").format(SETTING), setting
