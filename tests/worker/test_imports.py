"""Without a GPU, a job imports what it takes and no more: PyTorch alone takes seconds and 700 MB."""

import gc
import importlib
import os
import re
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


WATCHED = """
import sys
from qgis_sslkd.core.models.engine import Engine
from qgis_sslkd.worker.cli import app

def watched(prepare, wait):
    watching = []

    def watch(event, arguments):
        if watching and event in ("os.putenv", "os.unsetenv"):
            print("set:", *arguments)

    def prepare_watched(engine, *shape):
        sys.addaudithook(watch)
        watching.append(engine)
        prepare(engine, *shape)

    def wait_watched(engine):
        wait(engine)
        watching.clear()
        print("waited")

    return prepare_watched, wait_watched

Engine.prepare, Engine.wait = watched(Engine.prepare, Engine.wait)
app()
"""


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


def test_no_environment_variable_is_set_while_a_model_compiles(photo, model, results, make_vector):
    """The compiling thread reads some; of two threads that read and set them at once, one may crash."""
    area = make_vector(["POLYGON ((500000 5199960, 500030 5199960, 500030 5199999, 500000 5199960))"], "area.gpkg")
    files = ("--surface", results / "s.tif", "--outlines", results / "o.gpkg", "--centre-lines", results / "c.gpkg")
    command = ("detect", "--raster", photo(), "--model", model, "--device", "cpu", "--area", area, *files)
    # This process has them from rasterio already.
    own = {name: value for name, value in os.environ.items() if "CURL_CA_BUNDLE" not in name}
    done = subprocess.run([sys.executable, "-c", WATCHED, *map(str, command)], capture_output=True, text=True, env=own)
    assert done.returncode == 0, done.stderr
    assert "waited" in done.stdout
    assert "set:" not in done.stdout


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


@pytest.mark.parametrize(
    "code", ["raise OSError('[WinError 126] No such module: shm.dll')", "raise ImportError('no DLL')", "", '"""cut sho']
)
def test_a_package_that_cannot_be_loaded_is_named_with_what_mends_it(tmp_path, code):
    """On Windows, PyTorch raises the one for want of a library, and other packages the other; others are cut short."""
    (tmp_path / "torch.py").write_text(code)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "qgis_sslkd.worker", "diagnose"]
    ended = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.splitlines()
    assert re.fullmatch(
        r"sslkd: A package .* cannot be loaded: .*(shm\.dll|no DLL|torch|literal).*\. Run Set up SSLKD .*", sentence
    )


def test_a_process_that_python_takes_down_ends_without_a_word():
    """Which `sslkd` does not leave to Python; what is imported, and never looked at again, is no leak there."""
    program = (
        "from qgis_sslkd.worker.imports import importing\nwith importing():\n    import qgis_sslkd.worker.work.train\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
