"""Install the plugin into a QGIS profile, with the worker's Python environment beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from environments import (
    REQUIREMENTS,
    SetupError,
    is_current,
    make_environment,
    mark_current,
    supported_python,
)
from package import stage
from setup import UV, set_up_tools


def main() -> None:
    """Install into the profile whose folder is named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: install.py PROFILE_FOLDER")
    profile = Path(sys.argv[1]).expanduser().absolute()
    try:
        print(f"installed {stage(profile / 'python' / 'plugins')}")
        make_managed_environment(profile / "sslkd" / "environment")
    except (SetupError, OSError) as error:
        sys.exit(f"install: {error}")
    print("Start QGIS again and tick SSLKD under Plugins > Manage and Install Plugins.")


def make_managed_environment(environment: Path) -> None:
    """The environment in which the plugin looks for its worker, remade when the lock has changed."""
    lock = REQUIREMENTS / "worker.txt"
    if is_current(environment, "made", lock):
        return
    set_up_tools()
    print(f"making {environment} (several GB)", flush=True)
    make_environment(UV, environment, lock, supported_python())
    mark_current(environment, "made", lock)


if __name__ == "__main__":
    main()
