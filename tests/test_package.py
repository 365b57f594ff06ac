"""What is shipped: the plugin's zip, the wheel, the metadata and the lock files."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))

import check_package  # noqa: E402

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
    single = {"metadata.txt", "LICENSE", "README.md", "requirements/worker.txt", "requirements/tools.txt"}
    assert names == _shipped_files() | {f"qgis_sslkd/{name}" for name in single}


def test_zip_passes_the_upload_gate(archive):
    assert check_package.problems(archive) == []


METADATA = """[general]
name=Roads
description=Finds roads
about=Finds roads in pictures
version=1.0
qgisMinimumVersion=3.22
author=Somebody
email=somebody@example.org
tracker=https://example.org/tracker
repository=https://example.org
icon=icon.svg
"""
GOOD = {
    "roads/__init__.py": "def classFactory(iface): ...\n",
    "roads/metadata.txt": METADATA,
    "roads/LICENSE": "GPL",
    "roads/icon.svg": "<svg/>",
}


@pytest.fixture
def pack(tmp_path):
    """Writes files, by name, to a zip file."""

    def pack(files):
        archive = tmp_path / "roads.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for name, text in files.items():
                packed.writestr(zipfile.ZipInfo(name), text)
        return archive

    return pack


def test_a_good_plugin_is_not_complained_of(pack):
    assert check_package.problems(pack(GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"roads/__init__.py": None}, "__init__.py is missing"),
        ({"roads/LICENSE": None}, "LICENSE is missing"),
        ({"roads/metadata.txt": None}, "metadata.txt is missing"),
        ({"roads/icon.svg": None}, "icon.svg is missing"),
        ({"other/file.txt": ""}, "not one folder"),
        ({"roads/../../etc/file": ""}, "leads out"),
        ({"roads/.git/config": ""}, "hidden"),
        ({"roads/__pycache__/a.txt": ""}, "left over"),
        ({"roads/a.pyc": ""}, "compiled"),
        ({"roads/run.SH": ""}, "program"),
        ({"roads/bad.py": "def ("}, "bad.py:1: "),
        ({"roads/long.py": "a = '" + "x" * 500 + "'"}, "long.py:1: "),
        ({"roads/metadata.txt": METADATA.replace("email", "mail")}, "has no email"),
        ({"roads/metadata.txt": METADATA.replace("Finds roads in pictures", "")}, "has no about"),
        ({"roads/metadata.txt": METADATA.replace("in pictures", "in 90 % of pictures")}, "cannot be read"),
        ({"roads/metadata.txt": METADATA.replace("https://example.org/tracker", "tracker")}, "tracker in metadata.txt"),
        ({"roads/metadata.txt": METADATA.replace("=3.22", "=three")}, "qgisMinimumVersion"),
        ({"roads/metadata.txt": METADATA.replace("Somebody", "Some/body")}, "slash"),
        ({"roads/metadata.txt": METADATA + "experimental=perhaps"}, "neither True nor False"),
        ({"roads/metadata.txt": "name=Roads"}, "cannot be read"),
    ],
)
def test_what_the_site_refuses_is_named(pack, changes, named):
    files = {name: text for name, text in {**GOOD, **changes}.items() if text is not None}
    assert any(named in problem for problem in check_package.problems(pack(files)))


def test_other_defects_of_a_zip_file_are_named(pack, tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    assert "no zip file" in check_package.problems(broken)[0]
    whole = pack(GOOD)
    whole.write_bytes(whole.read_bytes().replace(b"<svg/>", b"<SVG/>"))
    assert check_package.problems(whole) == ["roads/icon.svg is damaged"]
    with zipfile.ZipFile(whole, "w") as packed:
        program = zipfile.ZipInfo("roads/__init__.py")
        program.external_attr = 0o755 << 16
        packed.writestr(program, "")
    assert "roads/__init__.py is marked as a program" in check_package.problems(whole)


def test_insecure_code_is_named(pack):
    assert check_package.insecurities(pack(GOOD)) == []
    (found,) = check_package.insecurities(pack({**GOOD, "roads/sly.py": "\n\nassert eval\n"}))
    assert found.startswith("roads/sly.py:3: ")


def test_a_password_in_the_code_is_named(pack):
    assert check_package.secrets(pack(GOOD)) == []
    sly = "\nPASS" + "WORD = 'f81Kq#zP0aw2'\n"
    assert check_package.secrets(pack({**GOOD, "roads/sly.py": sly})) == ["roads/sly.py:2: Secret Keyword"]


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


def test_every_package_that_the_worker_imports_is_asked_for_by_name():
    """What only comes along with another package goes when that one no longer needs it."""
    files = [f for folder in ("core", "training", "qgis_sslkd/worker") for f in (ROOT / folder).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {n.module.partition(".")[0] for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}
    named = set((ROOT / "requirements/worker.in").read_text().splitlines())
    distributions = importlib.metadata.packages_distributions()
    for name in imported - sys.stdlib_module_names:
        assert named & {each.lower().replace("_", "-") for each in distributions[name]}, name


def test_imports_go_one_way():
    """No package imports what imports it, by whatever detour: each can be read, and tested, without those above it."""
    needs: dict[str, set[str]] = {}
    for folder in (ROOT / "core", ROOT / "training"):
        for file in folder.rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and node.level:
                    target = ".".join((*parts[: len(parts) - node.level], *(node.module or "").split("."))).strip(".")
                    needs.setdefault(_unit(parts), set()).add(_unit(tuple(target.split("."))))
    assert not any(n.startswith("training") for unit in needs if unit.startswith("core") for n in needs[unit])
    order = TopologicalSorter({unit: imported - {unit} for unit, imported in needs.items()})
    assert len(list(order.static_order())) > 30  # else it raises CycleError, which tells the circle


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


def _unit(parts: tuple[str, ...]) -> str:
    """The package below `core` or `training` that a module lies in, else the module itself."""
    return ".".join(parts[:2])


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
