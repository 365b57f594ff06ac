"""Set up everything that the project needs: QGIS, uv, and the environments under build/."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from environments import (
    BUILD,
    REQUIREMENTS,
    ROOT,
    SYSTEM_PYTHON,
    SetupError,
    is_current,
    make_environment,
    make_tools,
    mark_current,
    python_of,
    run,
    supported_python,
)

DEBIAN_PACKAGES = ("qgis", "python3-qgis", "qgis-providers", "python3-venv")
TOOLS = BUILD / "tools"
WORKER = BUILD / "worker"
QGIS_TEST = BUILD / "qgis-test"
UV = TOOLS / "bin" / "uv"


def main() -> None:
    """Make what is missing or out of date, and nothing else."""
    try:
        with _alone():
            set_up_system()
            set_up_tools()
            set_up_worker()
            set_up_qgis_test()
    except (SetupError, OSError) as error:
        sys.exit(f"set-up: {error}")
    except KeyboardInterrupt:
        sys.exit("set-up: interrupted; run it again to go on.")


def set_up_system() -> None:
    """QGIS with its Python, and Python's venv: from apt where they are missing."""
    missing = list(_missing_from_system())
    if not missing:
        return
    apt = _apt()
    if apt is None:
        raise SetupError(
            f"missing here: {', '.join(missing)}; on Debian or Ubuntu install them with: "
            f"sudo apt-get install --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"
        )
    _say(f"missing here: {', '.join(missing)}; installing with apt")
    run(*apt, "update")
    run(*apt, "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES)


def set_up_tools() -> None:
    """The environment that holds uv."""
    inputs = (REQUIREMENTS / "tools.txt",)
    if is_current(TOOLS, "made", *inputs):
        return
    _say("making build/tools (uv)")
    make_tools(TOOLS)
    mark_current(TOOLS, "made", *inputs)


def set_up_worker() -> None:
    """The worker's environment, with what development needs and the project itself as an editable install."""
    lock, project = REQUIREMENTS / "dev.txt", ROOT / "pyproject.toml"
    if not is_current(WORKER, "made", lock):
        _say("making build/worker (several GB: torch and its companions)")
        make_environment(UV, WORKER, lock, supported_python())
        mark_current(WORKER, "made", lock)
    if not is_current(WORKER, "project", lock, project):
        _say("installing the project into build/worker")
        pip = (UV, "pip", "install", "--quiet", "--python", python_of(WORKER))
        run(*pip, "--no-deps", "--no-build-isolation", "--reinstall", "--editable", ROOT)
        mark_current(WORKER, "project", lock, project)


def set_up_qgis_test() -> None:
    """The test environment on QGIS's side, which sees the system's Python packages."""
    lock = REQUIREMENTS / "qgis-test.txt"
    if is_current(QGIS_TEST, "made", lock):
        return
    _say("making build/qgis-test")
    make_environment(UV, QGIS_TEST, lock, SYSTEM_PYTHON, "--system-site-packages")
    mark_current(QGIS_TEST, "made", lock)


def _missing_from_system() -> Iterator[str]:
    if not (shutil.which("qgis_process") or shutil.which("qgis_process.bin")):
        yield "QGIS"
    if not _system_python_has("qgis"):
        yield "QGIS's Python package"
    if not _system_python_has("ensurepip"):
        yield "Python's venv"


def _system_python_has(module: str) -> bool:
    question = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return SYSTEM_PYTHON.exists() and not subprocess.run([SYSTEM_PYTHON, "-I", "-c", question]).returncode


def _apt() -> tuple[str, ...] | None:
    """The words that start apt-get as root without asking, or None where that cannot be."""
    if shutil.which("apt-get") is None:
        return None
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300")
    if os.geteuid() == 0:
        return apt
    sudo = ("sudo", "-n")
    if shutil.which("sudo") and not subprocess.run([*sudo, "true"], capture_output=True).returncode:
        return (*sudo, *apt)
    return None


@contextmanager
def _alone() -> Iterator[None]:
    """Two `make`s at once must not build the same environment."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / ".setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(f"set-up: {text}", flush=True)


if __name__ == "__main__":
    main()
