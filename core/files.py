"""Outputs that appear under their final names only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SettingError

__all__ = ["check_writable", "written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to; renames it to `path` at the end, or removes it on any error."""
    # The extension stays last, since drivers go by it.
    partial = path.with_name(f"{path.stem}.partial-{os.getpid()}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        for leftover in path.parent.glob(f"{_escaped(partial.name)}*"):
            leftover.unlink()


def check_writable(path: Path) -> None:
    """Checks before any work that an output can be written.

    Raises:
        SettingError: if the folder does not exist or cannot be written to, or `path` is itself a folder.
    """
    if path.is_dir():
        raise SettingError(f"The output {path} is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise SettingError(f"The folder of the output {path} does not exist; make it or choose another.")
    if not os.access(path.parent, os.W_OK):
        raise SettingError(f"The output {path} cannot be written: its folder is read-only.")


def _escaped(name: str) -> str:
    """`name` with the characters that mean something in a glob pattern taken literally."""
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in name)
