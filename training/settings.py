"""Settings that start from a preset and are changed by a file, a comparison or the options of a command."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..core.errors import SettingError
from ..core.models.network_spec import NetworkSpec
from ..core.models.networks import check_network
from ..core.validation import explain, in_json
from .presets import PRESETS, TrainingSettings

__all__ = ["Changes", "changed_settings", "load_changes"]

Changes = Mapping[str, Any]
"""Values of settings by name; of a setting that has parts, a mapping of some of these."""

_SETTINGS: TypeAdapter[TrainingSettings] = TypeAdapter(TrainingSettings)


def changed_settings(preset: str, *changes: Changes) -> TrainingSettings:
    """The settings of a preset with changes, of which the later ones win.

    Raises:
        SettingError: if there is no such preset, setting or network, or a value is of another type or out of range.
            A network that no preset has is built for that.
    """
    if preset not in PRESETS:
        raise SettingError(f"There is no preset '{preset}'; choose one of {', '.join(PRESETS)}.")
    plain = asdict(PRESETS[preset])
    for each in changes:
        plain = _merged(plain, each)
    try:
        settings = _SETTINGS.validate_json(in_json(plain), strict=True)
    except ValidationError as error:
        raise SettingError(f"The settings are not understood: {explain(error)}.") from error
    for spec in _networks(settings):
        _check_channels(spec)
        if spec not in _OF_PRESETS:
            check_network(spec)
    return settings


def load_changes(path: Path) -> Changes:
    """Reads a TOML file of settings.

    Raises:
        SettingError: if it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"The settings file {path} cannot be read; give a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"The settings file {path} is no TOML: {error}.") from error


def _networks(settings: TrainingSettings) -> set[NetworkSpec]:
    return {settings.student, *settings.teachers}


_OF_PRESETS = set[NetworkSpec]().union(*map(_networks, PRESETS.values()))  # known to work


def _check_channels(spec: NetworkSpec) -> None:
    for name in ("in_channels", "classes"):
        value, only = getattr(spec, name), getattr(NetworkSpec, name)
        if value != only:
            raise SettingError(
                f"A network's '{name}' cannot be set, got {value}; leave it out: the bands are the imagery's, the "
                "classes are background and road."
            )


def _merged(settings: Changes, changes: Changes) -> dict[str, Any]:
    """Settings with changes, which may be of parts of parts."""
    unknown = sorted(changes.keys() - settings.keys())
    if unknown:
        raise SettingError(f"There is no setting '{unknown[0]}'; choose from {', '.join(settings)}.")
    for name, value in changes.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingError(f"The setting '{name}' must be a finite number, got {value}.")
    return {
        name: _merged(value, changes[name]) if _have_parts(value, changes.get(name)) else changes.get(name, value)
        for name, value in settings.items()
    }


def _have_parts(value: object, change: object) -> bool:
    return isinstance(value, dict) and isinstance(change, dict)
