"""What set-up keeps in a QGIS profile, and whose environment that is; the standard library alone, for tools/ too."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_PLUGIN = Path(__file__).absolute().parent
LOCK = _PLUGIN / "requirements" / "worker.txt"
TOOLS_LOCK = _PLUGIN / "requirements" / "tools.txt"
_MARKER = "sslkd.json"


@dataclass(frozen=True)
class Home:
    """The folder of everything that set-up makes.

    Attributes:
        folder: of the profile's own; removing it removes all.
    """

    folder: Path

    @property
    def environment(self) -> Path:
        """The worker's environment."""
        return self.folder / "environment"

    @property
    def cache(self) -> Path:
        """What uv has fetched; on the same disk, files of the environment are the same files."""
        return self.folder / "cache"

    @property
    def pythons(self) -> Path:
        """Pythons that uv fetches where the system has none that fits."""
        return self.folder / "python"


@dataclass(frozen=True)
class Marker:
    """What an environment was made from; written last, so that a half-made one has none.

    Attributes:
        version: of the plugin that made it.
        lock: SHA-256 of the lock file.
        torch: which builds of PyTorch were asked for.
    """

    version: str
    lock: str
    torch: str


def plugin_version() -> str:
    """The version of the plugin that this file belongs to."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(_PLUGIN / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version")


def home_of_profile(profile: Path) -> Home:
    """The folder of a QGIS profile."""
    return Home(profile / "sslkd")


def python_of(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def digest(lock: Path) -> str:
    """The SHA-256 of a lock file, however its lines end."""
    return hashlib.sha256(lock.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_marker(environment: Path) -> Marker | None:
    """What the environment was made from; None where that is not known."""
    try:
        return Marker(**json.loads((environment / _MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_marker(environment: Path, marker: Marker) -> None:
    """Note what the environment was made from."""
    (environment / _MARKER).write_text(json.dumps(asdict(marker)), encoding="utf-8")
