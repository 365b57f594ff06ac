"""Run the plugin's tests in QGIS 3.40 LTR: in a Debian 13 under build/qgis-lts, entered by chroot.

Run it by `make test-qgis-lts`; words that are given go to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environments import BUILD, REQUIREMENTS, ROOT, SetupError, run
from setup import DEBIAN_PACKAGES, UV

DEBIAN = "trixie"
PYTHON = "3.13"
SYSTEM = BUILD / "qgis-lts"
# Inside of that system.
CHECKOUT, WORKER, QGIS_TEST = "/checkout", "/opt/worker", "/opt/qgis-test"
FOLDERS = ("core", "demo", "docs", "qgis_sslkd", "requirements", "tests", "tools", "training")
COPIED = (*FOLDERS, "LICENSE", "Makefile", "README.md", "metadata.txt", "pyproject.toml")
# A namespace of its own takes the mounts away with the last process.
INSIDE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c")
ENTER = f'mount -t proc proc "{SYSTEM}/proc" && exec chroot "{SYSTEM}" "$@"'
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "QT_QPA_PLATFORM": "offscreen",
    "QGIS_PLUGINPATH": f"{CHECKOUT}/build/plugins",
    "QGIS_CUSTOM_CONFIG_PATH": f"{CHECKOUT}/build/qgis-config",
    "SSLKD_PYTHON": f"{WORKER}/bin/python",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def main() -> None:
    """Make what is missing, copy the checkout in, and test."""
    try:
        _make_system()
        _make_environment(WORKER, REQUIREMENTS / "worker.txt")
        _make_environment(QGIS_TEST, REQUIREMENTS / "qgis-test.txt", "--system-site-packages")
        _copy_checkout()
        _enter("sh", "-c", f"cd {CHECKOUT} && python3 -Es tools/package.py")
        tests = sys.argv[1:] or ["tests/qgis"]
        pytest = [f"{QGIS_TEST}/bin/python", "-m", "pytest", "-o", "addopts=", "-o", "pythonpath=build/plugins"]
        pytest += ["-p", "no:cacheprovider", "--confcutdir=tests/qgis", *tests]
        _enter("sh", "-c", f'cd {CHECKOUT} && exec "$@"', "sh", *pytest)
    except (SetupError, OSError) as error:
        sys.exit(f"QGIS LTR: {error}")


def _make_system() -> None:
    """Debian with QGIS, unless it is there and was finished."""
    done = SYSTEM / ".done"
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise SetupError(
            "this takes root and debootstrap (apt-get install debootstrap), since it enters another Debian."
        )
    if done.exists():
        return
    if not (SYSTEM / "usr" / "bin" / "apt-get").exists():
        run("debootstrap", "--variant=minbase", DEBIAN, SYSTEM)
    shutil.copy("/etc/resolv.conf", SYSTEM / "etc")
    _enter("apt-get", "update")
    _enter("apt-get", "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES)
    done.touch()


def _make_environment(place: str, lock: Path, *options: str) -> None:
    """A Python environment inside, filled from outside, where the package index is known."""
    outside = SYSTEM / place.lstrip("/")
    stamp = outside / ".lock"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return
    _enter("python3", "-m", "venv", "--clear", "--without-pip", *options, place)
    packages = outside / "lib" / f"python{PYTHON}" / "site-packages"
    platform = ("--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_28")
    run(UV, "pip", "install", "--require-hashes", "--no-deps", "--target", packages, *platform, "-r", lock)
    stamp.write_bytes(lock.read_bytes())


def _copy_checkout() -> None:
    """Put the checkout's files inside, and the program uv, which tests of set-up start."""
    inside = SYSTEM / CHECKOUT.lstrip("/")
    shutil.rmtree(inside, ignore_errors=True)
    for name in COPIED:
        source, target = ROOT / name, inside / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "out"))
        else:
            shutil.copy2(source, target)
    uv = inside / UV.relative_to(ROOT)
    uv.parent.mkdir(parents=True)
    shutil.copy2(UV, uv)


def _enter(*command: str) -> None:
    """Run a command in the other Debian."""
    done = subprocess.run([*INSIDE, ENTER, "sh", *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SetupError(f"this command failed there, its own words are above: {' '.join(command)}")


if __name__ == "__main__":
    main()
