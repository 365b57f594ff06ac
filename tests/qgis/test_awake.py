"""QGIS stays awake: what it costs to start with the plugin, and what its window waits for while an algorithm runs."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import PLUGINS, box, memory_layer, write_raster
from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsProcessingContext
from qgis.gui import QgsPanelWidget
from qgis.PyQt.QtCore import QCoreApplication, QTimer

START = """
import json, sys
from qgis.core import QgsApplication
application = QgsApplication([], True)
application.initQgis()
import qgis.utils
from qgis.PyQt.QtCore import QCoreApplication

opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)
import qgis_sslkd
plugin = qgis_sslkd.classFactory(None)
asked = []
class Window:
    def messageBar(self):
        from qgis.gui import QgsMessageBar
        asked.append(QgsMessageBar())
        return asked[0]
qgis.utils.iface = Window()
plugin.initGui()
at_start = list(opened)
QCoreApplication.processEvents()
print(json.dumps([at_start, len(asked[0].items())]))
sys.stdout.flush()
import os
os._exit(0)
"""


def test_at_start_the_plugin_reads_its_code_and_nothing_of_the_environment(tmp_path):
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PLUGINS)!r})\n{START}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={key: value for key, value in os.environ.items() if key != "SSLKD_PYTHON"}
        | {"QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path)},
    )
    opened, messages = json.loads(done.stdout.splitlines()[-1])
    read = [path for path in opened if path.startswith(str(PLUGINS))]
    assert read and all(".py" in Path(path).name for path in read)
    # Only then is it said that the worker has no environment.
    assert messages == 1


@pytest.fixture
def talkative_worker(tmp_path, monkeypatch):
    """Point the plugin at a worker that for two seconds says more than anyone can read."""
    program = tmp_path / "talkative"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import json, time
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for number in range(1000):
                    print(json.dumps({{"event": "message", "level": "info", "text": f"line {{number}}"}}))
                    print(json.dumps({{"event": "progress", "fraction": number / 1000, "text": f"step {{number}}"}}))
                    print("Downloading: 3%")
            print(json.dumps({{"event": "result", "outputs": {{"iou": 0.5, "f1": 0.6}}}}), flush=True)
        """)
    )
    program.chmod(0o755)
    monkeypatch.setenv("SSLKD_PYTHON", str(program))


def dialog_of(algorithm):
    """Return the dialog that the Toolbox opens; without its parameters, which want a real window around them."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    class Dialog(AlgorithmDialog):
        def getParametersPanel(self, alg, parent):  # noqa: N802
            return QgsPanelWidget(parent)

    return Dialog(algorithm)


def test_the_window_waits_for_nothing_while_a_training_talks(talkative_worker, qgis_processing, algorithm, tmp_path):
    train = algorithm("trainsslkd")
    parameters = {
        "LABELLED": [str(write_raster(tmp_path / "ortho.tif"))],
        "ANNOTATIONS": memory_layer("Polygon", box(10, 0, 20, 64)),
        "MODEL": str(tmp_path / "m.safetensors"),
        "REPORT": str(tmp_path / "r.html"),
    }
    # Its log and its progress bar are what costs the window time.
    dialog = dialog_of(train)
    feedback, context = dialog.createFeedback(), QgsProcessingContext()
    dialog.show()
    task, ended = QgsProcessingAlgRunnerTask(train, parameters, context, feedback), []
    task.executed.connect(lambda finished, results: ended.append(finished))
    beats, timer = [], QTimer()
    timer.timeout.connect(lambda: beats.append((time.monotonic(), time.thread_time())))
    QCoreApplication.processEvents()
    timer.start(5)
    QgsApplication.taskManager().addTask(task)
    while not ended:
        QCoreApplication.processEvents()
    timer.stop()
    dialog.close()
    assert ended == [True]
    assert "line 0" in feedback.textLog() and "more lines" in feedback.textLog()
    gaps, busy = ([later[n] - earlier[n] for earlier, later in itertools.pairwise(beats)] for n in (0, 1))
    # By its own processor time: how long the longest gap is on the clock depends on what else the machine does.
    assert max(busy) < 0.1
    assert statistics.median(gaps) < 0.1
