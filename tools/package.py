"""Assemble the plugin: build/plugins/qgis_sslkd, and build/qgis_sslkd-<version>.zip of the same files."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PLUGIN = "qgis_sslkd"

# Where each part of the tree goes inside the plugin's folder.
PLACES = {
    "qgis_sslkd": "",
    "core": "core",
    "training": "training",
    "requirements/worker.txt": "requirements/worker.txt",
    "requirements/tools.txt": "requirements/tools.txt",
    "metadata.txt": "metadata.txt",
    "LICENSE": "LICENSE",
    "README.md": "README.md",
}


def main() -> None:
    """Stage the plugin and pack it."""
    try:
        stage(BUILD / "plugins")
        print(pack(BUILD).relative_to(ROOT))
    except FileNotFoundError as error:
        sys.exit(f"package: {error.filename} is missing")


def stage(plugins: Path) -> Path:
    """Put the plugin into a folder of plugins, whole, in place of the one that is there."""
    plugins.mkdir(parents=True, exist_ok=True)
    target = plugins / PLUGIN
    # Beside the plugins' folder: QGIS must not take a half-made plugin for one.
    with tempfile.TemporaryDirectory(dir=plugins.parent, prefix=".staging-") as made:
        new = Path(made) / "new"
        for source, name in plugin_files():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, new / name)
        if target.exists():
            target.rename(Path(made) / "old")
        new.rename(target)
    return target


def pack(folder: Path) -> Path:
    """Write the plugin's zip file: one folder at the top, as plugins.qgis.org wants it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{PLUGIN}-{version()}.zip"
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for source, name in plugin_files():
            archive.write(source, f"{PLUGIN}/{name}")
    return part.replace(target)


def version() -> str:
    """The version that metadata.txt names."""
    metadata = configparser.ConfigParser(interpolation=None)
    with (ROOT / "metadata.txt").open(encoding="utf-8") as file:
        metadata.read_file(file)
    return metadata["general"]["version"]


def plugin_files() -> Iterator[tuple[Path, str]]:
    """Each file of the plugin with its name inside the plugin's folder."""
    sources = sorted(_source_files())
    for place, inside in PLACES.items():
        for source in sources:
            if source == place or source.startswith(f"{place}/"):
                yield ROOT / source, f"{inside}{source.removeprefix(place)}".lstrip("/")


def _source_files() -> Iterator[str]:
    """The files to choose from, by their path in the tree: what git tracks or would, else what lies there."""
    listed = _listed_by_git()
    for path in listed if listed is not None else map(str, _walked()):
        if (ROOT / path).is_file() and not (ROOT / path).is_symlink():
            yield path


def _listed_by_git() -> list[str] | None:
    """What git tracks and what is new and not ignored; None where this folder is no checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return None
    # A checkout may belong to somebody else, as in a container.
    git = ["git", "-C", str(ROOT), "-c", "safe.directory=*", "ls-files", "-z"]
    git += ["--cached", "--others", "--exclude-standard", "--", *PLACES]
    listed = subprocess.run(git, capture_output=True, check=False)
    return listed.stdout.decode().split("\0")[:-1] if listed.returncode == 0 else None


def _walked() -> Iterator[Path]:
    for place in PLACES:
        top = ROOT / place
        for path in [top, *top.rglob("*")]:
            inside = path.relative_to(ROOT)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
            if not hidden and path.suffix not in {".pyc", ".pyo"}:
                yield inside


if __name__ == "__main__":
    main()
