"""Which Python runs the worker, and what is said when there is none."""

import sys

import pytest
from qgis.core import QgsSettings

from qgis_sslkd.environment import EnvironmentMissing, managed_python, worker_python

MENDING = ("make install", "sslkd/python", "SSLKD_PYTHON", "requirements/worker.txt")


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
def test_without_an_environment_an_algorithm_says_how_to_mend_it(no_worker, algorithm, name):
    assert not managed_python().exists(), "these tests need a QGIS profile without a worker"
    possible, sentence = algorithm(name).canExecute()
    assert not possible
    assert all(word in sentence for word in MENDING)


@pytest.mark.parametrize("name", ["trainsslkd", "detectroads"])
def test_with_an_environment_an_algorithm_can_be_run(worker, algorithm, name):
    assert algorithm(name).canExecute() == (True, "")
