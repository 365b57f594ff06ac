"""Files appear whole or not at all."""

import os
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import pytest

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.files import all_written_whole, check_writable, folder_beside, make_folder, written_whole

NOBODY = 65534
NAMES = ["plain.tif", "with space.gpkg", "[1]*? (ä).tif", "no_extension", "two.dots.tar.gz"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_appears_only_at_the_end(tmp_path, name):
    path = tmp_path / name
    with written_whole(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.suffix == path.suffix  # drivers go by it
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_on_an_error(tmp_path, name, error):
    with pytest.raises(error), written_whole(tmp_path / name) as partial:
        partial.write_text("half")
        partial.with_name(f"{partial.name}.aux.xml").write_text("and what drivers add")
        raise error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_that_there_is_no_room_is_told_of_by_the_output_s_name(tmp_path):
    with (
        pytest.raises(SettingError, match=r"The output model\.safetensors could not be written whole; make room"),
        written_whole(tmp_path / "model.safetensors") as partial,
    ):
        partial.symlink_to("/dev/full")
        partial.write_bytes(b"weights")
    assert list(tmp_path.iterdir()) == []


def test_on_an_error_the_former_file_stays(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    with written_whole(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_all_files_of_a_format_of_many_files_come(tmp_path):
    parts = {"roads.shp": "shapes", "roads.dbf": "fields", "roads.shx": "index"}
    (tmp_path / "roads.txt").write_text("of somebody else")
    with written_whole(tmp_path / "roads.shp") as partial:
        for name, content in parts.items():
            partial.with_name(name).write_text(content)
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {**parts, "roads.txt": "of somebody else"}


def test_what_was_not_written_is_no_success(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="missing"),
        all_written_whole([tmp_path / "a", tmp_path / "missing"]) as new,
    ):
        new[tmp_path / "a"].touch()
    assert list(tmp_path.iterdir()) == []


# What was there, the new files, and of whom nothing may be left.
OLD = {
    "roads.shp": ("roads.shp roads.dbf roads.qix roads.sbn roads.sbx roads.qpj", "roads.shp roads.dbf"),
    "S.TIF": ("S.TIF S.TIF.aux.xml S.TIF.ovr S.TIF.msk S.TIF.msk.ovr", "S.TIF S.TIF.aux.xml"),
    "o.gpkg": ("o.gpkg o.gpkg-wal o.gpkg-shm o.gpkg-journal", "o.gpkg"),
    "r.html": ("r.html", "r.html"),
}
OTHERS = ["roads.qml", "roads.txt", "S.qgz", "S.TIF.txt", "S.shp", "S.qix", "o.qml", "o.tif.ovr", "r.html.ovr"]


@pytest.mark.parametrize("name", OLD)
def test_nothing_of_an_older_file_stays_beside_the_new_one(tmp_path, name):
    old, new = (names.split() for names in OLD[name])
    for each in (*old, *OTHERS):
        (tmp_path / each).write_text("old")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(RuntimeError), written_whole(tmp_path / name) as partial:
        partial.touch()
        raise RuntimeError
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with written_whole(tmp_path / name) as partial:
        for each in new:
            partial.with_name(each).write_text("new")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {**dict.fromkeys(OTHERS, "old"), **dict.fromkeys(new, "new")}


@pytest.mark.parametrize("names", [["s.tif"], ["roads.cpg", "roads.dbf", "roads.shp", "roads.shx"]])
def test_what_cannot_have_its_name_in_the_end_lies_beside_it(tmp_path, names):
    """In the place of a file that another program holds, which Windows alone knows, a folder is made meanwhile."""
    (path,) = (tmp_path / name for name in names if name.endswith((".tif", ".shp")))
    free = path.with_stem(f"{path.stem}-3")
    path.with_stem(f"{path.stem}-2").touch()
    others = tmp_path / "first", tmp_path / "last"
    match = rf"{path} cannot be replaced: .*; the new one is {free}\.$"
    with pytest.raises(SettingError, match=match), all_written_whole([others[0], path, others[1]]) as partials:
        for other in others:
            partials[other].write_text("new")
        for name in names:
            partials[path].with_name(name).write_text("new")
        path.mkdir()
    new = [*others, *(free.with_suffix(Path(name).suffix) for name in names)]
    assert [file.read_text() for file in new] == ["new"] * len(new)
    assert len(list(tmp_path.iterdir())) == len(new) + 2


def test_a_file_that_another_program_holds_is_named_before_any_work(tmp_path, monkeypatch):
    """As on Windows, where such a file cannot be renamed."""
    (tmp_path / "held.gpkg").write_text("old")
    rename = Path.rename

    def rename_others(path, target):
        if path == tmp_path / "held.gpkg":
            raise PermissionError
        return rename(path, target)

    with monkeypatch.context() as windows:
        windows.setattr(Path, "rename", rename_others)
        with pytest.raises(SettingError, match=r"held\.gpkg cannot be replaced: it is in use .* remove its layer"):
            check_writable(tmp_path / "held.gpkg")
        check_writable(tmp_path / "new.gpkg")
    check_writable(tmp_path / "held.gpkg")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("held.gpkg", "old")]


def test_others_may_read_what_was_written(tmp_path):
    (tmp_path / "usual").touch()
    with written_whole(tmp_path / "whole") as partial:
        partial.touch()
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_others_may_read_what_lies_in_a_folder_beside(tmp_path):
    """Windows gives a file the rights of the folder that it is made in, and moving it changes nothing."""
    (tmp_path / "usual").mkdir()
    with folder_beside(tmp_path / "file.tif") as folder:
        assert folder.stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="Windows locks no folders")
def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path):
    context = get_context("spawn")
    written = context.Barrier(3)
    killed, other = (context.Process(target=_write_on, args=(tmp_path / name, written)) for name in ("a.tif", "b.tif"))
    killed.start()
    other.start()
    written.wait()
    killed.kill()
    killed.join()
    with written_whole(tmp_path / "c.tif") as partial:
        partial.touch()
        assert {path.name for path in tmp_path.glob(".sslkd-*/*")} == {"b.tif", "c.tif"}
    other.kill()
    other.join()
    with all_written_whole([tmp_path / "c.tif", tmp_path / "d.tif"]) as partials:
        for partial in partials.values():
            partial.touch()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "c.tif", tmp_path / "d.tif"]


