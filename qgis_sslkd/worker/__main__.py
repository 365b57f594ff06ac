"""Starts the command line: `python -m qgis_sslkd.worker`, `sslkd`, or from QGIS."""

from __future__ import annotations

from .cli import app


def main() -> None:
    """Runs the command that the arguments name."""
    app()


if __name__ == "__main__":
    main()
