"""Outputs that appear under their final names only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from .errors import SettingError

__all__ = ["check_writable", "folder_for_outputs", "written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Gives a name to write to in a folder beside `path`; moves what is there to `path` at the end, not on an error."""
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        partial = Path(folder, path.name)
        yield partial
        # A Shapefile is several files; the one that was asked for comes last.
        for file in sorted(Path(folder).iterdir(), key=partial.__eq__):
            file.replace(path.with_name(file.name))


@contextmanager
def folder_for_outputs(path: Path) -> Iterator[None]:
    """Makes a folder unless it is there; what it made goes again on an error, if nothing lies in it.

    Raises:
        SettingError: if it cannot be made.
    """
    if path.is_dir():
        yield
        return
    try:
        path.mkdir(exist_ok=True)  # several processes may
    except OSError as error:
        raise SettingError(f"The folder {path} cannot be made: {error.strerror}; choose another.") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.rmdir()
        raise


def check_writable(*paths: Path) -> None:
    """Checks before any work that outputs can be written, each to a file of its own.

    Raises:
        SettingError: if a folder does not exist or cannot be written to, a path is itself a folder, or two
            are the same.
    """
    for path in paths:
        if path.is_dir():
            raise SettingError(f"The output {path} is a folder; give the name of a file.")
        if not path.parent.is_dir():
            raise SettingError(f"The folder of the output {path} does not exist; make it or choose another.")
        if not os.access(path.parent, os.W_OK):
            raise SettingError(f"The output {path} cannot be written: its folder is read-only.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise SettingError("Two of the outputs have the same name; give each its own.")
