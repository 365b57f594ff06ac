"""Takes the pictures of README and of the help: runs demo/tour.py in a QGIS desktop on a virtual screen.

Run it by `make screenshots`, or, once that has set everything up: python -m demo.screenshots [--steps 200] [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .scene import write_scene

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
# Paths are seen in the pictures, so this one is the same everywhere. QGIS marks layers in /tmp as fleeting.
STAGE = Path("/var/tmp/roads")
SYSTEM_PYTHON = Path("/usr/bin/python3")
SCREEN = "1360x900x24"
PATIENCE = 7200.0  # seconds
COLOURS = (255, 128, 64, 32)
MOST_BYTES = 200_000
SETTINGS = """\
[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
[locale]
overrideFlag=true
userLocale=en
[qgis]
checkVersion=false
showTips=false
newProjectDefault=false
[plugins]
automatically-check-for-updates=false
"""


class TourError(Exception):
    """Raised when the tour cannot be made; the message is the sentence to show."""


def main() -> None:
    """Take all pictures into docs/images, or into another folder."""
    parser = argparse.ArgumentParser(description="Take the pictures of README and the help.")
    parser.add_argument("images", nargs="?", type=Path, default=IMAGES, help="the folder to write to")
    parser.add_argument("--steps", type=int, default=200, help="training steps of each stage")
    options = parser.parse_args()
    try:
        program = _qgis()
        with _stage():
            _tour(program, options.steps)
            _keep(STAGE / "pictures", options.images)
    except (TourError, OSError) as error:
        sys.exit(f"screenshots: {error}")


def _qgis() -> str:
    program = shutil.which("qgis.bin") or shutil.which("qgis")
    if program is None or shutil.which("xvfb-run") is None:
        raise TourError("QGIS or xvfb-run is missing; on Debian: apt-get install qgis xvfb xauth.")
    return program


@contextmanager
def _stage() -> Iterator[None]:
    """A folder of the tour's own, with its scene and a fresh QGIS profile."""
    archive = _archive()
    try:
        STAGE.mkdir()
    except FileExistsError:
        raise TourError(f"the folder {STAGE} is there already; remove it, or wait for its tour to end.") from None
    try:
        profile = STAGE / "profiles" / "default" / "QGIS"
        profile.mkdir(parents=True)
        (profile / "QGIS3.ini").write_text(SETTINGS, encoding="utf-8")
        (STAGE / "pictures").mkdir()
        shutil.copy2(archive, STAGE)
        write_scene(STAGE, size=(1200, 1500), test_size=(800, 1000))
        yield
    finally:
        shutil.rmtree(STAGE)


def _archive() -> Path:
    found = sorted((ROOT / "build").glob("qgis_sslkd-*.zip"))
    if len(found) != 1:
        raise TourError(
            f"build holds {len(found)} zip files of the plugin in place of one; remove them and `make package`."
        )
    return found[0]


def _tour(program: str, steps: int) -> None:
    """Run the tour; it ends QGIS itself, and leaves its complaint in a file if something went wrong."""
    complaint = STAGE / "complaint.txt"
    command = ["xvfb-run", "--auto-servernum", f"--server-args=-screen 0 {SCREEN}", program, "--nologo"]
    command += ["--noversioncheck", "--code", str(ROOT / "demo" / "tour.py")]
    try:
        done = subprocess.run(command, env=_environment(steps), cwd=STAGE, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise TourError(f"the tour was not over within {PATIENCE / 60:.0f} minutes.") from None
    if complaint.exists():
        raise TourError(complaint.read_text(encoding="utf-8"))
    if done.returncode:
        raise TourError(f"QGIS ended with {done.returncode}.")


def _environment(steps: int) -> dict[str, str]:
    """A QGIS that knows nothing but the tour's folder and this checkout's worker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "QT_", "QGIS_", "LC_"))}
    return {
        **kept,
        "PATH": f"{SYSTEM_PYTHON.parent}:{os.environ.get('PATH', '')}",
        "PYTHONWARNINGS": "ignore",
        "LANG": "C.UTF-8",
        "QGIS_CUSTOM_CONFIG_PATH": str(STAGE),
        "SSLKD_PYTHON": os.environ.get("SSLKD_PYTHON", str(ROOT / "build" / "worker" / "bin" / "python")),
        "SSLKD_STAGE": str(STAGE),
        "SSLKD_STEPS": str(steps),
    }


def _keep(pictures: Path, images: Path) -> None:
    """Write the pictures with as many colours as a small file allows."""
    images.mkdir(parents=True, exist_ok=True)
    for path in sorted(pictures.glob("*.png")):
        target = images / path.name
        with Image.open(path) as picture:
            for colours in COLOURS:
                # Few pixels of a legend count as much as many of a map.
                few = picture.convert("RGB").quantize(
                    colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
                )
                few.save(target, optimize=True)
                if target.stat().st_size < MOST_BYTES:
                    break
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB in {colours} colours")


if __name__ == "__main__":
    main()
