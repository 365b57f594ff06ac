"""Makes the worker's environment in the QGIS profile with uv, beside the old one until it works."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from uuid import uuid4

from qgis.core import QgsProcessingFeedback, QgsProcessingUtils
from qgis.PyQt.QtCore import QLockFile

from .errors import PluginError
from .managed import Home, Marker, digest, plugin_version, python_of, read_marker, write_marker
from .network import proxy_variables
from .processes import PATIENCE_MS, POLL_MS, NotStarted, ProgramFailed, run_program
from .resources import tr
from .uv import find_uv, package_index

TORCH_CHOICES = ["auto", "lock", "driver"]
_PYTHONS = ">=3.11,<3.15"
# What an environment takes with and without CUDA's libraries, in bytes, with some to spare.
_SPACE_WITH_CUDA, _SPACE = 8 * 2**30, 3 * 2**30
_FETCHED_SHARE, _INSTALLED_SHARE = 0.05, 0.9
# Locked for the builds of the package index; other builds of PyTorch bring libraries of their own.
_OF_PYTORCH = ("torch", "triton", "nvidia-", "cuda-")
_PART, _OLD, _DISCARDED = "part-", "environment.old", ".discarded-"
# The user's settings of uv that say how to reach packages; others would change what is made, and where.
_OF_THE_USER = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_HTTP",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_CONCURRENT",
    "UV_CACHE_DIR",
)
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class SetUpFailed(PluginError):
    """Raised when the environment cannot be made; the one that was there before is left."""


@dataclass(frozen=True)
class Plan:
    """What to make and from what.

    Attributes:
        home: where it goes.
        lock: lock file of the worker's packages.
        tools: lock file that names uv.
        torch: builds of PyTorch: `lock` for those of the lock file, with their hashes; `driver` for what uv finds to
            suit the graphics driver, from PyTorch's own index, without hashes; `auto` for the first where they suit
            the machine, else the second, else the first.
        wheels: folder of wheels to install from without a network; None for the package index.
    """

    home: Home
    lock: Path
    tools: Path
    torch: str = "auto"
    wheels: Path | None = None


def install(plan: Plan, check: Callable[[str], None], feedback: QgsProcessingFeedback) -> None:
    """Make the environment, have it checked, and put it in the place of the old one.

    Args:
        plan: what to make.
        check: takes the new Python and raises an error if that does not work.
        feedback: hears what is done, and may cancel it.
    """
    home = plan.home
    # Another name each time: uv may outlive a QGIS that was killed, and write on.
    part = home.folder / f"{_PART}{uuid4().hex[:6]}"
    with _alone(home):
        _tidy(home, feedback)
        try:
            uv = _make(plan, part, feedback)
            check(str(python_of(part)))
            _forget_unneeded(uv, home, part)
            write_marker(part, Marker(plugin_version(), digest(plan.lock), plan.torch))
            _put_in_place(home, part)
        finally:
            _tidy(home, feedback)


def is_current(plan: Plan) -> bool:
    """Tell whether the environment was made from this very plan."""
    marker = read_marker(plan.home.environment)
    return (
        marker is not None
        and (marker.lock, marker.torch) == (digest(plan.lock), plan.torch)
        and python_of(plan.home.environment).is_file()
    )


def remove(home: Home) -> None:
    """Remove all that set-up made."""
    forget_fetched(home)
    with _alone(home):
        discarded = [home.folder / _OLD, *home.folder.glob(f"{_DISCARDED}*")]
        for folder in [home.environment, *_half_made(home), *discarded]:
            _remove_folder(folder)
    with suppress(OSError):  # what is not set-up's own keeps the folder
        home.folder.rmdir()


def forget_fetched(home: Home) -> None:
    """Remove what was fetched, so that it is fetched anew: a file that broke in the environment broke there, too."""
    with _alone(home):
        for folder in [home.cache, home.pythons, *home.folder.glob("uv-*")]:
            _remove_folder(folder)


def has_nvidia_gpu() -> bool:
    """Tell whether the driver of an NVIDIA GPU is installed."""
    return shutil.which("nvidia-smi") is not None


def _make(plan: Plan, part: Path, feedback: QgsProcessingFeedback) -> _Uv:
    """Make the environment; return the uv that made it."""
    _check_space(plan.home.folder, _SPACE)
    feedback.setProgressText(tr("Fetching uv"))
    uv = _Uv(find_uv(plan.home.folder, plan.tools, plan.wheels, feedback), plan, feedback)
    feedback.setProgress(100 * _FETCHED_SHARE)
    feedback.setProgressText(tr("Making the environment"))
    # Relocatable: it is made under another name than it gets.
    uv.run("venv", "--clear", "--relocatable", *_python_preference(plan), "--python", _PYTHONS, str(part))
    if _locked_torch_suits(plan):
        _install_lock(uv, part)
    elif plan.torch == "driver":
        _install_for_driver(uv, part)
    else:
        try:
            _install_for_driver(uv, part)
        except SetUpFailed as reason:
            sentence = str(reason).splitlines()[0]
            feedback.pushWarning(tr("{} Taking PyTorch as the lock file has it.").format(sentence))
            _install_lock(uv, part)
    feedback.setProgress(100 * _INSTALLED_SHARE)
    return uv


def _forget_unneeded(uv: _Uv, home: Home, part: Path) -> None:
    """Have uv forget what it fetched and the new environment does not need: gigabytes with each PyTorch."""
    if os.environ.get("UV_CACHE_DIR"):
        return  # the user's own is for other projects, too
    outdated = {name.partition("-")[0] for name in _packages(home.environment) - _packages(part)}
    with suppress(SetUpFailed):  # it costs space alone
        if outdated:
            uv.run("cache", "clean", *sorted(outdated))
        # What a uv that was ended had unpacked, and not noted yet.
        uv.run("cache", "prune")


def _packages(environment: Path) -> set[str]:
    """Return the names and versions of what is installed, as their folders have them."""
    folders = (environment.glob(f"{where}/site-packages/*.dist-info") for where in ("lib/*", "Lib"))
    return {each.name for found in folders for each in found}


def _locked_torch_suits(plan: Plan) -> bool:
    """Tell whether the package index's builds of PyTorch are right: with CUDA on Linux, without elsewhere."""
    if plan.torch == "driver":
        return False
    without_choice = plan.torch == "lock" or plan.wheels is not None or sys.platform == "darwin"
    return without_choice or (sys.platform == "linux") == has_nvidia_gpu()


