"""Making the worker's environment with the real uv, from a shelf of small wheels."""

import platform
import re
import shutil
import subprocess
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import UV, alive, as_arguments, start_qgis_process
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QLockFile
from shelf import Index, Shelf

from qgis_sslkd import installer
from qgis_sslkd.errors import Cancelled
from qgis_sslkd.installer import Plan, SetUpFailed, forget_fetched, install, is_current, remove
from qgis_sslkd.managed import LOCK, TOOLS_LOCK, Home, plugin_version, python_of, read_marker
from qgis_sslkd.uv import Release, UvMissing, _suits, read_release


@pytest.fixture(autouse=True)
def without_gpu_or_mirror(monkeypatch, tmp_path):
    """Nothing of this machine decides: no driver, no index or uv of its own, and Python's folder alone on the path."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "python3").symlink_to("/usr/bin/python3")
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("UV_DEFAULT_INDEX", "UV_CACHE_DIR", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shelf(tmp_path, roomy_disk):
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def plan(shelf, tmp_path):
    """An installation from the shelf, to a place that a careless program would stumble over."""
    return Plan(Home(tmp_path / "Weiße Straße ☂" / "sslkd"), shelf.lock, shelf.tools, "lock", shelf.wheels)


@pytest.fixture
def index(shelf, monkeypatch):
    """Starts a package index of the shelf and points at it."""
    servers = []

    def start(**options):
        servers.append(Index(shelf, **options))
        monkeypatch.setenv("UV_DEFAULT_INDEX", servers[-1].address)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def version_of(python, name="pebble"):
    code = f"import {name}; print({name}.VERSION)"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def works(python):
    """The check of these tests: what a set-up puts in place can import what the lock names."""
    assert version_of(python)


def left_over(home):
    """What lies about beside an environment, uv and what was fetched."""
    found = [*home.folder.iterdir(), *home.cache.glob(".tmp*")]
    return {path.name for path in found} - {"environment", "uv-9.9.9", "cache"}


def test_an_environment_from_a_folder_of_wheels_in_a_path_with_spaces_and_letters(plan, feedback):
    checked = []
    install(plan, lambda python: (works(python), checked.append(python)), feedback)
    python = python_of(plan.home.environment)
    assert version_of(python) == "1.0"
    assert checked and not Path(checked[0]).exists(), "it is checked before it is in place"
    marker = read_marker(plan.home.environment)
    assert (marker.version, marker.torch) == (plugin_version(), "lock")
    assert is_current(plan)
    assert left_over(plan.home) == set()
    assert feedback.fractions == sorted(feedback.fractions) and feedback.fractions[-1] == 90
    assert any("pebble==1.0" in line for line in feedback.infos)


def test_an_environment_of_another_lock_is_renewed(plan, shelf, feedback):
    install(plan, works, feedback)
    for name in ("pebble", "gravel"):
        shelf.put_package(name, "2.0")
    shelf.write_locks("pebble", "gravel", version="2.0")
    assert not is_current(plan)
    assert list(plan.home.cache.rglob("pebble-1.0.dist-info"))
    install(plan, works, feedback)
    assert version_of(python_of(plan.home.environment)) == "2.0"
    assert is_current(plan)
    assert left_over(plan.home) == set()
    assert not list(plan.home.cache.rglob("pebble-1.0.dist-info")), "what no environment needs is forgotten"
    assert list(plan.home.cache.rglob("gravel-2.0.dist-info"))


def test_a_cache_of_the_user_s_forgets_nothing(plan, shelf, feedback, monkeypatch, tmp_path):
    plan.home.cache.mkdir(parents=True)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    for version in ("1.0", "2.0"):
        shelf.put_package("pebble", version)
        shelf.write_locks("pebble", version=version)
        install(plan, works, feedback)
    assert list((tmp_path / "cache").rglob("pebble-1.0.dist-info"))


def test_another_choice_of_pytorch_is_another_environment(plan, feedback):
    install(plan, works, feedback)
    assert not is_current(replace(plan, torch="auto"))


def test_a_wheel_that_is_not_the_locked_one_is_refused_and_the_old_environment_stays(plan, shelf, feedback):
    install(plan, works, feedback)
    forget_fetched(plan.home)
    with zipfile.ZipFile(shelf.wheels / "pebble-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "")
    with pytest.raises(SetUpFailed, match="not the one that SSLKD was made with"):
        install(plan, works, feedback)
    assert is_current(plan) and version_of(python_of(plan.home.environment)) == "1.0"
    assert left_over(plan.home) == set()


def test_an_environment_that_does_not_work_is_not_put_in_place(plan, shelf, feedback):
    install(plan, works, feedback)
    shelf.put_package("gravel", "2.0")
    shelf.write_locks("gravel", version="2.0")
    with pytest.raises(subprocess.CalledProcessError):
        install(plan, works, feedback)
    assert version_of(python_of(plan.home.environment)) == "1.0"
    assert left_over(plan.home) == set()


def test_a_folder_without_the_wheels_says_so(plan, shelf, feedback):
    (shelf.wheels / "pebble-1.0-py3-none-any.whl").unlink()
    with pytest.raises(SetUpFailed, match=r"(?s)missing in the folder of wheels.*pebble"):
        install(plan, works, feedback)
    assert not plan.home.environment.exists()


def test_a_system_that_the_packages_are_not_made_for_is_told_which_they_are(plan, shelf, index, feedback):
    (shelf.wheels / "pebble-1.0-py3-none-any.whl").rename(shelf.wheels / "pebble-1.0-py3-none-win_amd64.whl")
    index()
    with pytest.raises(SetUpFailed, match=r"(?s)not made for this system: they take Linux.*pebble"):
        install(replace(plan, wheels=None), works, feedback)
    assert not plan.home.environment.exists()


def test_an_intel_qgis_on_apple_silicon_takes_the_uv_of_the_machine(monkeypatch):
    kernel = "Darwin Kernel Version 24.6.0: Mon Jul 14 11:30:55 PDT 2025; root:xnu-11417.140.69~1/RELEASE_{}"
    release = Release("9.9.9", frozenset())
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for kind, machine in (("ARM64_T6041", "arm64"), ("X86_64", "x86_64")):
        monkeypatch.setattr(platform, "version", lambda kind=kind: kernel.format(kind))
        suits = {each for each in ("arm64", "x86_64") if _suits(f"uv-9.9.9-py3-none-macosx_11_0_{each}.whl", release)}
        assert suits == {machine}


def test_from_the_package_index(plan, index, feedback):
    server = index()
    install(replace(plan, wheels=None), works, feedback)
    assert version_of(python_of(plan.home.environment)) == "1.0"
    assert next(path for path in server.asked if path.endswith(".whl")).startswith("/files/uv-9.9.9")


def test_uv_is_fetched_once(plan, index, feedback):
    server = index()
    online = replace(plan, wheels=None)
    install(online, works, feedback)
    install(online, works, feedback)
    assert len([path for path in server.asked if path.startswith("/files/uv-")]) == 1
    forget_fetched(plan.home)
    install(online, works, feedback)
    assert len([path for path in server.asked if path.startswith("/files/uv-")]) == 2


@pytest.fixture
def proxy_of_qgis():
    """Sets QGIS's proxy, and takes it back."""

    def use(port, **more):
        values = {"Enabled": True, "Type": "HttpProxy", "Host": "127.0.0.1", "Port": str(port), **more}
        for key, value in values.items():
            QgsSettings().setValue(f"proxy/proxy{key}", value)
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()

    yield use
    QgsSettings().remove("proxy")
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()


