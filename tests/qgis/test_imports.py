"""What loading the plugin draws in: nothing of the worker's, whose libraries break those of QGIS."""

import json
import subprocess
import sys

from conftest import PLUGINS

FOREIGN = ("numpy", "torch", "torchvision", "rasterio", "pyogrio", "shapely", "pydantic", "typer", "safetensors")

LOAD_PLUGIN = """
import json, sys
from qgis.core import QgsApplication
application = QgsApplication([], False)
application.initQgis()
before = set(sys.modules)
import qgis_sslkd
plugin = qgis_sslkd.classFactory(None)
plugin.initProcessing()
for algorithm in QgsApplication.processingRegistry().providerById("sslkd").algorithms():
    algorithm.canExecute(), algorithm.shortHelpString(), algorithm.icon()
plugin.unload()
print(json.dumps(sorted(set(sys.modules) - before)))
sys.stdout.flush()
application.exitQgis()
"""


def _run(code):
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PLUGINS)!r})\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_loading_the_plugin_imports_nothing_of_the_worker():
    loaded = json.loads(_run(LOAD_PLUGIN).stdout.splitlines()[-1])
    assert "qgis_sslkd.algorithms.train" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in FOREIGN]
    inside = [name for name in loaded if name.startswith("qgis_sslkd.")]
    assert not [name for name in inside if name.split(".")[1] in ("core", "training", "worker")]


def test_the_package_itself_imports_nothing_of_qgis():
    done = _run("sys.modules['qgis'] = None\nimport qgis_sslkd\nprint(qgis_sslkd.__name__)")
    assert done.stdout.strip() == "qgis_sslkd", done.stderr