class _Uv:
    """The program uv at work for a plan."""

    def __init__(self, program: str, plan: Plan, feedback: QgsProcessingFeedback) -> None:
        self.plan, self.feedback = plan, feedback
        self._program = program
        self._variables = _variables(plan)

    def run(self, *arguments: str) -> None:
        """Run it; what it says goes to the log, and what it fetches to the progress bar."""
        progress = _Progress(self.feedback)
        try:
            run_program([self._program, *arguments], self.feedback, progress.hear, self._variables)
        except NotStarted as reason:
            raise SetUpFailed(
                tr(
                    "{program} cannot be started ({reason}): the disk, or a rule of this computer, allows no programs "
                    "there. Take a QGIS profile elsewhere, or a Python of yours by the action “use”."
                ).format(program=self._program, reason=reason)
            ) from reason
        except ProgramFailed as error:
            raise SetUpFailed(_explain(str(error))) from error

    def install(self, part: Path, *what: str) -> None:
        """Have it install ready-made packages; it builds none."""
        origin = [] if self.plan.wheels is None else ["--offline", "--no-index", "--find-links", str(self.plan.wheels)]
        self.run("pip", what[0], "--python", str(python_of(part)), "--only-binary", ":all:", *origin, *what[1:])


def _install_lock(uv: _Uv, part: Path) -> None:
    """Install exactly what the lock file names, each file checked by its hash."""
    _check_space(part.parent, _SPACE_WITH_CUDA if sys.platform == "linux" else _SPACE)
    uv.feedback.setProgressText(tr("Installing the packages of the lock file"))
    uv.install(part, "sync", "--require-hashes", str(uv.plan.lock))


def _install_for_driver(uv: _Uv, part: Path) -> None:
    """Install what the lock file names, but PyTorch in the build that uv finds to suit the graphics driver."""
    _check_space(part.parent, _SPACE_WITH_CUDA if has_nvidia_gpu() else _SPACE)
    pins = _pins(uv.plan.lock.read_text(encoding="utf-8"))
    others = Path(QgsProcessingUtils.generateTempFilename("without-pytorch.txt"))
    others.write_text("\n".join(pin for pin in pins if not pin.startswith(_OF_PYTORCH)), encoding="utf-8")
    uv.feedback.setProgressText(tr("Installing PyTorch for this machine's graphics driver"))
    torch = [pin.split()[0] for pin in pins if pin.startswith("torch")]
    uv.install(part, "install", "--torch-backend", "auto", *torch)
    uv.feedback.setProgressText(tr("Installing the other packages of the lock file"))
    uv.install(part, "install", "--require-hashes", "--no-deps", "--requirements", str(others))


def _pins(lock: str) -> list[str]:
    """Return the entries of a lock file, of which several may name one package, without comments."""
    return re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n?", "", lock).strip())


def _python_preference(plan: Plan) -> list[str]:
    """Return which Pythons uv may take: QGIS's own, on Windows and macOS, goes with the next version of QGIS."""
    return [] if sys.platform == "linux" or plan.wheels is not None else ["--managed-python"]


def _variables(plan: Plan) -> dict[str, str]:
    """Return what uv is told by its environment."""
    home = plan.home
    ours = {"UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1", "UV_PYTHON_INSTALL_DIR": str(home.pythons)}
    theirs = {name: value for name, value in os.environ.items() if value and name.startswith(_OF_THE_USER)}
    return {"UV_CACHE_DIR": str(home.cache), **ours, **theirs, **proxy_variables(package_index())}


