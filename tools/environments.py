"""Python environments made with uv from the lock files, on a machine that may have only Python."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REQUIREMENTS = ROOT / "requirements"
SYSTEM_PYTHON = Path("/usr/bin/python3")
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")

_ASK_WHO = "import sys; print('%d.%d' % sys.version_info[:2], sys._base_executable)"


class SetupError(Exception):
    """Raised when an environment cannot be made; the message says what to do."""


def run(*command: str | Path) -> None:
    """Run a command with its output shown, without the settings that would bend Python, pip or uv."""
    words = [str(word) for word in command]
    bending = ("PIP_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT", "UV_PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(bending)}
    if subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
        raise SetupError(f"this command failed, its own words are above: {' '.join(words)}")


def python_of(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def supported_python() -> Path:
    """A Python that the worker runs on: the system's before any other, and never a version manager's shim."""
    names = [f"python{version}" for version in SUPPORTED] + ["python3", "python"]
    for name in [f"/usr/bin/{name}" for name in names] + names:
        found = shutil.which(name)
        asked = found and subprocess.run([found, "-I", "-c", _ASK_WHO], capture_output=True, text=True)
        if asked and asked.returncode == 0:
            version, _, executable = asked.stdout.strip().partition(" ")
            if version in SUPPORTED:
                return Path(executable)
    raise SetupError(f"Python {SUPPORTED[0]} to {SUPPORTED[-1]} is not installed; install python3.11.")


def is_current(environment: Path, name: str, *inputs: Path) -> bool:
    """Whether the part `name` of an environment was finished from these very inputs, at this very place."""
    stamp = _stamp(environment, name)
    return python_of(environment).exists() and stamp.is_file() and stamp.read_text() == _digest(environment, *inputs)


def mark_current(environment: Path, name: str, *inputs: Path) -> None:
    """Leave the stamp that `is_current` looks for: the last act, so that a broken-off set-up has none."""
    _stamp(environment, name).write_text(_digest(environment, *inputs))


def make_tools(environment: Path) -> None:
    """The environment that holds uv, from nothing but Python's own venv and pip."""
    _remove(environment)
    run(supported_python(), "-m", "venv", environment)
    pip = (python_of(environment), "-m", "pip", "--isolated", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--require-hashes", "-r", REQUIREMENTS / "tools.txt")


def make_environment(uv: Path, environment: Path, requirements: Path, python: Path, *options: str) -> None:
    """An environment that holds exactly what a lock file names; whatever was there before goes."""
    _remove(environment)
    run(uv, "venv", "--quiet", "--python", python, *options, environment)
    run(uv, "pip", "sync", "--require-hashes", "--python", python_of(environment), requirements)


def _stamp(environment: Path, name: str) -> Path:
    return environment / f".{name}.stamp"


def _digest(environment: Path, *inputs: Path) -> str:
    # The scripts inside an environment name its absolute path, so a moved checkout needs new ones.
    digest = hashlib.sha256(os.fsencode(environment.absolute()))
    for path in inputs:
        digest.update(b"\0" + path.read_bytes())
    return digest.hexdigest()


def _remove(environment: Path) -> None:
    if environment.exists():
        shutil.rmtree(environment)