def test_a_folder_is_looked_through_once_for_all_outputs(tmp_path, monkeypatch):
    looked, glob = [], Path.glob
    monkeypatch.setattr(Path, "glob", lambda place, pattern: looked.append(place) or glob(place, pattern))
    outputs = [tmp_path / name for name in ("a.tif", "b.tif", "c.gpkg")]
    check_writable(*outputs)
    with all_written_whole(outputs) as partials:
        for partial in partials.values():
            partial.touch()
    assert looked == [tmp_path]


def _write_on(path, written):
    with written_whole(path) as partial:
        partial.touch()
        written.wait()
        sleep(600)


def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path):
    path = tmp_path / f"{'ä' * 125}.tif"
    check_writable(path)
    with written_whole(path) as partial:
        partial.touch()
    assert list(tmp_path.iterdir()) == [path]


def test_writable_outputs_pass(tmp_path):
    check_writable(tmp_path / "a.tif", tmp_path / "b.tif")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SettingError, match=r"nowhere.*does not exist"):
        check_writable(tmp_path / "nowhere" / "a.tif")
    with pytest.raises(SettingError, match="is a folder"):
        check_writable(tmp_path)
    (tmp_path / "x").mkdir()
    with pytest.raises(SettingError, match="same name"):
        check_writable(tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "x" / ".." / "a.tif")


def test_a_folder_for_outputs_comes_with_those_that_it_lies_in(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(SettingError, match=r"The folder .*file cannot be made: .*; choose another"):
            make_folder(folder)


@pytest.mark.skipif(os.name != "posix", reason="users and their rights are POSIX's")
@pytest.mark.parametrize(
    ("folder_s", "file_s", "named"), [(0o555, 0o666, "Permission denied"), (0o777, 0o444, "write-protected")]
)
def test_what_is_read_only_is_named(folder_s, file_s, named):
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.tif")
        path.touch()
        path.chmod(file_s)
        path.parent.chmod(folder_s)
        process = get_context("fork").Process(target=expect_read_only, args=(path, named))
        process.start()
        process.join()
        assert process.exitcode == 0


def expect_read_only(path, named):
    """Leaves the superuser, who may write anywhere, and his rights: to be run in a process of its own."""
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    with pytest.raises(SettingError, match=named):
        check_writable(path)
    if not os.access(path.parent, os.W_OK):
        with pytest.raises(SettingError, match=named):
            make_folder(path.parent)
