"""Fixtures for the tests that run in QGIS's own Python: `make test-qgis` calls them with the plugin staged."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsSettings,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path(os.environ.get("QGIS_PLUGINPATH", ROOT / "build" / "plugins")).absolute()
UV = ROOT / "build" / "tools" / "bin" / "uv"
WORKER = Path(os.environ.get("SSLKD_PYTHON", ROOT / "build" / "worker" / "bin" / "python")).absolute()

gdal.UseExceptions()
# The checkout, too, has a folder qgis_sslkd, without core and training inside: the staged one must be found first.
sys.path.insert(0, str(PLUGINS))

import qgis_sslkd  # noqa: E402

UTM = "EPSG:32632"
LEFT, TOP, PIXEL = 500000.0, 5200000.0, 0.5


class Feedback(QgsProcessingFeedback):
    """Keeps all that an algorithm says."""

    def __init__(self):
        super().__init__(False)
        self.fractions, self.texts, self.infos, self.warnings, self.details = [], [], [], [], []
        self.progressChanged.connect(self.fractions.append)

    def setProgressText(self, text):  # noqa: N802
        self.texts.append(text)

    def pushInfo(self, info):  # noqa: N802
        self.infos.append(info)

    def pushWarning(self, warning):  # noqa: N802
        self.warnings.append(warning)

    def pushDebugInfo(self, info):  # noqa: N802
        self.details.append(info)


@pytest.fixture(scope="session", autouse=True)
def staged_plugin(qgis_app):
    """The plugin, loaded as QGIS loads it."""
    assert Path(qgis_sslkd.__file__).parent.parent == PLUGINS, "the plugin is not staged: make package"
    plugin = qgis_sslkd.classFactory(None)
    plugin.initProcessing()
    yield plugin
    plugin.unload()


@pytest.fixture
def roomy_disk(monkeypatch):
    """Lets set-up find room for PyTorch: what the tests install takes none."""
    usage = shutil.disk_usage(ROOT)._replace(free=100 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


@pytest.fixture
def feedback():
    return Feedback()


@pytest.fixture
def context(qgis_new_project):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    yield context
    # pytest lets go of the last test's context after QGIS has ended, when GDAL can close no layer any more.
    context.temporaryLayerStore().removeAllMapLayers()


@pytest.fixture
def algorithm():
    return lambda name: QgsApplication.processingRegistry().createAlgorithmById(f"sslkd:{name}")


@pytest.fixture
def worker(monkeypatch):
    """The real worker's Python, to which the plugin is pointed."""
    assert WORKER.is_file(), f"there is no worker's Python {WORKER}: make setup"
    monkeypatch.setenv("SSLKD_PYTHON", str(WORKER))
    return WORKER


@pytest.fixture
def no_worker(monkeypatch):
    monkeypatch.delenv("SSLKD_PYTHON", raising=False)
    QgsSettings().remove("sslkd/python")
    yield
    QgsSettings().remove("sslkd/python")


@pytest.fixture
def profile_home():
    """The folder of set-up in the profile, which must not be there yet, and goes."""
    from qgis_sslkd.environment import home

    assert not home().folder.exists(), "these tests need a QGIS profile without a worker"
    yield home()
    shutil.rmtree(home().folder, ignore_errors=True)


@pytest.fixture
def recorded_job(tmp_path, monkeypatch):
    """Point the plugin at a worker that keeps the job and refuses it; return a function that gives the job."""
    copy = tmp_path / "recorded.json"
    program = tmp_path / "recorder"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import json, shutil, sys
            shutil.copy(sys.argv[-1], {str(copy)!r})
            print(json.dumps({{"event": "error", "text": "Recorded."}}))
            sys.exit(1)
        """)
    )
    program.chmod(0o755)
    monkeypatch.setenv("SSLKD_PYTHON", str(program))
    return lambda: json.loads(copy.read_text())


def write_raster(path, width=64, height=64, bands=3, epsg=UTM, paint=None):
    """Write a raster of grey noise, with what `paint` draws on each of its bands as an array."""
    import numpy

    random = numpy.random.default_rng(width * 10007 + height)
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, bands, gdal.GDT_Byte)
    dataset.SetGeoTransform((LEFT, PIXEL, 0, TOP, 0, -PIXEL))
    reference = osr.SpatialReference()
    reference.SetFromUserInput(epsg)
    dataset.SetProjection(reference.ExportToWkt())
    for band in range(1, bands + 1):
        pixels = random.integers(60, 120, (height, width), dtype="uint8")
        if paint is not None:
            paint(pixels)
        dataset.GetRasterBand(band).WriteArray(pixels)
    dataset = None
    return path


def memory_layer(kind, *wkts, crs=UTM, name="layer"):
    """Return a memory layer that holds the geometries."""
    layer = QgsVectorLayer(kind, name, "memory")
    layer.setCrs(QgsCoordinateReferenceSystem(crs))
    features = []
    for wkt in wkts:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        features.append(feature)
    added, _ = layer.dataProvider().addFeatures(features)
    assert added
    layer.updateExtents()
    return layer


def save(layer, path):
    """Write a layer to a GeoPackage."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    transforms = QgsProject.instance().transformContext()
    error, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), transforms, options)
    assert error == QgsVectorFileWriter.WriterError.NoError, message


def box(left, top, right, bottom):
    """Return as WKT the rectangle between these pixels of a raster."""
    x0, x1 = LEFT + left * PIXEL, LEFT + right * PIXEL
    y0, y1 = TOP - top * PIXEL, TOP - bottom * PIXEL
    return f"Polygon(({x0} {y0},{x1} {y0},{x1} {y1},{x0} {y1},{x0} {y0}))"


def alive(pid):
    """Tell whether a process runs (one that has ended and is not collected yet does not)."""
    return status_of(pid)[:1] not in ([], ["Z"])


def status_of(pid):
    """Return a process's state, the id of its parent and more that Linux tells; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def qgis_process(profile, *arguments, **environment):
    """Run the real qgis_process to its end, with the plugin enabled in a profile of its own."""
    process = start_qgis_process(profile, *arguments, **environment)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start_qgis_process(profile, *arguments, **environment):
    """Start the real qgis_process, with the plugin enabled in a profile of its own."""
    # Debian 12's qgis_process is a wrapper that fails at once.
    program = next(path for path in ("/usr/bin/qgis_process.bin", "/usr/bin/qgis_process") if Path(path).exists())
    variables = {name: value for name, value in os.environ.items() if name != "SSLKD_PYTHON"}
    variables.update(QT_QPA_PLATFORM="offscreen", QGIS_PLUGINPATH=str(PLUGINS), QGIS_CUSTOM_CONFIG_PATH=str(profile))
    variables.update(environment)
    enable = [program, "plugins", "enable", "qgis_sslkd"]
    # It fails where the plugin is enabled already; if it is not, the command itself will fail.
    subprocess.run(enable, env=variables, capture_output=True, check=False, timeout=60)
    pipe = subprocess.PIPE
    return subprocess.Popen([program, *arguments], env=variables, stdout=pipe, stderr=pipe, text=True)


def as_arguments(name, parameters):
    """Return the arguments of qgis_process that run an algorithm."""
    return ["run", f"sslkd:{name}", *(f"--{key}={value}" for key, value in parameters.items())]
