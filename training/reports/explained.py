"""Every setting of a training with its value and its meaning, in the words of the code that defines it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_origin, get_type_hints

from ...core.models.network_spec import NetworkSpec
from ...core.trainers import CrossSupervision, Distillation
from ..presets import TrainingSettings

__all__ = ["Setting", "explained"]

_Part = TrainingSettings | CrossSupervision | Distillation
_ATTRIBUTES = re.compile(r"^Attributes:\n(.*?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as a settings file has it, with a dot between a table and what is in it.
        value: in words.
        meaning: what it does, and which values there are to choose from.
    """

    name: str
    value: str
    meaning: str


def explained(settings: TrainingSettings) -> list[Setting]:
    """All the settings, in the order of their definition."""
    return list(_parts(settings, ""))


def _meanings(kind: type) -> dict[str, str]:
    """What the docstring of a class says of its attributes."""
    section = _ATTRIBUTES.search(inspect.getdoc(kind) or "")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section[1] if section else "")}


def _parts(part: _Part, prefix: str) -> Iterator[Setting]:
    told, hints = _meanings(type(part)), get_type_hints(type(part))
    for name in (field.name for field in fields(part)):
        value = getattr(part, name)
        if isinstance(value, _Part):
            yield from _parts(value, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, _readable(value), _with_choices(told.get(name, ""), hints[name]))


def _with_choices(meaning: str, hint: object) -> str:
    """A meaning and, where it does not name them, the few values that there are to choose from."""
    choices = [f"`{choice}`" for choice in get_args(hint)] if get_origin(hint) is Literal else []
    return meaning if all(choice in meaning for choice in choices) else f"{meaning} One of {', '.join(choices)}."


def _readable(value: object) -> str:
    """A value as people write it; networks as `deeplabv3plus/resnet50`."""
    match value:
        case NetworkSpec():
            return f"{value.architecture}/{value.encoder}" + (f" x {value.width:g}" if value.width != 1 else "")
        case tuple():
            return ", ".join(map(_readable, value))
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
