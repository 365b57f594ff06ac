"""Starts the command line: `python -m qgis_sslkd.worker`, `sslkd`, or from QGIS."""

from __future__ import annotations

import atexit
import gc
import os

from .cli import app


def main() -> None:
    """Runs the command that the arguments name."""
    # PyTorch's threads then sleep while they wait; spinning, they would take the processor from QGIS.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Python would look through all objects once more at its end, which takes 0.1 s.
    atexit.register(gc.freeze)
    app()


if __name__ == "__main__":
    main()