def test_everything_goes_through_the_proxy_of_qgis(plan, index, proxy_of_qgis, feedback, monkeypatch):
    server = index(user="dom jo:p@ss/w:rd")
    # Nobody knows this name: only the proxy can answer.
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://packages.invalid/simple")
    proxy_of_qgis(server.server_port, User="dom jo", Password="p@ss/w:rd")
    install(replace(plan, wheels=None), works, feedback)
    assert version_of(python_of(plan.home.environment)) == "1.0"
    assert all(path.startswith("http://packages.invalid/") for path in server.asked)
    assert not [line for line in feedback.infos if "ss/w" in line]


@pytest.mark.parametrize("hangs_at", ["/simple/uv/", ".whl", "/simple/pebble/"])
def test_cancel_ends_set_up_within_seconds_and_leaves_what_was_there(plan, index, feedback, hangs_at):
    install(plan, works, feedback)
    forget_fetched(plan.home)
    server = index(hangs_at=hangs_at)
    cancelled = []

    def cancel():
        server.hung.wait(20)
        cancelled.append(time.monotonic())
        feedback.cancel()

    threading.Thread(target=cancel).start()
    with pytest.raises(Cancelled):
        install(replace(plan, wheels=None), works, feedback)
    assert time.monotonic() - cancelled[0] < 5
    assert is_current(plan) and version_of(python_of(plan.home.environment)) == "1.0"
    assert left_over(plan.home) == set()
    assert running_below(plan.home.folder) == []


