"""Checks of the trainers' settings."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import SettingError

__all__ = ["check_choice", "check_share", "check_weight"]


def check_share(name: str, value: float) -> None:
    """Raises SettingError unless `value` lies from 0 to 1."""
    if not 0 <= value <= 1:
        raise SettingError(f"The {name} must lie from 0 to 1, got {value}.")


def check_weight(name: str, value: float) -> None:
    """Raises SettingError if `value` is negative or endless."""
    if not 0 <= value < float("inf"):
        raise SettingError(f"The {name} must be a number of 0 or more, got {value}.")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises SettingError, which tells the choices, unless `value` is one of them."""
    if value not in choices:
        raise SettingError(f"There is no {name} '{value}'; choose one of {', '.join(choices)}.")
