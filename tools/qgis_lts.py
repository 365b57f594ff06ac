"""Run the plugin's tests in QGIS's long term releases 3.40 and 3.44: each in a Debian 13 of its own, entered by chroot.

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
SUITES = {"3.40": DEBIAN, "3.44": f"{DEBIAN}-backports"}
# Inside of that system.
CHECKOUT, WORKER, QGIS_TEST = "/checkout", "/opt/worker", "/opt/qgis-test"
FOLDERS = ("core", "demo", "docs", "qgis_sslkd", "requirements", "tests", "tools", "training")
COPIED = (*FOLDERS, "LICENSE", "Makefile", "README.md", "metadata.txt", "pyproject.toml")
# A namespace of its own takes the mounts away with the last process.
INSIDE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c")
ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
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
    """Test in each of the releases."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit(
            "QGIS LTR: this takes root and debootstrap (apt-get install debootstrap), since it enters another Debian."
        )
    if failed := [version for version, suite in SUITES.items() if not _passes(version, suite)]:
        sys.exit(f"QGIS LTR: failed in {' and '.join(failed)}.")


def _passes(version: str, suite: str) -> bool:
    """Test in one release, and say why if that fails: the others are tested all the same."""
    print(f"QGIS {version}:", flush=True)
    try:
        _test(BUILD / f"qgis-{version}", suite)
    except (SetupError, OSError) as error:
        print(f"QGIS {version}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def _test(system: Path, suite: str) -> None:
    """Make what is missing, copy the checkout in, and test."""
    _make_system(system, suite)
    _make_environment(system, WORKER, REQUIREMENTS / "worker.txt")
    _make_environment(system, QGIS_TEST, REQUIREMENTS / "qgis-test.txt", "--system-site-packages")
    _copy_checkout(system)
    _enter(system, "sh", "-c", f"cd {CHECKOUT} && python3 -Es tools/package.py")
    pytest = [f"{QGIS_TEST}/bin/python", "-m", "pytest", "-o", "addopts=", "-o", "pythonpath=build/plugins"]
    pytest += ["-p", "no:cacheprovider", "--confcutdir=tests/qgis", "--numprocesses", "2", "--dist", "worksteal"]
    pytest += sys.argv[1:] or ["tests/qgis"]
    _enter(system, "sh", "-c", f'cd {CHECKOUT} && exec "$@"', "sh", *pytest)


def _make_system(system: Path, suite: str) -> None:
    """Debian with the QGIS of a suite, unless it is there and was finished."""
    done = system / ".done"
    if done.exists():
        return
    if not (system / "usr" / "bin" / "apt-get").exists():
        run("debootstrap", "--variant=minbase", DEBIAN, system)
    sources = system / "etc" / "apt" / "sources.list"
    if suite not in sources.read_text().split():
        sources.write_text(sources.read_text() + sources.read_text().replace(DEBIAN, suite))
    shutil.copy("/etc/resolv.conf", system / "etc")
    _enter(system, "apt-get", "update")
    _enter(system, "apt-get", "install", "--yes", "--no-install-recommends", "-t", suite, *DEBIAN_PACKAGES)
    done.touch()


def _make_environment(system: Path, place: str, lock: Path, *options: str) -> None:
    """A Python environment inside, filled from outside, where the package index is known."""
    outside = system / place.lstrip("/")
    stamp = outside / ".lock"
    if stamp.is_file() and stamp.read_bytes() == lock.read_bytes():
        return
    _enter(system, "python3", "-m", "venv", "--clear", "--without-pip", *options, place)
    packages = outside / "lib" / f"python{PYTHON}" / "site-packages"
    platform = ("--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_28")
    run(UV, "pip", "install", "--require-hashes", "--no-deps", "--target", packages, *platform, "-r", lock)
    stamp.write_bytes(lock.read_bytes())


def _copy_checkout(system: Path) -> None:
    """Put the checkout's files inside, and the program uv, which tests of set-up start."""
    inside = system / CHECKOUT.lstrip("/")
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


def _enter(system: Path, *command: str) -> None:
    """Run a command in the other Debian."""
    words = [*INSIDE, ENTER, str(system), *command]
    if subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=False).returncode:
        raise SetupError(f"this command failed there, its own words are above: {' '.join(command)}")


if __name__ == "__main__":
    main()
