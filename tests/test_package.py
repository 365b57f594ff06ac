"""What is shipped: the plugin's zip, the wheel, the metadata and the lock files."""

import configparser
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = {"core": "qgis_sslkd/core", "training": "qgis_sslkd/training", "qgis_sslkd": "qgis_sslkd"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the tree as git sees it, in a path with a space, to build in."""
    copy = tmp_path_factory.mktemp("a checkout")
    for name in _files_in_git():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def archive(checkout):
    """The plugin's zip file, packed where there is no git and some rubbish lies about."""
    (checkout / "core" / "__pycache__").mkdir()
    (checkout / "core" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"compiled")
    (checkout / "training" / ".hidden").write_text("hidden")
    _run(checkout, "tools/package.py")
    return checkout / "build" / f"qgis_sslkd-{_metadata()['version']}.zip"


def test_zip_holds_exactly_the_shipped_files(archive):
    with zipfile.ZipFile(archive) as packed:
        names = set(packed.namelist())
    single = {"metadata.txt", "LICENSE", "README.md", "requirements/worker.txt"}
    assert names == _shipped_files() | {f"qgis_sslkd/{name}" for name in single}


def test_zip_passes_the_upload_gate(archive):
    assert archive.stat().st_size < 25 * 2**20
    with zipfile.ZipFile(archive) as packed:
        paths = [PurePosixPath(name) for name in packed.namelist()]
    assert {path.parts[0] for path in paths} == {"qgis_sslkd"}
    assert not {".pyc", ".pyo", ".so", ".dll", ".exe", ".safetensors"} & {path.suffix for path in paths}
    assert not [path for path in paths if any(part.startswith((".", "__MACOSX")) for part in path.parts)]


def test_staged_plugin_is_the_zip_and_replaces_what_was_there(checkout, archive):
    staged = checkout / "build" / "plugins" / "qgis_sslkd"
    (staged / "left_over.py").write_text("")
    _run(checkout, "tools/package.py")
    with zipfile.ZipFile(archive) as packed:
        expected = {name: packed.read(name) for name in packed.namelist()}
    found = {
        path.relative_to(staged.parent).as_posix(): path.read_bytes()
        for path in staged.parent.rglob("*")
        if path.is_file()
    }
    assert found == expected
    assert not list((checkout / "build").glob(".staging-*"))


def test_package_takes_new_files_from_git_but_no_ignored_ones(checkout):
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    (checkout / "core" / "brand_new.py").write_text('"""New."""\n')
    (checkout / "core" / "ignored.pyc").write_bytes(b"compiled")
    try:
        _run(checkout, "tools/package.py")
        staged = checkout / "build" / "plugins" / "qgis_sslkd" / "core"
        assert (staged / "brand_new.py").is_file()
        assert not (staged / "ignored.pyc").exists()
    finally:
        (checkout / "core" / "brand_new.py").unlink()


def test_wheel_holds_every_shipped_file(checkout, tmp_path):
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    _run(checkout, "-c", build, str(tmp_path))
    (wheel,) = tmp_path.glob("qgis_sslkd-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert _shipped_files() - set(packed.namelist()) == set()


def test_metadata_has_what_qgis_asks_for():
    metadata = _metadata()
    for key in ("name", "description", "about", "author", "email", "repository", "tracker"):
        assert metadata[key].strip(), key
    assert metadata["qgisMinimumVersion"] == "3.22"
    assert metadata["qgisMaximumVersion"] == "4.99"
    assert metadata["hasProcessingProvider"] == "yes"
    assert "supportsQt6" not in metadata


def test_version_and_license_agree_everywhere():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert project["version"] == _metadata()["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["license"] == "GPL-2.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["tools", "worker", "dev", "qgis-test"])
def test_lock_names_every_requirement_with_hashes_and_no_place(name):
    locked = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n?", "", locked).strip())
    for pin in pins:
        assert re.match(r"[a-z0-9-]+==[0-9][^ ]*( ; .*)? \\\n", pin), pin
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"://|--(extra-)?index|--find-links| @ |[ \"](/|\./|\.\./)", locked)
    pinned = {pin.split("==")[0] for pin in pins}
    asked = set(re.findall(r"(?m)^[a-z][a-z0-9-]*", (ROOT / "requirements" / f"{name}.in").read_text()))
    assert asked and asked <= pinned


def test_no_file_names_a_place_on_somebody_s_machine():
    places = re.compile(r"/(home|Users|root|work|workspace|mnt)/\w|\bC:\\\\?Users|file:///\w|://[^/\s]+@")
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in _files_in_git()
        if name != Path(__file__).relative_to(ROOT).as_posix()
        for number, line in enumerate(_text(ROOT / name).splitlines(), 1)
        if places.search(line)
    ]
    assert found == []


def _shipped_files() -> set[str]:
    return {
        f"{SHIPPED[top]}/{rest}"
        for top, _, rest in (name.partition("/") for name in _files_in_git())
        if top in SHIPPED and rest
    }


def _files_in_git() -> list[str]:
    """The tracked files and the new ones that git does not ignore."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [name for name in listed.split("\0")[:-1] if (ROOT / name).is_file()]


def _metadata() -> configparser.SectionProxy:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "metadata.txt", encoding="utf-8")
    return metadata["general"]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _run(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-Es", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
