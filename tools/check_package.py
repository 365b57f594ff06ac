"""Check the plugin's zip file as plugins.qgis.org does on upload, but for whether its links answer."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from package import BUILD, PLUGIN, version

MOST_BYTES = 25_000_000
LONGEST_LINE = 500
REQUIRED = (
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
)
LINKS = ("tracker", "repository", "homepage")
BOOLEANS = ("experimental", "deprecated", "server", "hasProcessingProvider")
FORBIDDEN_FOLDERS = {"__MACOSX", "__pycache__"}
FORBIDDEN_ENDINGS = {".pyc", ".pyo", ".exe", ".dll", ".so", ".dylib", ".bat", ".sh", ".ps1", ".cmd"}


def main() -> None:
    """Check the zip file that is named, or the one that `make package` wrote."""
    archive = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILD / f"{PLUGIN}-{version()}.zip"
    found = [*problems(archive), *insecurities(archive), *secrets(archive)]
    if found:
        sys.exit("\n".join(f"{archive.name}: {problem}" for problem in found))
    print(f"{archive.name}: fit to be uploaded")


def problems(archive: Path) -> list[str]:
    """What the site would refuse or complain of, but for the security of the code."""
    if archive.stat().st_size > MOST_BYTES:
        return [f"larger than {MOST_BYTES / 1e6:.0f} MB"]
    try:
        with zipfile.ZipFile(archive) as packed:
            return [*_about_names(packed), *_about_content(packed)]
    except zipfile.BadZipFile as error:
        return [f"no zip file: {error}"]


def insecurities(archive: Path) -> list[str]:
    """What bandit finds in the code, however severe."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        found = [*report["errors"], *report["results"]]
        return [
            f"{Path(each['filename']).relative_to(folder)}:{each.get('line_number', 0)}: "
            f"{each.get('issue_text') or each.get('reason')}"
            for each in found
        ]


def secrets(archive: Path) -> list[str]:
    """What detect-secrets takes for passwords and keys; it asks nobody whether they are."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files", "--no-verify", "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            return [f"detect-secrets failed: {done.stderr.strip()}"]
        results = json.loads(done.stdout)["results"]
        return [f"{name}:{each['line_number']}: {each['type']}" for name in results for each in results[name]]


def _about_names(packed: zipfile.ZipFile) -> Iterator[str]:
    tops = {name.partition("/")[0] for name in packed.namelist()}
    if len(tops) != 1:
        yield f"not one folder at the top, but {', '.join(sorted(tops)) or 'nothing'}"
    for top in tops:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", top):
            yield f"the folder {top} has no name that Python can import"
        for file in ("__init__.py", "metadata.txt", "LICENSE"):
            if f"{top}/{file}" not in packed.namelist():
                yield f"{top}/{file} is missing"
    for entry in packed.infolist():
        path = PurePosixPath(entry.filename)
        if ".." in entry.filename or path.is_absolute():
            yield f"{path} leads out of the zip file"
        if any(part.startswith(".") or part in FORBIDDEN_FOLDERS for part in path.parts):
            yield f"{path} is hidden or left over"
        if path.suffix.lower() in FORBIDDEN_ENDINGS:
            yield f"{path} is a program or compiled"
        if path.suffix == ".py" and entry.external_attr >> 16 & 0o111:
            yield f"{path} is marked as a program"


def _about_content(packed: zipfile.ZipFile) -> Iterator[str]:
    damaged = packed.testzip()
    if damaged is not None:
        yield f"{damaged} is damaged"
        return
    for name in packed.namelist():
        if name.endswith("/metadata.txt") and name.count("/") == 1:
            yield from _about_metadata(packed.read(name).decode(), packed.namelist(), name.partition("/")[0])
        elif name.endswith(".py"):
            yield from _about_code(packed.read(name).decode(), name)


def _about_metadata(text: str, names: list[str], top: str) -> Iterator[str]:
    # With interpolation, as the site reads it: a lone % breaks it.
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment]
    try:
        parser.read_string(text)
        values = dict(parser.items("general"))
    except configparser.Error as error:
        yield f"metadata.txt cannot be read: {error}"
        return
    yield from (f"metadata.txt has no {key}" for key in REQUIRED if not values.get(key, "").strip())
    for key in LINKS:
        link = urlparse(values.get(key, ""))
        if key in values and not (link.scheme in ("http", "https") and link.netloc):
            yield f"{key} in metadata.txt is no link"
    for key in BOOLEANS:
        if values.get(key, "True").lower() not in ("true", "false", "yes", "no", "1", "0"):
            yield f"{key} in metadata.txt is neither True nor False"
    for key in ("qgisMinimumVersion", "qgisMaximumVersion"):
        if key in values and not re.fullmatch(r"\d+\.\d+(\.\d+)?", values[key]):
            yield f"{key} in metadata.txt is no version"
    if "/" in values.get("author", ""):
        yield "author in metadata.txt has a slash"
    if "icon" in values and f"{top}/{values['icon']}" not in names:
        yield f"the icon {values['icon']} is missing"


def _about_code(text: str, name: str) -> Iterator[str]:
    try:
        ast.parse(text)
    except SyntaxError as error:
        yield f"{name}:{error.lineno}: {error.msg}"
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            yield f"{name}:{number}: a line so long looks like hidden code"


if __name__ == "__main__":
    main()
