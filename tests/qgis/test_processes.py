"""Programs beside QGIS."""

import sys

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QTimer

from qgis_sslkd.errors import Cancelled
from qgis_sslkd.processes import run_program

WAITS = [sys.executable, "-c", "import time; time.sleep(3)"]


def test_the_window_lives_where_a_program_is_waited_for_in_its_thread(feedback):
    """As where a script, a model or a batch runs Set up SSLKD, which may take long."""
    QTimer.singleShot(500, feedback.cancel)
    with pytest.raises(Cancelled):
        run_program(WAITS, feedback, print)
    assert not QgsApplication.taskManager().activeTasks()
