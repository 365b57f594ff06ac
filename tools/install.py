"""Install the plugin into a QGIS profile, with the worker's Python environment that “Set up SSLKD” would make."""

from __future__ import annotations

import sys
from pathlib import Path

from environments import REQUIREMENTS, ROOT, SetupError, make_environment, supported_python
from package import stage, version
from setup import UV, set_up_tools

# Last, so that nothing else that is named like a folder here is hidden.
sys.path.append(str(ROOT))

from qgis_sslkd.managed import Marker, digest, home_of_profile, python_of, read_marker, write_marker


def main() -> None:
    """Install into the profile whose folder is named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: install.py PROFILE_FOLDER")
    profile = Path(sys.argv[1]).expanduser().absolute()
    try:
        print(f"installed {stage(profile / 'python' / 'plugins')}")
        make_managed_environment(home_of_profile(profile).environment, REQUIREMENTS / "worker.txt")
    except (SetupError, OSError) as error:
        sys.exit(f"install: {error}")
    print("Start QGIS again and tick SSLKD under Plugins > Manage and Install Plugins.")


def make_managed_environment(environment: Path, lock: Path) -> None:
    """The environment in which the plugin looks for its worker, remade when the lock has changed."""
    wanted = Marker(version(), digest(lock), "lock")
    found = read_marker(environment)
    if found is not None and found.lock == wanted.lock and python_of(environment).exists():
        return
    set_up_tools()
    print(f"making {environment} (several GB)", flush=True)
    make_environment(UV, environment, lock, supported_python(), "--relocatable")
    write_marker(environment, wanted)


if __name__ == "__main__":
    main()
