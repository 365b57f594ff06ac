"""What the plugin costs QGIS: milliseconds to start with it, and how long its window waits while an algorithm runs.

Run it in QGIS's own Python, with the plugin staged: make bench-plugin [ARGS="--runs 9 --seconds 20"]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from itertools import pairwise
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[1] / "build" / "plugins"

# As QGIS's desktop does it, where Processing and its libraries are there already.
START = f"""
import sys, time
sys.path[:0] = [{str(PLUGINS)!r}, "/usr/share/qgis/python/plugins"]
from qgis.core import QgsApplication
application = QgsApplication([], True)
application.initQgis()
import qgis.utils
from processing.core.Processing import Processing
Processing.initialize()
begun, cpu = time.perf_counter(), time.process_time()
import qgis_sslkd
plugin = qgis_sslkd.classFactory(None)
imported = time.perf_counter()
plugin.initProcessing()
registered = time.perf_counter()
print(1000 * (imported - begun), 1000 * (registered - imported), 1000 * (time.process_time() - cpu), flush=True)
import os
os._exit(0)
"""


def main() -> None:
    """Measure and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="starts of QGIS to take the median of")
    parser.add_argument("--seconds", type=float, default=5.0, help="to run each worker for")
    arguments = parser.parse_args()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    starts = [_start() for _ in range(arguments.runs + 1)][1:]  # the first one compiles
    columns = [statistics.median(column) for column in zip(*starts, strict=True)]
    print("{:>10} {:>10} {:>14}  (ms, median of {})".format("import", "register", "processor", len(starts)))
    print("{:10.1f} {:10.1f} {:14.1f}\n".format(*columns))
    print("{:>12} {:>9} {:>9} {:>9}  (ms between beats of 5 ms)".format("worker", "median", "95 %", "longest"))
    for name, pause in (("talks", 0.5), ("chatters", 0.001), ("floods", 0.0)):
        gaps = _gaps(arguments.seconds, pause)
        print(f"{name:>12} {statistics.median(gaps):9.0f} {statistics.quantiles(gaps, n=20)[-1]:9.0f} {max(gaps):9.0f}")


def _start() -> list[float]:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()[-3:]]


def _gaps(seconds: float, pause: float) -> list[float]:
    """Milliseconds between beats of QGIS's event loop while a worker talks with such pauses, a process for each."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--gaps-of", str(_worker(Path(folder), seconds, pause))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def _worker(folder: Path, seconds: float, pause: float) -> Path:
    """Write a worker that says nothing but messages and progress."""
    program = folder / "worker"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import json, time
            end = time.monotonic() + {seconds}
            while (left := end - time.monotonic()) > 0:
                done = 1 - left / {seconds}
                print(json.dumps({{"event": "message", "level": "info", "text": f"{{left}} seconds are left"}}))
                print(json.dumps({{"event": "progress", "fraction": done, "text": f"at {{done}}"}}), flush=True)
                if {pause}:
                    time.sleep({pause})
            print(json.dumps({{"event": "result", "outputs": {{}}}}), flush=True)
        """)
    )
    program.chmod(0o755)
    return program


def _beat(worker: str) -> None:
    """Print the gaps between beats of the event loop while a training runs as the Toolbox runs it."""
    sys.path[:0] = [str(PLUGINS), "/usr/share/qgis/python/plugins"]
    from qgis.core import (
        QgsApplication,
        QgsFeature,
        QgsGeometry,
        QgsProcessingAlgRunnerTask,
        QgsProcessingContext,
        QgsVectorLayer,
    )
    from qgis.PyQt.QtCore import QCoreApplication, QTimer

    application = QgsApplication([], True)
    application.initQgis()
    from osgeo import gdal
    from processing.core.Processing import Processing
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    import qgis_sslkd

    Processing.initialize()
    plugin = qgis_sslkd.classFactory(None)  # kept: QGIS does not keep its provider alive
    plugin.initProcessing()
    os.environ["SSLKD_PYTHON"] = worker
    folder = Path(worker).parent
    raster = gdal.GetDriverByName("GTiff").Create(str(folder / "a.tif"), 8, 8)
    raster.SetGeoTransform((5e5, 1, 0, 5.2e6, 0, -1))
    raster = None
    roads = QgsVectorLayer("Polygon?crs=EPSG:32632", "roads", "memory")
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromWkt("Polygon((500000 5200000,500008 5200000,500008 5199992,500000 5200000))"))
    roads.dataProvider().addFeatures([feature])
    parameters = {
        "LABELLED": [str(folder / "a.tif")],
        "ANNOTATIONS": roads,
        "MODEL": str(folder / "m.safetensors"),
        "REPORT": str(folder / "r.html"),
    }
    train = QgsApplication.processingRegistry().createAlgorithmById("sslkd:trainsslkd")
    dialog = AlgorithmDialog(train)
    feedback, context, ended, beats = dialog.createFeedback(), QgsProcessingContext(), [], []
    dialog.show()
    task = QgsProcessingAlgRunnerTask(train, parameters, context, feedback)
    task.executed.connect(lambda finished, _: ended.append(finished))
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1000 * time.perf_counter()))
    QCoreApplication.processEvents()
    timer.start(5)
    QgsApplication.taskManager().addTask(task)
    while not ended:
        QCoreApplication.processEvents()
    if not ended[0]:
        sys.exit(feedback.textLog())
    print(json.dumps([later - earlier for earlier, later in pairwise(beats)]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    if "--gaps-of" in sys.argv:
        _beat(sys.argv[-1])
    else:
        main()
