"""Fixtures for all tests but those in QGIS: small rasters and vector files in real places."""

import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from qgis_sslkd.core.errors import CancelledError

ROOT = Path(__file__).resolve().parents[1]
# The demo is part of no package. Last, so that the folder qgis_sslkd here does not hide the installed whole.
sys.path.append(str(ROOT))

UTM = "EPSG:32632"
LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """The same networks in every run: PyTorch begins somewhere else each time."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


def pytest_generate_tests(metafunc):
    """What takes a `device` is tried on each kind that is here: with `-k cuda` on the GPU alone."""
    if "device" in metafunc.fixturenames:
        import torch

        metafunc.parametrize("device", ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])


class Collector:
    """A reporter that keeps what it is told, and may ask to stop from the progress of a fraction on."""

    def __init__(self, stop_at=None):
        self.fractions, self.texts, self.infos, self.warnings = [], [], [], []
        self._stop_at = stop_at

    def progress(self, fraction, text):
        self.fractions.append(fraction)
        self.texts.append(text)
        if self._stop_at is not None and fraction >= self._stop_at:
            raise CancelledError

    def info(self, text):
        self.infos.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def reporter():
    return Collector()


@pytest.fixture
def stopping_reporter():
    """Makes a reporter that asks to stop once the progress reaches a fraction."""
    return Collector


@pytest.fixture
def make_raster(tmp_path):
    """Writes pixels `(C, H, W)` as a GeoTIFF, at half a metre in UTM unless said otherwise; returns its path."""

    def make(pixels, name="raster.tif", crs=UTM, transform=None, colours=None, mask=None, **options):
        bands, height, width = pixels.shape
        path = tmp_path / name
        if transform is None:
            transform = from_origin(LEFT, TOP, PIXEL, PIXEL)
        profile = {"driver": "GTiff", "width": width, "height": height, "count": bands, "dtype": pixels.dtype.name}
        with rasterio.open(path, "w", crs=crs, transform=transform, **profile, **options) as dataset:
            if colours is not None:
                dataset.colorinterp = colours
            dataset.write(pixels)
            if mask is not None:
                dataset.write_mask(mask)
        return path

    return make


@pytest.fixture
def tear():
    """Damages a file in its middle; returns its path."""

    def torn(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
        path.write_bytes(content)
        return path

    return torn


@pytest.fixture
def make_vector(tmp_path):
    """Writes geometries (or WKT) to a vector file; returns its path."""

    def make(geometries, name="vector.gpkg", crs=UTM, layer=None, append=False):
        shapes = [shapely.from_wkt(each) if isinstance(each, str) else each for each in geometries]
        kinds = {each.geom_type for each in shapes if each is not None}
        path = tmp_path / name
        pyogrio.raw.write(
            str(path),
            geometry=shapely.to_wkb(np.array(shapes, dtype=object)),
            field_data=[],
            fields=[],
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
            crs=crs,
            layer=layer,
            append=append,
        )
        return path

    return make


@pytest.fixture
def read_vector():
    """Reads the geometries and the fields of a vector file."""

    def read(path):
        meta, _, encoded, columns = pyogrio.raw.read(str(path))
        return shapely.from_wkb(encoded), dict(zip(meta["fields"], columns, strict=True)), meta

    return read


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real imagery, which the project does not contain."""
    folder = Path(os.environ.get("SSLKD_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real imagery in {folder}: set SSLKD_DATA to the folder that holds it")
    return folder


@pytest.fixture
def little_room():
    """Lets files grow to a number of bytes and no further, as on a full disk; only within `with`, for pytest writes."""

    @contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
