"""What the plugin does in QGIS's window."""

import pytest
from qgis.gui import QgsMessageBar
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtWidgets import QDialogButtonBox, QPushButton

import qgis_sslkd
from qgis_sslkd.managed import LOCK, Marker, digest, python_of, write_marker
from qgis_sslkd.plugin import offer_set_up


@pytest.fixture
def bar(qgis_app):
    return QgsMessageBar()


def test_an_algorithm_outlives_the_plugin(staged_plugin, algorithm):
    held = [algorithm(name) for name in ("trainsslkd", "setup", "trainanddetect")]
    deleted = algorithm("detectroads")
    sip.delete(deleted)
    staged_plugin.unload()
    try:
        assert [each.id() for each in held] == ["trainsslkd", "setup", "trainanddetect"]
    finally:
        staged_plugin.initProcessing()


def test_buttons_of_open_dialogs_keep_their_texts_where_the_plugin_comes_and_goes(qgis_app):
    # QGIS's dialogs call it Run or Start.
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Yes)
    (run,) = buttons.buttons()
    run.setText("Run")
    plugin = qgis_sslkd.classFactory(None)
    plugin.unload()
    QCoreApplication.processEvents()
    assert run.text() == "Run"


def test_without_an_environment_set_up_is_offered(no_worker, profile_home, bar, qgis_processing, monkeypatch):
    import processing

    opened = []
    monkeypatch.setattr(processing, "execAlgorithmDialog", opened.append, raising=False)
    offer_set_up(bar)
    (message,) = bar.items()
    assert "has no Python environment" in message.text()
    message.findChild(QPushButton).click()
    assert opened == ["sslkd:setup"]


def test_with_an_environment_nothing_is_said(no_worker, profile_home, bar):
    python = python_of(profile_home.environment)
    python.parent.mkdir(parents=True)
    python.touch(mode=0o700)
    write_marker(profile_home.environment, Marker("0.1.0", digest(LOCK), "auto"))
    offer_set_up(bar)
    assert bar.items() == []
