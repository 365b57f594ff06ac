"""The program uv, which makes Python environments: fetched once, and only as its lock file has it."""

from __future__ import annotations

import hashlib
import html
import io
import os
import platform
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin

from qgis.core import QgsProcessingFeedback

from .errors import PluginError
from .network import NotFetched, fetch, without_password
from .resources import tr

PYPI = "https://pypi.org/simple"
_PROGRAM = "uv.exe" if os.name == "nt" else "uv"
# How the names of wheels begin to say for which system they are.
_SYSTEMS = {"Linux": "manylinux", "Darwin": "macosx", "Windows": "win"}


class UvMissing(PluginError):
    """Raised when uv cannot be had; says where it could come from."""


@dataclass(frozen=True)
class Release:
    """The release of uv that a lock file names.

    Attributes:
        version: its number.
        hashes: SHA-256 of its wheels.
    """

    version: str
    hashes: frozenset[str]


def find_uv(folder: Path, lock: Path, wheels: Path | None, feedback: QgsProcessingFeedback) -> str:
    """Return the program uv, which is in the folder from then on.

    Args:
        folder: where uv is kept.
        lock: lock file that names its release with hashes.
        wheels: folder of wheels to take it from; None to fetch it from the package index.
        feedback: hears what is done, and may cancel it.
    """
    release = read_release(lock)
    program = folder / f"uv-{release.version}" / _PROGRAM
    if program.is_file():
        return str(program)
    try:
        wheel = _fetched(release, feedback) if wheels is None else _found(release, wheels)
    except (NotFetched, UvMissing) as reason:
        return _installed(str(reason), feedback)
    _unpack(wheel, program)
    return str(program)


def read_release(lock: Path) -> Release:
    """Return the release that a lock file names."""
    text = lock.read_text(encoding="utf-8")
    (version,) = re.findall(r"(?m)^uv==([^\s;]+)", text)
    return Release(version, frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", text)))


def package_index() -> str:
    """Return the address of the package index, which the variable of uv, or its older one, may name."""
    return (os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or PYPI).rstrip("/")


def _fetched(release: Release, feedback: QgsProcessingFeedback) -> bytes:
    page = f"{package_index()}/uv/"
    links = re.findall(r'href="([^"#]+)', fetch(page, feedback).decode("utf-8", errors="replace"))
    for url in (urljoin(page, html.unescape(link)) for link in links):
        if _suits(unquote(url.rpartition("/")[2]), release):
            feedback.pushInfo(tr("Fetching {}").format(url.rpartition("/")[2]))
            return _checked(fetch(url, feedback), without_password(url), release)
    raise UvMissing(tr("{} has no uv {} for this system.").format(without_password(page), release.version))


def _found(release: Release, wheels: Path) -> bytes:
    for path in sorted(wheels.glob("uv-*.whl")):
        if _suits(path.name, release):
            return _checked(path.read_bytes(), str(path), release)
    raise UvMissing(tr("The folder {} has no wheel of uv {} for this system.").format(wheels, release.version))


def _suits(wheel: str, release: Release) -> bool:
    """Tell whether the wheel of this name runs on this machine."""
    system = _SYSTEMS.get(platform.system(), "none")
    # An Intel QGIS on Apple silicon takes the machine for Intel; the kernel's version does not.
    arm = system == "macosx" and "ARM64" in platform.version()
    machine = "arm64" if arm else platform.machine().lower()
    return wheel.startswith(f"uv-{release.version}-py3-none-{system}") and wheel.endswith(f"_{machine}.whl")


def _checked(wheel: bytes, origin: str, release: Release) -> bytes:
    if hashlib.sha256(wheel).hexdigest() not in release.hashes:
        raise UvMissing(tr("{} is not the uv {} that SSLKD was made with.").format(origin, release.version))
    return wheel


def _installed(reason: str, feedback: QgsProcessingFeedback) -> str:
    """Return the uv of the system, which nothing is known about, for want of a better one."""
    program = shutil.which("uv")
    if program is None:
        way_out = tr("Set-up needs uv: allow QGIS the network, choose a folder of wheels, or install uv.")
        raise UvMissing(f"{reason.rstrip('.')}. {way_out}")
    feedback.pushWarning(tr("{reason} Using {program} in its place.").format(reason=reason, program=program))
    return program


def _unpack(wheel: bytes, program: Path) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    part = program.with_suffix(".part")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith(f".data/scripts/{_PROGRAM}"))
        part.write_bytes(archive.read(member))
    part.chmod(0o700)
    part.replace(program)