def test_uv_ends_with_a_qgis_that_is_killed(shelf, index, tmp_path):
    server = index(hangs_at="/simple/numpy/")
    startup = tmp_path / "roomy_disk.py"
    startup.write_text(
        "import shutil\n"
        "usage = shutil.disk_usage('/')._replace(free=100 * 2**30)\n"
        "shutil.disk_usage = lambda folder: usage\n"
    )
    profile = tmp_path / "config"
    home = Home(profile / "profiles" / "default" / "sslkd")
    uv = home.folder / f"uv-{read_release(TOOLS_LOCK).version}" / "uv"
    uv.parent.mkdir(parents=True)
    uv.symlink_to(UV)
    environment = {
        "PATH": f"/usr/bin:{tmp_path / 'programs'}",
        "UV_DEFAULT_INDEX": server.address,
        "PYQGIS_STARTUP": str(startup),
    }
    with start_qgis_process(profile, *as_arguments("setup", {"TORCH": "lock"}), **environment) as process:
        assert server.hung.wait(60)
        assert len(running_below(home.folder)) == 1
        process.kill()
    deadline = time.monotonic() + 5
    while running_below(home.folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running_below(home.folder) == []


def running_below(folder):
    """The ids of processes that were started with something in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(entry.name):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(str(folder).encode() in word for word in words):
                found.append(int(entry.name))
    return found


def test_without_a_network_the_way_out_is_told(plan, index, feedback):
    server = index()
    server.shutdown()
    server.server_close()
    with pytest.raises(UvMissing, match=r"cannot be fetched.*folder of wheels, or install uv"):
        install(replace(plan, wheels=None), works, feedback)
    assert left_over(plan.home) == set()


def test_a_password_of_the_package_index_is_not_shown(plan, monkeypatch, feedback):
    server, shown = "me:sesame@localhost:9", "me@localhost:9"
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://{server}/simple")
    with pytest.raises(UvMissing, match=rf"^http://{shown}/simple/uv/ cannot be fetched: [^@]*$"):
        install(replace(plan, wheels=None), works, feedback)


def test_the_uv_of_the_system_helps_where_none_can_be_fetched(plan, shelf, feedback, tmp_path):
    for wheel in shelf.wheels.glob("uv-*manylinux*"):
        wheel.unlink()
    (tmp_path / "programs" / "uv").symlink_to(UV)
    install(plan, works, feedback)
    assert version_of(python_of(plan.home.environment)) == "1.0"
    assert "has no wheel of uv 9.9.9 for this system" in feedback.warnings[0]


def test_a_uv_that_is_not_the_locked_one_is_never_started(plan, shelf, feedback):
    (wheel,) = shelf.wheels.glob("uv-*manylinux*")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", "")
    with pytest.raises(UvMissing, match=r"is not the uv 9\.9\.9 that SSLKD was made with"):
        install(plan, works, feedback)
    assert left_over(plan.home) == set() and not (plan.home.folder / "uv-9.9.9").exists()


def test_a_machine_without_a_gpu_asks_for_the_processor_s_pytorch_and_takes_the_locked_one_otherwise(
    plan, shelf, index, feedback, monkeypatch
):
    for name in ("torch", "torchvision"):
        shelf.put_package(name)
    shelf.write_locks("pebble", "torch", "torchvision")
    index()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # which nobody answers
    install(replace(plan, wheels=None, torch="auto"), works, feedback)
    assert version_of(python_of(plan.home.environment), "torch") == "1.0"
    assert any("download.pytorch.org" in line for line in feedback.infos)
    (warning,) = feedback.warnings
    assert "cannot be reached" in warning and warning.endswith("Taking PyTorch as the lock file has it.")
    with pytest.raises(SetUpFailed, match=r"index cannot be reached.*the variable HTTPS_PROXY"):
        install(replace(plan, wheels=None, torch="driver"), works, feedback)


def test_where_there_is_a_gpu_the_locked_pytorch_is_taken_at_once(plan, index, feedback, tmp_path):
    (tmp_path / "programs" / "nvidia-smi").symlink_to("/bin/true")
    index()
    install(replace(plan, wheels=None, torch="auto"), works, feedback)
    assert feedback.warnings == []


def test_of_the_real_lock_all_but_pytorch_and_cuda_stays_for_another_pytorch():
    pins = installer._pins(LOCK.read_text())
    # Some packages are there more than once, for older and newer Pythons.
    assert sum(pin.startswith("scipy==") for pin in pins) > 1
    assert all("--hash=sha256:" in pin and "#" not in pin for pin in pins)
    assert len(pins) == len(re.findall(r"(?m)^\S+==", LOCK.read_text()))
    left = {pin.partition("==")[0] for pin in pins if not pin.startswith(installer._OF_PYTORCH)}
    assert {"numpy", "rasterio", "segmentation-models-pytorch"} <= left
    assert not [name for name in left if "nvidia" in name or "cuda" in name or name.startswith("tor")]


def test_settings_of_uv_for_other_projects_do_not_count(plan, feedback, monkeypatch, tmp_path):
    (tmp_path / "uv").mkdir()
    for settings in (tmp_path / "uv.toml", tmp_path / "uv" / "uv.toml"):
        settings.write_text('required-version = ">=99"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("UV_CONSTRAINT", "UV_CONFIG_FILE", "UV_WORKING_DIR", "UV_PROJECT"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2020-01-01")
    monkeypatch.setenv("UV_CACHE_DIR", "")
    install(plan, works, feedback)
    assert is_current(plan)


def test_the_package_index_of_uv_s_older_variable_is_used(plan, index, feedback, monkeypatch):
    server = index()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "")
    monkeypatch.setenv("UV_INDEX_URL", server.address)
    install(replace(plan, wheels=None), works, feedback)
    assert {"/simple/uv/", "/simple/pebble/"} <= set(server.asked)


def test_a_disk_that_allows_no_programs_is_told(plan, feedback):
    install(plan, works, feedback)
    uv = plan.home.folder / "uv-9.9.9" / "uv"
    uv.chmod(0o600)
    with pytest.raises(SetUpFailed, match=f"{re.escape(str(uv))} cannot be started .*action “use”"):
        install(plan, works, feedback)
    assert is_current(plan) and left_over(plan.home) == set()


def test_too_little_space_is_told_before_anything_is_fetched(plan, feedback, monkeypatch):
    usage = shutil.disk_usage(plan.wheels)._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(SetUpFailed, match=r"needs 3 GiB in .*, and 1\.0 GiB are free"):
        install(plan, works, feedback)
    assert list(plan.home.folder.iterdir()) == []


def test_no_second_set_up_at_the_same_time(plan, feedback):
    def second(python):
        with pytest.raises(SetUpFailed, match="Another set-up"):
            install(plan, works, feedback)
        with pytest.raises(SetUpFailed, match="Another set-up"):
            remove(plan.home)
        works(python)

    install(plan, second, feedback)
    assert is_current(plan)


def test_a_lock_of_another_computer_is_told_with_the_file_to_remove(plan, feedback):
    """As of a container that is gone, or in a profile that was copied after a set-up was killed."""
    lock = plan.home.folder.with_name("sslkd.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("4711\nqgis\nelsewhere\n0123456789abcdef0123456789abcdef\n0\n")
    with pytest.raises(SetUpFailed, match=f"process 4711 on elsewhere.*remove the file {re.escape(str(lock))}"):
        install(plan, works, feedback)
    lock.unlink()
    install(plan, works, feedback)
    assert is_current(plan)


def test_a_profile_that_cannot_be_written_to_is_no_other_set_up(plan, feedback, monkeypatch):
    class LockFile(QLockFile):
        """In a folder where root, too, may write nothing."""

        def __init__(self, path):
            super().__init__("/proc/sslkd.lock")

    monkeypatch.setattr(installer, "QLockFile", LockFile)
    with pytest.raises(SetUpFailed, match=f"{re.escape(str(plan.home.folder.parent))} cannot be written to"):
        install(plan, works, feedback)


def test_what_a_set_up_that_was_killed_left_goes_with_the_next(plan, feedback):
    for name in ("part-123456", "environment.old", ".discarded-before", "cache/.tmp123456", "cache/archive-v0/a"):
        (plan.home.folder / name / "bin").mkdir(parents=True)
    install(plan, works, feedback)
    assert left_over(plan.home) == set()
    assert not (plan.home.cache / "archive-v0" / "a").exists()
    assert is_current(plan)


def test_removal_leaves_nothing(plan, feedback):
    install(plan, works, feedback)
    for name in ("part-123456", "environment.old", ".discarded-before"):  # of a set-up that was killed
        (plan.home.folder / name / "bin").mkdir(parents=True)
    remove(plan.home)
    assert list(plan.home.folder.parent.iterdir()) == []


def test_removal_of_a_linked_environment_takes_the_link_alone(plan, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    plan.home.folder.mkdir(parents=True)
    plan.home.environment.symlink_to(theirs)
    remove(plan.home)
    assert theirs.is_dir() and not plan.home.folder.exists()


def test_an_environment_in_use_stays(plan, feedback, monkeypatch):
    install(plan, works, feedback)
    rename = Path.rename

    def refuse(path, target):
        if path.name.startswith("part-"):
            raise PermissionError(13, "in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(SetUpFailed, match="is in use"):
        install(plan, works, feedback)
    monkeypatch.undo()
    assert is_current(plan) and shutil.which(str(python_of(plan.home.environment)))
