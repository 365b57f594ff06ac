"""Files appear whole or not at all."""

import os
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.files import check_writable, written_whole

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


def test_others_may_read_what_was_written(tmp_path):
    (tmp_path / "usual").touch()
    with written_whole(tmp_path / "whole") as partial:
        partial.touch()
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


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


@pytest.mark.skipif(os.name != "posix", reason="users and their rights are POSIX's")
def test_a_read_only_folder_is_named():
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        process = get_context("fork").Process(target=expect_read_only, args=(Path(folder, "a.tif"),))
        process.start()
        process.join()
        assert process.exitcode == 0


def expect_read_only(path):
    """Leaves the superuser, who may write anywhere, and his rights: to be run in a process of its own."""
    if os.geteuid() == 0:
        os.setuid(NOBODY)
    with pytest.raises(SettingError, match="read-only"):
        check_writable(path)
