"""Without a GPU, a job imports what it takes and no more: PyTorch alone takes seconds and 700 MB."""

import gc
import importlib
import subprocess
import sys

import numpy as np
import pytest

from qgis_sslkd.worker.imports import importing

HEAVY = {
    "torch", "torchvision", "segmentation_models_pytorch", "timm", "skimage", "matplotlib", "onnx",
    "openvino_telemetry",
}  # fmt: skip
PROGRAM = f"""
import sys
from qgis_sslkd.worker.cli import app
try:
    app()
except SystemExit as end:
    code = end.code
print("heavy:", *sorted({HEAVY!r} & set(sys.modules)))
sys.exit(code)
"""


def heavy_imports_of(*arguments):
    """What a fresh process has imported once it has done a job."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.rpartition("heavy:")[2].split()


@pytest.fixture
def surface(make_raster):
    """A road across."""
    pixels = np.zeros((1, 100, 120), np.uint8)
    pixels[:, 40:60] = 1
    return make_raster(pixels, "surface.tif")


def test_detection_on_the_cpu(photo, model, results):
    files = ("--surface", results / "s.tif", "--outlines", results / "o.gpkg")
    assert heavy_imports_of("detect", "--raster", photo(), "--model", model, "--device", "cpu", *files) == []
    assert (results / "o.gpkg").exists()


def test_outlines(surface, results):
    assert heavy_imports_of("vectorise", "--raster", surface, "--outlines", results / "o.gpkg") == []


def test_evaluation(surface, make_vector):
    roads = make_vector(["POLYGON ((500000 5199960, 500020 5199960, 500020 5199999, 500000 5199960))"], "roads.gpkg")
    assert heavy_imports_of("evaluate", "--surface", surface, "--roads", roads) == []


def test_garbage_is_looked_for_again_when_an_import_fails():
    with pytest.raises(ModuleNotFoundError), importing():
        assert not gc.isenabled()
        importlib.import_module("no_such_module")
    assert gc.isenabled()


def test_a_process_that_python_takes_down_ends_without_a_word():
    """Which `sslkd` does not leave to Python; what is imported, and never looked at again, is no leak there."""
    program = (
        "from qgis_sslkd.worker.imports import importing\nwith importing():\n    import qgis_sslkd.worker.work.train\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
