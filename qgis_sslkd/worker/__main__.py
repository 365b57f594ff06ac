"""Starts the command line: `python -m qgis_sslkd.worker`, `sslkd`, or from QGIS."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper

from .imports import importing


def main() -> None:
    """Runs the command that the arguments name, and ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # At Ctrl+C amid the imports, Python would show a traceback; nothing is to be tidied up yet.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # PyTorch's threads then sleep while they wait; spinning, they would take the processor from QGIS.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Pydantic would look for plugins of its own in all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    # GDAL would wait for ever for a server that says no more; these are seconds, and bytes in each.
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "60")
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1")
    # Rasterio and pyogrio bring their own; what PostGIS, conda or QGIS point at is of another version. The last is the
    # window that plots go to: reports need none, and Matplotlib refuses those of its older versions.
    for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "MPLBACKEND"):
        os.environ.pop(name, None)
    if sys.platform == "win32":
        # There lies msvc-runtime: the system's own may be missing, or older than PyTorch needs.
        os.add_dll_directory(sys.prefix)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It was closed: the next file to be opened, such as a result, would take its place.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 (no path; until the process ends)
    # What goes to a file or another program is in Windows's code page, which lacks most letters.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    with importing():
        from .cli import app

    try:
        try:
            # A pattern for several rasters is the value of one option; on Windows it would be spread over the line.
            app(windows_expand_args=False)
        except SystemExit as end:
            if isinstance(end.code, int):
                _leave(end.code)
            raise
    except OSError as error:
        # Of files the command has told itself: these are the streams.
        with suppress(OSError):
            print(f"sslkd: The output cannot be written: {error.strerror}.", file=sys.stderr, flush=True)
        os._exit(1)


def _leave(code: int) -> None:
    """Ends the process without taking Python down first, module by module: 0.15 s, with PyTorch 1 s and more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
