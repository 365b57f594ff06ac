"""Which Python runs the worker, and what is said when there is none."""

import sys

import pytest
from qgis.core import QgsSettings

from qgis_sslkd.environment import EnvironmentMissing, worker_python
from qgis_sslkd.managed import LOCK, Marker, digest, python_of, write_marker

MENDING = ("Set up SSLKD", "sslkd:setup", "requirements/worker.txt")


def test_the_variable_goes_before_the_setting(no_worker, monkeypatch):
    QgsSettings().setValue("sslkd/python", sys.executable)
    assert worker_python() == sys.executable
    monkeypatch.setenv("SSLKD_PYTHON", "/bin/sh")
    assert worker_python() == "/bin/sh"


def test_a_variable_that_points_nowhere_is_named(no_worker, monkeypatch, tmp_path):
    QgsSettings().setValue("sslkd/python", sys.executable)
    monkeypatch.setenv("SSLKD_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(EnvironmentMissing) as caught:
        worker_python()
    assert all(word in str(caught.value) for word in (*MENDING, str(tmp_path / "gone")))


def test_a_setting_that_points_nowhere_is_named(no_worker, tmp_path):
    QgsSettings().setValue("sslkd/python", str(tmp_path))
    with pytest.raises(EnvironmentMissing, match="The setting sslkd/python points at"):
        worker_python()


@pytest.mark.parametrize("name", ["trainsslkd", "detectroads"])
def test_without_an_environment_an_algorithm_says_how_to_mend_it(no_worker, profile_home, algorithm, name):
    possible, sentence = algorithm(name).canExecute()
    assert not possible
    assert all(word in sentence for word in MENDING)


@pytest.mark.parametrize("name", ["trainsslkd", "detectroads"])
def test_with_an_environment_an_algorithm_can_be_run(worker, algorithm, name):
    assert algorithm(name).canExecute() == (True, "")


@pytest.fixture
def managed(no_worker, profile_home):
    """Makes an environment in the profile as set-up leaves it."""

    def make(**changes):
        python = python_of(profile_home.environment)
        python.parent.mkdir(parents=True)
        python.touch(mode=0o700)
        marker = {"version": "0.0.9", "lock": digest(LOCK), "torch": "auto", **changes}
        write_marker(profile_home.environment, Marker(**marker))
        return python

    return make


def test_the_environment_in_the_profile_is_used(managed):
    python = managed()
    assert worker_python() == str(python)


def test_a_python_that_is_gone_is_named(managed, tmp_path):
    python = managed()
    python.unlink()
    python.symlink_to(tmp_path / "python3")
    with pytest.raises(EnvironmentMissing, match=rf"{tmp_path}/python3 is gone.*sslkd:setup"):
        worker_python()


def test_an_environment_of_another_lock_is_noticed(managed, algorithm):
    managed(lock="0" * 64)
    possible, sentence = algorithm("detectroads").canExecute()
    assert not possible
    assert "made for another version (0.0.9)" in sentence
    assert all(word in sentence for word in MENDING)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1"}', '{"a": 1}', "null"])
def test_an_environment_without_a_marker_that_can_be_read_is_not_trusted(managed, profile_home, text):
    managed()
    (profile_home.environment / "sslkd.json").write_text(text)
    with pytest.raises(EnvironmentMissing, match="another version"):
        worker_python()


@pytest.mark.parametrize("name", ["setup", "diagnose"])
def test_what_mends_and_what_reports_needs_no_environment(no_worker, profile_home, algorithm, name):
    assert algorithm(name).canExecute() == (True, "")
