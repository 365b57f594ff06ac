"""Starts the command line: `python -m qgis_sslkd.worker`, `sslkd`, or from QGIS."""

from __future__ import annotations

import os

from .cli import app


def main() -> None:
    """Runs the command that the arguments name."""
    # PyTorch's threads then sleep while they wait; spinning, they would take the processor from QGIS.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()


if __name__ == "__main__":
    main()