class _Progress:
    """The share of bytes fetched, from uv's words: `Downloading torch (858.1MiB)`, later ` Downloaded torch`."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._sizes: dict[str, float] = {}
        self._here: set[str] = set()

    def hear(self, line: str) -> None:
        """Take a line of uv's."""
        self._feedback.pushInfo(line)
        begun = re.fullmatch(r"Downloading (\S+) \(([0-9.]+)([KMG]?i?B)\)", line)
        ended = re.fullmatch(r"\s*Downloaded (\S+)", line)
        if begun:
            self._sizes[begun[1]] = float(begun[2]) * _UNITS.get(begun[3], 1)
        elif ended and ended[1] in self._sizes:
            self._here.add(ended[1])
            share = sum(self._sizes[name] for name in self._here) / sum(self._sizes.values())
            self._feedback.setProgress(100 * (_FETCHED_SHARE + share * (_INSTALLED_SHARE - _FETCHED_SHARE)))


def _explain(words: str) -> str:
    """Return a sentence for what uv said last, which goes along."""
    sentences = {
        r"dns error|client error \(Connect\)|failed to fetch|error sending request": tr(
            "The package index cannot be reached: check the network, QGIS's proxy (Settings > Options > Network) and, "
            "where it is set, the variable HTTPS_PROXY, or choose a folder of wheels."
        ),
        r"not found in the provided package locations": tr(
            "A package is missing in the folder of wheels, or the folder has it for another system only."
        ),
        r"no wheels with a matching platform|no usable wheels": tr(
            "The locked packages are not made for this system: they take Linux with glibc 2.28 (2.35 on ARM), "
            "Windows, or macOS 15 on Apple silicon."
        ),
        r"hash mismatch": tr("A package is not the one that SSLKD was made with."),
        r"no space left|os error 112": tr("The disk is full."),
        r"no interpreter found": tr("There is no Python from 3.11 to 3.14: install one, or allow QGIS the network."),
    }
    for pattern, sentence in sentences.items():
        if re.search(pattern, words, re.IGNORECASE):
            return f"{sentence}\n{words}"
    return tr("The environment cannot be made:") + f"\n{words}"


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetUpFailed(
            tr("Set-up needs {needed:.0f} GiB in {folder}, and {free:.1f} GiB are free: make room first.").format(
                needed=needed / 2**30, folder=folder, free=free / 2**30
            )
        )


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Let no second set-up, of another QGIS, change the same folder."""
    home.folder.mkdir(parents=True, exist_ok=True)
    lock = QLockFile(str(home.folder.with_name(f"{home.folder.name}.lock")))
    # Set-up may take long; Qt notices by itself if the one who locked is gone.
    lock.setStaleLockTime(0)
    if not lock.tryLock(0):
        raise SetUpFailed(_why_not_alone(home, lock))
    try:
        yield
    finally:
        lock.unlock()


def _why_not_alone(home: Home, lock: QLockFile) -> str:
    if lock.error() != QLockFile.LockError.LockFailedError:
        return tr("The folder {} cannot be written to: set-up needs it.").format(home.folder.parent)
    # Qt cannot ask another computer, or another container, whether the process still lives.
    _, process, computer, _ = lock.getLockInfo()
    return tr(
        "Another set-up of SSLKD is running in {folder} (process {process} on {computer}): wait for its end. "
        "If that process is gone, remove the file {file}."
    ).format(folder=home.folder, process=process, computer=computer, file=f"{home.folder}.lock")


def _put_in_place(home: Home, part: Path) -> None:
    """Rename the new environment; the old one goes."""
    environment, old = home.environment, home.folder / _OLD
    try:
        if environment.exists():
            environment.rename(old)
        part.rename(environment)
    except OSError as error:
        if old.exists() and not environment.exists():
            old.rename(environment)
        raise SetUpFailed(
            tr("The environment {} is in use ({}): end what SSLKD is doing, and set up again.").format(
                environment, error.strerror
            )
        ) from error


def _half_made(home: Home) -> list[Path]:
    """Return what a set-up leaves that ends before its time: environments, and what uv was unpacking."""
    return [*home.folder.glob(f"{_PART}*"), *home.cache.glob(".tmp*")]


def _tidy(home: Home, feedback: QgsProcessingFeedback) -> None:
    """Take what is not needed away at once, and remove its tens of thousands of files unless the user cancels."""
    for folder in [*_half_made(home), home.folder / _OLD]:
        _discard(home, folder)
    discarded = list(home.folder.glob(f"{_DISCARDED}*"))
    remover = Thread(target=lambda: [shutil.rmtree(folder, ignore_errors=True) for folder in discarded])
    remover.start()
    while remover.is_alive() and not feedback.isCanceled():
        remover.join(POLL_MS / 1000)
    # QGIS waits for it when it ends, but qgis_process does not.
    remover.join(PATIENCE_MS / 1000)


def _discard(home: Home, folder: Path) -> None:
    """Take a folder out of the way, for it to be removed."""
    with suppress(OSError):  # what is in use stays until the next set-up
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            folder.rename(home.folder / f"{_DISCARDED}{uuid4().hex}")


def _remove_folder(folder: Path) -> None:
    """Remove a folder, or the link to one."""
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise SetUpFailed(
            tr("{} cannot be removed ({}): end what SSLKD is doing, and try again.").format(folder, error.strerror)
        ) from error
