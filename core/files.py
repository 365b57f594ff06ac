"""Outputs that appear under their final names only when they are whole."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from platform import node
from shutil import rmtree
from threading import Lock
from uuid import uuid4
from zlib import crc32

from .errors import NotWholeError, SettingError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "NOT_WHOLE",
    "all_written_whole",
    "await_writing",
    "check_writable",
    "folder_beside",
    "folder_for_outputs",
    "make_folder",
    "remove_unfinished",
    "written_to_its_end",
    "written_whole",
]

NOT_WHOLE = "The output {} could not be written whole; make room on the disk and start again."

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

# What GDAL takes for parts of a file that lie beside it; what an older file left there would spoil a new one.
_IN_PLACE_OF_THE_SUFFIX = {
    ".shp": (".shx", ".dbf", ".prj", ".cpg", ".qpj", ".qix", ".sbn", ".sbx", ".idm", ".ind"),
}
_AFTER_THE_NAME = {
    **dict.fromkeys((".tif", ".tiff"), (".aux.xml", ".ovr", ".ovr.aux.xml", ".msk", ".msk.aux.xml", ".msk.ovr")),
    ".gpkg": ("-journal", "-wal", "-shm"),
}

# Other machines may share the disk, and do not see who holds a folder there.
_FOLDERS = f".sslkd-{crc32(node().encode()) & 0xFFFF:04x}"

_unfinished: dict[Path, Callable[[Path], object]] = {}
"""What goes if the process has to end at once, and how."""
_lock = Lock()
"""Held while this changes and while files get their final names; and for good by `remove_unfinished`."""
_worth_waiting = Lock()
"""Held while something is written that is worth some waiting where the process has to end."""


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """The same as `all_written_whole` for a single file."""
    with all_written_whole([path]) as partials:
        yield partials[path]


@contextmanager
def written_to_its_end(path: Path) -> Iterator[Path]:
    """The same as `written_whole` for what `await_writing` waits for, such as gigabytes of a checkpoint."""
    with _worth_waiting, written_whole(path) as partial:
        yield partial


def await_writing(seconds: float) -> bool:
    """Waits, but not longer, until what is worth it is written; returns whether there was anything to wait for."""
    waits = _worth_waiting.locked()
    if _worth_waiting.acquire(timeout=seconds):
        _worth_waiting.release()
    return waits


@contextmanager
def all_written_whole(paths: Collection[Path]) -> Iterator[dict[Path, Path]]:
    """Gives each path a name to write to in a folder beside it; all get their own names at the end, not on an error.

    What processes left beside them that were killed goes.

    Raises:
        FileNotFoundError: if one of them was not written.
        SettingError: if one cannot be replaced any more; the new one then lies beside it, as the message tells.
        NotWholeError: if the disk is full.
    """
    with ExitStack() as folders:
        folders.enter_context(_room_told(paths))
        for place in {path.parent for path in paths}:  # once each: on a network, to list many files takes long
            _remove_abandoned(place)
        partials = {path: folders.enter_context(folder_beside(path)) / path.name for path in paths}
        yield partials
        for partial in partials.values():
            if not partial.exists():
                raise FileNotFoundError(f"nothing was written to {partial}")
        with _lock:
            places = {path: _place(partial, path) for path, partial in partials.items()}
    elsewhere = {path: place for path, place in places.items() if place != path}
    if elsewhere:
        raise SettingError(
            " ".join(f"{_irreplaceable(path)}; the new one is {place}." for path, place in elsewhere.items())
        )


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Makes a folder beside an output for what is of no use once the work has ended."""
    with ExitStack() as held, _going_early(lambda: _made_beside(path, held), _remove_folder) as folder:
        try:
            yield folder
        finally:
            _remove_folder(folder)


@contextmanager
def folder_for_outputs(path: Path) -> Iterator[None]:
    """Makes a folder unless it is there; what it made goes again on an error, if nothing lies in it.

    Raises:
        SettingError: if it cannot be made.
    """
    if path.is_dir():
        yield
        return
    with _going_early(lambda: _made(path), Path.rmdir):
        try:
            yield
        except BaseException:
            with suppress(OSError):
                path.rmdir()
            raise


def make_folder(path: Path) -> None:
    """Makes a folder for outputs, and those that it lies in, unless it is there.

    Raises:
        SettingError: if it cannot be made or written to.
    """
    if not path.parent.is_dir():
        make_folder(path.parent)
    try:
        with folder_beside(_made(path) / "output"):
            pass
    except OSError as error:
        raise SettingError(f"The folder {path} cannot be written to: {error.strerror}; choose another.") from error


def remove_unfinished() -> None:
    """Removes what is not whole, though other threads still write to it; the process has to end right after.

    Other threads then wait where they would make or leave such folders: none tells that its work failed for that.
    """
    _lock.acquire()
    for path, remove in reversed(_unfinished.items()):
        with suppress(OSError):
            remove(path)


