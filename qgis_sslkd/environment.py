"""The Python that runs the worker: where it is, and what mends it when it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qgis.core import QgsApplication, QgsSettings

from .errors import PluginError
from .managed import LOCK, Home, digest, home_of_profile, python_of, read_marker
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
    return _managed_python(home().environment)


def home() -> Home:
    """Return what set-up keeps in the QGIS profile."""
    return home_of_profile(Path(QgsApplication.qgisSettingsDirPath()))


def how_to_mend() -> str:
    """Return the sentence that says how to get a working environment."""
    return tr(
        "Run “Set up SSLKD” in the Processing Toolbox (sslkd:setup); it can also use a Python of yours "
        "that has the packages of requirements/worker.txt."
    )


def _managed_python(environment: Path) -> str:
    python = python_of(environment)
    if python.is_symlink() and not python.exists():
        raise EnvironmentMissing(
            tr("The Python {} is gone, which the environment of SSLKD's worker needs. {}").format(
                python.readlink(), how_to_mend()
            )
        )
    if not python.is_file():
        raise EnvironmentMissing(tr("SSLKD has no Python environment for its worker yet. {}").format(how_to_mend()))
    marker = read_marker(environment)
    if marker is None or marker.lock != digest(LOCK):
        raise EnvironmentMissing(
            tr("The Python environment of SSLKD's worker was made for another version ({version}). {mend}").format(
                version=marker.version if marker else tr("unknown"), mend=how_to_mend()
            )
        )
    return str(python)


def _named_by_user() -> Iterator[tuple[str, str]]:
    """Yield what points at a Python, and the Python; the first one is used."""
    variable = os.environ.get(VARIABLE, "").strip()
    if variable:
        yield tr("The variable {}").format(VARIABLE), variable
    setting = str(QgsSettings().value(SETTING, "") or "").strip()
    if setting:
        yield tr("The setting {}").format(SETTING), setting
