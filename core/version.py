"""The version of SSLKD."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

__all__ = ["own_version"]

# Beside the packages, in the plugin as in a checkout.
_METADATA = Path(__file__).parent.parent / "metadata.txt"


def own_version() -> str:
    """The version, such as 0.1.0."""
    metadata = ConfigParser(interpolation=None)
    metadata.read(_METADATA, encoding="utf-8")
    return metadata.get("general", "version")