def check_writable(*paths: Path) -> None:
    """Checks before any work that outputs can be written, each to a file of its own.

    Raises:
        SettingError: if a folder does not exist or cannot be written to, a path is itself a folder, a file that
            cannot be replaced or a name that cannot be had, or two are the same.
    """
    for path in paths:
        if path.is_dir():
            raise SettingError(f"The output {path} is a folder; give the name of a file.")
        if not path.parent.is_dir():
            raise SettingError(f"The folder of the output {path} does not exist; make it or choose another.")
        if not _is_replaceable(path):
            raise SettingError(f"{_irreplaceable(path)}; remove its layer from QGIS, or give another name.")
        _rehearse(path)
    if len({path.resolve() for path in paths}) < len(paths):
        raise SettingError("Two of the outputs have the same name; give each its own.")


@contextmanager
def _room_told(paths: Collection[Path]) -> Iterator[None]:
    """Tells in a sentence that there is no room for outputs."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NotWholeError(NOT_WHOLE.format(", ".join(path.name for path in paths))) from error


@contextmanager
def _going_early(make: Callable[[], Path], remove: Callable[[Path], object]) -> Iterator[Path]:
    """Makes a folder, and has `remove_unfinished` remove it if it comes to that meanwhile."""
    with _lock:
        folder = make()
        _unfinished[folder] = remove
    try:
        yield folder
    finally:
        with _lock:
            del _unfinished[folder]


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(exist_ok=True)  # several processes may
    except OSError as error:
        raise SettingError(f"The folder {folder} cannot be made: {error.strerror}; choose another.") from error
    return folder


def _made_beside(path: Path, held: ExitStack) -> Path:
    # Short, for Windows's paths are. Not mkdtemp, in whose folders Windows lets their owner alone read.
    folder = path.with_name(f"{_FOLDERS}{uuid4().hex[:8]}")
    new = folder.with_name(f".new{folder.name}")  # a name that nobody takes for abandoned before it is held
    new.mkdir()
    with suppress(OSError):  # neither Windows nor every disk locks folders
        held.enter_context(_held(new))
        return new.rename(folder)
    return new


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Has the system know that a folder is in use, until this ends or the process does.

    Raises:
        OSError: if it is in use already, or nobody can know.
    """
    if sys.platform == "win32":
        raise OSError("Windows locks no folders")
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_abandoned(place: Path) -> None:
    """Removes what processes of this machine left that were killed."""
    for folder in place.glob(f"{_FOLDERS}*"):
        with suppress(OSError), _held(folder):
            rmtree(folder)


def _remove_folder(folder: Path) -> None:
    # Under another name nothing can be added to it. Windows neither moves nor removes what is open.
    with suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}-gone"))
    rmtree(folder, ignore_errors=True)


def _is_replaceable(path: Path) -> bool:
    """Whether a file may take this name; Windows moves no file that another program has open, be it to its own name."""
    if not path.exists():
        return True
    try:
        path.rename(path)
    except OSError:
        return False
    return os.access(path, os.W_OK)


def _rehearse(path: Path) -> None:
    """Has an empty file go the way of a result: what rights, disks and systems do not allow shows no earlier."""
    try:
        with folder_beside(path) as folder:
            empty = folder / path.name
            empty.touch()
            empty.rename(folder.with_suffix(".empty")).unlink()
    except OSError as error:
        raise SettingError(
            f"The output {path} cannot be written: {error.strerror}; choose another name or folder."
        ) from error


def _irreplaceable(path: Path) -> str:
    return f"The output {path} cannot be replaced: it is in use by another program or write-protected"


def _place(partial: Path, path: Path) -> Path:
    """Gives a result its name, or a free one if it cannot have that; returns which."""
    # A Shapefile is several files; the one that was asked for comes last.
    files = sorted(partial.parent.iterdir(), key=partial.__eq__)
    if _is_replaceable(path):
        with suppress(OSError):
            for file in files:
                file.replace(path.with_name(file.name))
            _remove_sidecars(path, {file.name for file in files})
            return path
    free = next(name for number in count(2) if not (name := path.with_stem(f"{path.stem}-{number}")).exists())
    for file in files:
        source = file if file.exists() else path.with_name(file.name)
        source.replace(free.with_name(free.stem + file.name.removeprefix(path.stem)))
    return free


def _remove_sidecars(path: Path, new: set[str]) -> None:
    """Removes what an older file left beside, but for what is new."""
    kind = path.suffix.lower()
    stale = {f"{path.stem}{end}" for end in _IN_PLACE_OF_THE_SUFFIX.get(kind, ())}
    stale |= {f"{path.name}{end}" for end in _AFTER_THE_NAME.get(kind, ())}
    for name in stale - new:
        with suppress(OSError):
            path.with_name(name).unlink()
