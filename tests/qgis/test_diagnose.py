"""What “SSLKD diagnostics” tells of machines that are well and of machines that are not."""

import sys

import pytest
from qgis.core import Qgis, QgsNetworkAccessManager, QgsSettings

from qgis_sslkd.diagnosis import Diagnosis, Section, as_page, as_text
from qgis_sslkd.managed import plugin_version


@pytest.fixture
def report(algorithm, context, feedback, tmp_path):
    """Runs diagnostics; returns how many problems there are, the text and the page."""

    def run():
        files = {key: str(tmp_path / f"Bericht ü.{kind}") for key, kind in (("REPORT", "html"), ("TEXT", "txt"))}
        wanted = algorithm("diagnose")
        assert wanted.checkParameterValues(files, context) == (True, "")
        assert wanted.prepare(files, context, feedback)
        results = wanted.processAlgorithm(files, context, feedback)
        problems = results.pop("PROBLEMS")
        assert results == files
        return problems, *((tmp_path / f"Bericht ü.{kind}").read_text(encoding="utf-8") for kind in ("txt", "html"))

    return run


def test_a_machine_without_an_environment(no_worker, profile_home, report, feedback):
    problems, text, page = report()
    assert problems == len(feedback.warnings) == 1
    for form in (text, page):
        assert "has no Python environment for its worker yet" in form
        assert "sslkd:setup" in form
        assert plugin_version() in form and Qgis.version() in form
        assert str(profile_home.environment) in form


def test_a_broken_environment(no_worker, report, monkeypatch):
    monkeypatch.setenv("SSLKD_PYTHON", sys.executable)
    problems, text, _ = report()
    assert problems == 1
    assert "ModuleNotFoundError" in text and "sslkd:setup" in text


def test_a_worker_that_works(worker, report):
    problems, text, page = report()
    assert problems == 0
    for form in (text, page):
        assert "none found" in form
        assert "for 512 x 512 pixels in deeplabv3plus/resnet18" in form
        assert str(worker) in form


def test_the_graphics_driver_is_asked(no_worker, profile_home, report, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA Testament 9, 550.54.14, 8192 MiB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "NVIDIA Testament 9, 550.54.14, 8192 MiB" in report()[1]
    program.write_text("#!/bin/sh\necho 'Failed to initialise NVML: driver mismatch'\nexit 18\n")
    assert "nvidia-smi failed: Failed to initialise NVML: driver mismatch" in report()[1]


def test_the_proxy_is_named_without_its_password(no_worker, profile_home, report):
    values = {"Enabled": True, "Type": "HttpProxy", "Host": "proxy.invalid", "Port": "3128"}
    for key, value in {**values, "User": "somebody", "Password": "open sesame"}.items():
        QgsSettings().setValue(f"proxy/proxy{key}", value)
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
    try:
        _, text, page = report()
    finally:
        QgsSettings().remove("proxy")
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
    for form in (text, page):
        assert "proxy.invalid:3128" in form
        assert "somebody" not in form and "sesame" not in form


def test_what_the_system_says_cannot_break_the_page():
    diagnosis = Diagnosis([Section("Paths & <more>", {"a": "<script>"})], ["<b>first</b>\nsecond"])
    page = as_page(diagnosis)
    assert "<script>" not in page and "<b>" not in page
    assert "Paths &amp; &lt;more&gt;" in page and "&lt;b&gt;first&lt;/b&gt;<br>second" in page
    assert as_text(diagnosis).startswith("SSLKD diagnostics\n\nProblems\n- <b>first</b>\nsecond\n")
