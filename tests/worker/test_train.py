"""Which settings a training job ends up with."""

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.metrics import Confusion
from qgis_sslkd.training.presets import FINEST_GSD, PRESETS
from qgis_sslkd.training.settings import changed_settings
from qgis_sslkd.worker.jobs import TrainJob
from qgis_sslkd.worker.work.train import do_train, training_settings


def job(**changes):
    files = {"labelled": ["a.tif"], "roads": ["r.gpkg"], "model": "m.safetensors", "report": "r.html"}
    return TrainJob(**{**files, "preset": "quick", **changes})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('steps = 7\nseed = 3\nweights = "imagenet"\n[student]\nencoder = "resnet34"\nwidth = 1\n')
    return path


def test_nothing_said_is_the_preset():
    assert training_settings(job()) == PRESETS["quick"]


def test_the_file_comes_before_the_preset_and_the_options_before_the_file(file):
    of_file = training_settings(job(settings=file))
    assert (of_file.steps, of_file.seed, of_file.weights, of_file.student.encoder) == (7, 3, "imagenet", "resnet34")
    assert of_file.batch == PRESETS["quick"].batch
    of_both = training_settings(job(settings=file, steps=9, seed=0, weights="none", student="segformer/mit_b0"))
    assert (of_both.steps, of_both.seed, of_both.weights) == (9, 0, "none")
    assert (of_both.student.architecture, of_both.student.encoder) == ("segformer", "mit_b0")


def test_a_mapping_does_as_a_file_does():
    changes = {"distillation": {"views": "strong"}, "average": 0.99}
    assert training_settings(job(settings=changes)) == changed_settings("quick", changes)


def test_a_mistake_in_the_file_is_told_before_any_work(tmp_path, reporter):
    path = tmp_path / "my.toml"
    path.write_text("stepz = 7\n")
    files = {"model": tmp_path / "m.safetensors", "report": tmp_path / "r.html"}
    with pytest.raises(SettingError, match="There is no setting 'stepz'; choose from teachers, "):
        do_train(job(settings=path, **files), reporter)
    assert reporter.texts == []


def test_a_model_that_qgis_would_not_take_is_told_before_any_work(tmp_path, reporter):
    with pytest.raises(SettingError, match=r"written to m\.pt; .* ends in \.safetensors"):
        do_train(job(model=tmp_path / "m.pt", report=tmp_path / "r.html"), reporter)
    assert reporter.texts == []


def test_no_output_replaces_the_settings_file(file, reporter):
    with pytest.raises(SettingError, match=r"my\.toml is one of the inputs"):
        do_train(job(settings=file, report=file, model=file.with_name("m.safetensors")), reporter)


@pytest.mark.parametrize(
    ("pixel", "asked", "expected"), [(0.3, None, 0.6), (0.3, 0.3, 0.3), (0.3, 1.0, 1.0), (0.8, None, None)]
)
def test_quick_learns_at_coarser_pixels_unless_told_otherwise(
    make_raster, make_vector, tmp_path, reporter, monkeypatch, pixel, asked, expected
):
    raster = make_raster(np.zeros((3, 8, 800), np.uint8), transform=from_origin(0, 0, pixel, pixel))
    roads = make_vector(["POLYGON((0 0, 9 0, 9 -9, 0 0))"])
    learned = []

    def train(inputs, *_):
        learned.append(inputs.gsd)
        return Confusion().scores()

    monkeypatch.setattr("qgis_sslkd.worker.work.train.train", train)
    files = {
        "labelled": [str(raster)],
        "roads": [str(roads)],
        "model": tmp_path / "m.safetensors",
        "report": tmp_path / "r",
    }
    do_train(job(**files, gsd=asked, device="cpu"), reporter)
    assert learned == [expected]


@pytest.mark.parametrize(("asked", "bands"), [([], (3, 2, 1)), ([1, 2, 3], (1, 2, 3))])
def test_all_rasters_show_the_colours_of_the_first(
    make_raster, make_vector, tmp_path, reporter, monkeypatch, asked, bands
):
    red, green, blue = ColorInterp.red, ColorInterp.green, ColorInterp.blue
    pixels = np.zeros((3, 8, 800), np.uint8)
    first = make_raster(pixels, "first.tif", colours=(red, green, blue))
    other = make_raster(pixels, "other.tif", colours=(blue, green, red))
    learned = []

    def train(inputs, *_):
        learned.extend([*inputs.labelled, *inputs.unlabelled])
        return Confusion().scores()

    monkeypatch.setattr("qgis_sslkd.worker.work.train.train", train)
    roads = make_vector(["POLYGON((0 0, 9 0, 9 -9, 0 0))"])
    files = {"labelled": [str(first), str(other)], "unlabelled": [str(other)], "roads": [str(roads)]}
    do_train(job(**files, model=tmp_path / "m.safetensors", report=tmp_path / "r", bands=asked, device="cpu"), reporter)
    assert [raster.bands for raster in learned] == [(1, 2, 3), bands, bands]
    assert reporter.texts == [f"looking at raster {number} of 3" for number in (1, 2, 3)]


@pytest.mark.parametrize(("nodata", "empty"), [(None, 0), (0.0, 400)])
def test_what_is_called_nodata_is_not_learned_from(
    make_raster, make_vector, tmp_path, reporter, monkeypatch, nodata, empty
):
    """Of rasters with a black collar that they do not declare."""
    pixels = np.full((3, 80, 80), 9, np.uint8)
    pixels[:, :5] = 0
    rasters = [str(make_raster(pixels, name)) for name in ("labelled.tif", "unlabelled.tif")]
    learned, told = [], []

    def train(inputs, *others):
        learned.extend([*inputs.labelled, *inputs.unlabelled])
        told.append(others[-1].get("Nodata value"))
        return Confusion().scores()

    monkeypatch.setattr("qgis_sslkd.worker.work.train.train", train)
    roads = make_vector(["POLYGON((0 0, 9 0, 9 -9, 0 0))"])
    files = {"labelled": rasters[:1], "unlabelled": rasters[1:], "roads": [str(roads)]}
    files |= {"model": tmp_path / "m.safetensors", "report": tmp_path / "r"}
    do_train(job(**files, nodata=nodata, device="cpu"), reporter)
    with RasterReader() as reader:
        assert [(~reader.read(raster, raster.window, (80, 80))[1]).sum() for raster in learned] == [empty] * 2
    assert told == [None if nodata is None else "0, besides what the rasters declare"]


def test_numbers_of_a_palette_are_told(make_raster, make_vector, tmp_path, reporter, monkeypatch):
    monkeypatch.setattr("qgis_sslkd.worker.work.train.train", lambda *_: Confusion().scores())
    indexed = make_raster(np.zeros((1, 8, 800), np.uint8), "indexed.tif", colours=[ColorInterp.palette])
    roads = make_vector(["POLYGON((0 0, 9 0, 9 -9, 0 0))"])
    files = {"labelled": [str(indexed)], "unlabelled": [str(indexed)], "roads": [str(roads)]}
    do_train(job(**files, model=tmp_path / "m.safetensors", report=tmp_path / "r", device="cpu"), reporter)
    (warning,) = reporter.warnings
    assert "indexed.tif holds numbers of a palette's colours" in warning


def test_every_preset_has_a_finest_pixel_size():
    assert FINEST_GSD.keys() == PRESETS.keys()
