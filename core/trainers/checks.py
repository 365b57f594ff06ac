"""Checks of the trainers' settings."""

from __future__ import annotations

from ..errors import SettingError

__all__ = ["check_share", "check_weight"]


def check_share(name: str, value: float) -> None:
    """Raises SettingError unless `value` lies from 0 to 1."""
    if not 0 <= value <= 1:
        raise SettingError(f"The {name} must lie from 0 to 1, got {value}.")


def check_weight(name: str, value: float) -> None:
    """Raises SettingError if `value` is negative or endless."""
    if not 0 <= value < float("inf"):
        raise SettingError(f"The {name} must be a number of 0 or more, got {value}.")
