"""“Set up SSLKD” from end to end: the parameters, the real uv, the profile, and what the others then say."""

import sys
import textwrap
from pathlib import Path

import pytest
from qgis.core import QgsProcessingException, QgsSettings
from shelf import Shelf

import qgis_sslkd.algorithms.setup as setup
import qgis_sslkd.environment as environment
from qgis_sslkd.environment import worker_python

ANSWER = """
import json, os
outputs = {"device": "abacus", "forward_pass": "3 s"}
print(json.dumps({"event": "result", "outputs": outputs}), flush=True)
os._exit(0)
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch, roomy_disk):
    """A shelf in the place of the plugin's lock files; what the worker imports first answers in its place."""
    shelf = Shelf(tmp_path / "shelf")
    shelf.put_package("typer", code=ANSWER)
    shelf.write_locks("typer")
    monkeypatch.setattr(setup, "LOCK", shelf.lock)
    monkeypatch.setattr(setup, "TOOLS_LOCK", shelf.tools)
    monkeypatch.setattr(environment, "LOCK", shelf.lock)
    return shelf


@pytest.fixture
def run(algorithm, context, feedback, no_worker, profile_home):
    """Runs set-up as Processing does; returns its results."""

    def run(**parameters):
        wanted = algorithm("setup")
        assert wanted.checkParameterValues(parameters, context) == (True, "")
        assert wanted.prepare(parameters, context, feedback)
        return wanted.processAlgorithm(parameters, context, feedback)

    return run


def program(folder, code):
    path = folder / "my python"
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}")
    path.chmod(0o755)
    return str(path)


def test_install_then_work_then_repair_then_remove(run, shelf, algorithm, feedback, profile_home):
    assert not algorithm("detectroads").canExecute()[0]
    results = run(WHEELS=str(shelf.wheels))
    assert results == {"WORKER": worker_python()}
    assert Path(results["WORKER"]).is_relative_to(profile_home.folder)
    assert algorithm("detectroads").canExecute() == (True, "")
    assert any("abacus, 3 s" in info for info in feedback.infos)
    assert feedback.fractions == sorted(feedback.fractions)

    run(WHEELS=str(shelf.wheels))
    assert any("is there already" in info for info in feedback.infos)

    Path(results["WORKER"]).unlink()
    run(WHEELS=str(shelf.wheels), ACTION="repair")
    assert algorithm("detectroads").canExecute() == (True, "")

    assert run(ACTION="remove") == {"WORKER": ""}
    assert not profile_home.folder.exists()
    assert not algorithm("detectroads").canExecute()[0]


def test_an_environment_that_broke_is_not_told_to_be_set_up_again_but_repaired(run, shelf, profile_home):
    results = run(WHEELS=str(shelf.wheels))
    (package,) = profile_home.environment.rglob("typer.py")
    package.write_text("cut sho")
    with pytest.raises(QgsProcessingException, match=r"(?s)does not work: .*“repair”.*SyntaxError"):
        run(WHEELS=str(shelf.wheels))
    assert run(WHEELS=str(shelf.wheels), ACTION="repair") == results


def test_an_environment_that_was_made_for_another_lock_is_renewed(run, shelf, algorithm):
    run(WHEELS=str(shelf.wheels))
    shelf.put_package("pebble", "2.0")
    shelf.lock.write_text(shelf.lock.read_text().replace("    # via test\n", "    # via another version\n"))
    possible, sentence = algorithm("trainsslkd").canExecute()
    assert not possible and "another version" in sentence and "Set up SSLKD" in sentence
    run(WHEELS=str(shelf.wheels))
    assert algorithm("trainsslkd").canExecute() == (True, "")


def test_a_failure_is_a_sentence_of_qgis(run, shelf):
    (shelf.wheels / "typer-1.0-py3-none-any.whl").unlink()
    with pytest.raises(QgsProcessingException, match="missing in the folder of wheels"):
        run(WHEELS=str(shelf.wheels))


def test_a_python_of_the_user_s_is_used_once_it_works(run, tmp_path):
    python = program(tmp_path, ANSWER)
    assert run(ACTION="use", PYTHON=python) == {"WORKER": python}
    assert QgsSettings().value("sslkd/python") == python
    assert run(ACTION="remove") == {"WORKER": ""}
    assert not QgsSettings().contains("sslkd/python")


def test_a_python_that_does_not_work_is_not_used(run, tmp_path):
    python = program(tmp_path, "raise ModuleNotFoundError('no torch')")
    with pytest.raises(QgsProcessingException, match="ModuleNotFoundError: no torch"):
        run(ACTION="use", PYTHON=python)
    assert not QgsSettings().contains("sslkd/python")


def test_what_the_system_does_not_allow_is_a_sentence(run, shelf, profile_home):
    profile_home.folder.touch()
    try:
        with pytest.raises(QgsProcessingException, match=f"cannot be read or written: .*{profile_home.folder}"):
            run(WHEELS=str(shelf.wheels))
    finally:
        profile_home.folder.unlink()


def test_a_variable_that_goes_first_is_told(run, tmp_path, feedback, monkeypatch):
    python = program(tmp_path, ANSWER)
    monkeypatch.setenv("SSLKD_PYTHON", sys.executable)
    assert run(ACTION="use", PYTHON=python) == {"WORKER": sys.executable}
    assert "SSLKD_PYTHON is set" in feedback.warnings[0]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"ACTION": "use"}, "go together"),
        ({"PYTHON": sys.executable}, "go together"),
        ({"WHEELS": "/nowhere/at all"}, "/nowhere/at all"),
        ({"WHEELS": "/", "TORCH": "driver"}, "comes from the network"),
        ({"ACTION": "polish"}, "ACTION"),
        ({"TORCH": "cuda"}, "TORCH"),
    ],
)
def test_what_makes_no_sense_is_refused(algorithm, context, parameters, named):
    fine, sentence = algorithm("setup").checkParameterValues(parameters, context)
    assert not fine
    assert named in sentence or named in {"ACTION", "TORCH"}
