"""The command line and the job command, end to end, in processes of their own."""

import json
import mmap
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import safetensors.torch
import shapely
import torch
from affine import Affine
from rasterio.crs import CRS

from demo.scene import write_scene
from qgis_sslkd.core.models.model_card import load_card
from qgis_sslkd.worker import cli, work

SSLKD = Path(sys.executable).with_name("sslkd")
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
LEFT, TOP, PIXEL = 500_000.0, 5_200_000.0, 0.5
LAS_VEGAS = Affine(2.7e-6, 0, -115.1706276, 0, -2.7e-6, 36.2406177)
TINY = ("--preset", "quick", "--steps", 2, "--batch", 2, "--tile", 64, "--device", "cpu")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene"), seed=3, size=(400, 500), test_size=(256, 256))


@pytest.fixture
def roads(make_vector):
    """A road from left to right in the upper part of `photo`."""
    return make_vector([shapely.box(LEFT, TOP - 20, LEFT + 60, TOP - 12)], "roads.gpkg")


@pytest.fixture
def area(make_vector):
    """The upper half of `photo`."""
    return make_vector([shapely.box(LEFT, TOP - 25, LEFT + 60, TOP)], "area.gpkg")


def detect_options(results):
    return (
        *("--surface", results / "s.tif", "--probability", results / "p.tif", "--outlines", results / "o.gpkg"),
        *("--least-area", 0, "--device", "cpu"),
    )


def check_results(results, source, shape, transform=None):
    """Three files that go together, on the raster's grid, with a decision at every valid pixel."""
    with (
        rasterio.open(source) as raster,
        rasterio.open(results / "s.tif") as surface,
        rasterio.open(results / "p.tif") as probability,
    ):
        for result in (surface, probability):
            assert result.shape == shape
            assert result.crs == raster.crs
            assert result.transform == (transform or raster.transform)
        road, share = surface.read(1), probability.read(1)
        assert (surface.dtypes, surface.nodata) == (("uint8",), 255)
        assert (probability.dtypes, probability.nodata) == (("float32",), -1)
    valid = road != 255
    np.testing.assert_array_equal(valid, share != -1)
    assert np.isin(road[valid], (0, 1)).all()
    assert ((share[valid] >= 0) & (share[valid] <= 1)).all()
    np.testing.assert_array_equal(road[valid] == 1, share[valid] >= 0.5 - 1e-6)
    meta, _, encoded, (areas, means) = pyogrio.raw.read(results / "o.gpkg")
    assert (meta["fields"].tolist(), meta["geometry_type"]) == (["area", "mean_probability"], "Polygon")
    assert ((means >= 0.5 - 1e-6) & (means <= 1)).all()
    assert shapely.is_valid(shapely.from_wkb(encoded)).all()
    assert {path.name for path in results.iterdir()} == {"s.tif", "p.tif", "o.gpkg"}
    return valid, areas


@pytest.mark.parametrize(
    ("height", "width", "options"),
    [
        (256, 256, ("--tile", 128)),
        (300, 300, ()),
        (300, 700, ("--tile", 256, "--batch", 2)),
        (30, 40, ("--tile", 64, "--overlap", 0)),
        (80, 100, ("--tile", 1024)),  # larger than the raster
        (1, 1, ("--tile", 32)),
    ],
)
def test_detection_gives_rasters_of_exactly_that_size(sslkd, model, photo, results, height, width, options):
    raster = photo(height, width)
    ended = sslkd("detect", "--raster", raster, "--model", model, *detect_options(results), *options)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        f"surface: {results / 's.tif'}",
        f"probability: {results / 'p.tif'}",
        f"outlines: {results / 'o.gpkg'}",
    ]
    valid, _ = check_results(results, raster, (height, width))
    assert valid.all()
    assert f"{width} x {height} pixels of 0.50 m" in ended.stderr


def test_the_installed_command_does_the_same(model, photo, results):
    """`sslkd` itself, started as a person does."""
    raster = photo(256, 256, "[bold] Straßen (1).tif")
    arguments = [SSLKD, "detect", "--raster", raster, "--model", model, *detect_options(results), "--tile", 256]
    ended = subprocess.run(list(map(str, arguments)), cwd=results, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    valid, _ = check_results(results, raster, (256, 256))
    assert valid.all()
    assert "Detecting roads in [bold] Straßen (1).tif" in ended.stderr
    assert "Warning" not in ended.stderr


def test_nodata_comes_out_as_nodata(sslkd, model, make_raster, results):
    pixels = np.random.default_rng(0).integers(1, 256, (3, 100, 120), dtype=np.uint8)
    pixels[:, 20:50, 30:] = 0
    pixels[0, 0, 0] = 0  # in one band alone
    raster = make_raster(pixels, nodata=0)
    ended = sslkd("detect", "--raster", raster, "--model", model, *detect_options(results), "--tile", 64)
    assert ended.code == 0, ended.stderr
    valid, _ = check_results(results, raster, (100, 120))
    np.testing.assert_array_equal(valid, pixels.any(axis=0))


def test_a_part_of_a_raster_in_degrees(sslkd, model, photo, results):
    raster = photo(crs="EPSG:4326", transform=LAS_VEGAS)
    left, bottom = LAS_VEGAS @ (20, 70)
    right, top = LAS_VEGAS @ (90, 10)
    extent = ("--extent", f"{left:.9f}", f"{bottom:.9f}", f"{right:.9f}", f"{top:.9f}")
    options = (*detect_options(results), "--tile", 64, "--threshold", 0.5)
    ended = sslkd("detect", "--raster", raster, "--model", model, *options, *extent)
    assert ended.code == 0, ended.stderr
    _, areas = check_results(results, raster, (60, 70), LAS_VEGAS @ Affine.translation(20, 10))
    with rasterio.open(results / "s.tif") as surface:
        pixels = (surface.read(1) == 1).sum()
    # A pixel of 2.7e-6 degrees is 0.24 by 0.3 metres there; outlines are simplified.
    assert areas.sum() == pytest.approx(pixels * 0.0728, rel=0.15, abs=0.5)


def test_what_may_spoil_the_result_is_a_line_on_standard_error(sslkd, model, photo, results):
    raster = photo(dtype="uint16", transform=Affine(2, 0, LEFT, 0, -2, TOP))
    surface = results / "s.tif"
    ended = sslkd("detect", "--raster", raster, "--model", model, "--surface", surface, "--tile", 128)
    assert ended.code == 0
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 2
    assert "uint16" in warnings[0] and "2.00 m" in warnings[1]
    assert [path.name for path in results.iterdir()] == ["s.tif"]
    assert ended.stdout.splitlines() == [f"surface: {surface}"]


def test_the_whole_way(sslkd, scene, results):
    """Train on some labels, detect elsewhere, compare: each with what the one before gave."""
    model, report = results / "m.safetensors", results / "r.html"
    trained = sslkd(
        *("train", "--labelled", scene.train, "--roads", scene.train_roads, "--area", scene.train_extent),
        *("--model", model, "--report", report, *TINY, "--gsd", 0.45),
    )
    assert trained.code == 0, trained.stderr
    assert load_card(model).gsd == 0.45
    assert [line.split(": ")[0] for line in trained.stdout.splitlines()] == ["model", "report", "iou", "f1"]
    assert load_card(model).training["steps"] == 2
    assert "<html" in report.read_text()
    assert {path.name for path in results.iterdir()} == {"m.safetensors", "r.html"}

    surface = results / "s.tif"
    detected = sslkd("detect", "--raster", scene.test, "--model", model, "--surface", surface, "--tile", 256)
    assert detected.code == 0, detected.stderr

    truth = ("--roads", scene.test_roads, "--area", scene.test_extent)
    evaluated = sslkd("evaluate", "--surface", surface, *truth, "--json", results / "m.json")
    assert evaluated.code == 0, evaluated.stderr
    scores = json.loads((results / "m.json").read_text())
    *lines, last = evaluated.stdout.splitlines()
    assert last == f"json: {results / 'm.json'}"
    for line in lines:
        name, _, value = line.partition(": ")
        assert value == ("undefined" if scores[name] is None else f"{scores[name]:.4f}")


def test_evaluation_of_lines_with_a_width(sslkd, make_raster, make_vector):
    mask = np.zeros((1, 60, 80), np.uint8)
    mask[0, 20:40] = 1
    lines = make_vector([f"LINESTRING ({LEFT} {TOP - 15}, {LEFT + 40} {TOP - 15})"], "lines.gpkg")
    make_vector([shapely.box(0, 0, 1, 1)], "lines.gpkg", layer="other", append=True)
    surface = make_raster(mask, "s.tif", nodata=255)
    options = ("evaluate", "--surface", surface, "--roads", f"{lines}|layername=lines")
    assert "iou: 1.0000" in sslkd(*options, "--road-width", 10).stdout.splitlines()
    assert "iou: 0.5000" in sslkd(*options, "--road-width", 5).stdout.splitlines()


def test_roads_with_measures_are_taken_without_a_word(sslkd, make_raster, roads, tmp_path):
    file = tmp_path / "measured.vrt"
    measured = f"<SrcDataSource>{roads}</SrcDataSource><GeometryType>wkbPolygonZM</GeometryType>"
    file.write_text(f'<OGRVRTDataSource><OGRVRTLayer name="roads">{measured}</OGRVRTLayer></OGRVRTDataSource>')
    surface = make_raster(np.ones((1, 60, 80), np.uint8), "s.tif")
    ended = sslkd("evaluate", "--surface", surface, "--roads", file)
    assert (ended.code, ended.stderr) == (0, "")
    assert "recall: 1.0000" in ended.stdout.splitlines()


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def text_file(tmp_path, name):
    (tmp_path / name).write_text("nothing of the kind")
    return tmp_path / name


class Bench:
    """What the commands that must fail are given; each option can be replaced by what is wrong."""

    def __init__(self, tmp_path, results, photo, make_raster, make_vector, roads, area, model):
        self.tmp_path, self.results, self.photo = tmp_path, results, photo
        self.make_raster, self.make_vector = make_raster, make_vector
        self.raster, self.roads, self.area, self.model = photo(), roads, area, model

    def detect(self, *extra, **changes):
        given = {"raster": self.raster, "model": self.model, "surface": self.results / "s.tif"}
        given |= {"outlines": self.results / "o.gpkg", "device": "cpu"}
        return "detect", *self._options(given | changes), *extra

    def train(self, *extra, **changes):
        given = {"labelled": self.raster, "roads": self.roads, "area": self.area}
        given |= {"model": self.results / "m.safetensors", "report": self.results / "r.html"}
        given |= dict(zip((name[2:] for name in TINY[::2]), TINY[1::2], strict=True))
        return "train", *self._options(given | changes), *extra

    def evaluate(self, *extra, **changes):
        given = {
            "surface": self.make_raster(np.zeros((1, 60, 80), np.uint8), "surface.tif"),
            "roads": self.roads,
            "json": self.results / "m.json",
        }
        return "evaluate", *self._options(given | changes), *extra

    def compare(self, configuration):
        return "compare", configuration, "--output", self.results / "c", "--data", self.tmp_path

    def elsewhere(self):
        return self.make_vector([shapely.box(LEFT + 9e3, TOP, LEFT + 9.1e3, TOP + 50)], "elsewhere.gpkg")

    def _options(self, options):
        given = {name: value for name, value in options.items() if value is not None}
        return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture
def bench(tmp_path, results, photo, make_raster, make_vector, roads, area, model):
    return Bench(tmp_path, results, photo, make_raster, make_vector, roads, area, model)


def foreign_weights(bench):
    path = bench.tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    return path


def truncated_model(bench):
    path = bench.tmp_path / "cut.safetensors"
    path.write_bytes(bench.model.read_bytes()[:100_000])
    return path


def link_to(path, name):
    link = path.with_name(name)
    link.symlink_to(path)
    return link


def virtual(raster, path):
    rasterio.shutil.copy(raster, path, driver="VRT")
    return path


def outer(mosaic):
    """A virtual raster of a virtual raster."""
    text = mosaic.read_text().replace(">photo.tif<", f">{mosaic.name}<")
    assert text != mosaic.read_text()
    path = mosaic.with_name("outer.vrt")
    path.write_text(text)
    return path


def table(raster):
    """The name of a raster inside of a GeoPackage."""
    path = raster.with_name("tables.gpkg")
    rasterio.shutil.copy(raster, path, driver="GPKG", RASTER_TABLE="PHOTO")
    return f"GPKG:{path}:PHOTO"  # whose name rasterio writes in capitals


LOCAL = CRS.from_wkt('LOCAL_CS["Arbitrary (m)",UNIT["metre",1]]')
EVERYWHERE = f"{LEFT} {TOP - 50} {LEFT + 60} {TOP}".split()

# What is wrong: the command, and what its one sentence must name.
ERRORS = {
    "no annotation inside the rasters": (lambda b: b.train(roads=b.elsewhere()), "elsewhere.gpkg"),
    "no annotation inside the whole rasters": (
        lambda b: b.train(roads=b.elsewhere(), area=None, unlabelled=b.photo(name="u.tif")),
        "elsewhere.gpkg",
    ),
    "area outside of the rasters": (lambda b: b.train(area=b.elsewhere()), "elsewhere.gpkg"),
    "finer than the imagery": (lambda b: b.train(gsd=0.01), "0.01 m, is much finer"),
    "nothing unlabelled": (lambda b: b.train(area=None), "unlabelled"),
    "rasters with other band counts": (lambda b: b.train("--labelled", b.photo(name="five.tif", bands=5)), "five.tif"),
    "unlabelled raster with other bands": (lambda b: b.train(unlabelled=b.photo(name="one.tif", bands=1)), "one.tif"),
    "rasters of other types": (lambda b: b.train(unlabelled=b.photo(name="deep.tif", dtype="uint16")), "deep.tif"),
    "more bands than the model": (lambda b: b.detect(raster=b.photo(name="five.tif", bands=5)), "five.tif has 5 bands"),
    "fewer bands than the model": (lambda b: b.detect(raster=b.photo(name="one.tif", bands=1)), "one.tif has 1 band"),
    "no CRS": (lambda b: b.detect(raster=b.photo(name="lost.tif", crs=None)), "lost.tif"),
    "no CRS in training": (lambda b: b.train(labelled=b.photo(name="lost.tif", crs=None)), "lost.tif"),
    "no CRS of the unlabelled": (lambda b: b.train(unlabelled=b.photo(name="lost.tif", crs=None)), "lost.tif"),
    "a CRS that is nowhere": (lambda b: b.detect(raster=b.photo(name="local.tif", crs=LOCAL)), "local.tif"),
    "no CRS of the roads": (lambda b: b.train(roads=b.make_vector(["POINT (0 0)"], "n.gpkg", crs=None)), "n.gpkg"),
    "missing raster": (lambda b: b.detect(raster=b.tmp_path / "missing.tif"), "missing.tif"),
    "unreadable raster": (lambda b: b.detect(raster=text_file(b.tmp_path, "text.tif")), "text.tif"),
    "unreadable raster in training": (lambda b: b.train(labelled=text_file(b.tmp_path, "text.tif")), "text.tif"),
    "truncated raster": (lambda b: b.detect(raster=truncated(b.photo(name="cut.tif"))), "cut.tif"),
    "truncated compressed raster": (
        lambda b: b.detect(raster=truncated(b.photo(name="cut.tif", compress="deflate", tiled=True))),
        "cut.tif",
    ),
    "truncated raster in training": (lambda b: b.train(unlabelled=truncated(b.photo(name="cut.tif"))), "cut.tif"),
    "a folder for a raster": (lambda b: b.detect(raster=b.tmp_path), "cannot be read"),
    "missing roads": (lambda b: b.train(roads=b.tmp_path / "missing.gpkg"), "missing.gpkg"),
    "missing layer": (lambda b: b.train(roads=f"{b.roads}|layername=rivers"), "layername=rivers"),
    "unreadable roads": (lambda b: b.train(roads=text_file(b.tmp_path, "text.gpkg")), "text.gpkg"),
    "roads without lines": (lambda b: b.train(roads=b.make_vector(["POINT (0 0)"], "p.gpkg")), "p.gpkg"),
    "area of lines": (lambda b: b.train(area=b.make_vector(["LINESTRING (0 0, 1 1)"], "l.gpkg")), "l.gpkg"),
    "no model": (lambda b: b.detect(model=text_file(b.tmp_path, "no.safetensors")), "no.safetensors"),
    "a raster for a model": (lambda b: b.detect(model=b.photo(name="m.tif")), "m.tif"),
    "missing model": (lambda b: b.detect(model=b.tmp_path / "missing.safetensors"), "missing.safetensors"),
    "truncated model": (lambda b: b.detect(model=truncated_model(b)), "cut.safetensors"),
    "model of somebody else": (lambda b: b.detect(model=foreign_weights(b)), "foreign.safetensors"),
    "empty extent": (lambda b: b.detect("--extent", 5e5, 5.2e6, 5e5, 5.2e6), "empty"),
    "turned extent": (lambda b: b.detect("--extent", *EVERYWHERE[2:], *EVERYWHERE[:2]), "empty"),
    "extent elsewhere": (lambda b: b.detect("--extent", 0, 0, 1, 1), "outside of the raster photo.tif"),
    "unknown device": (lambda b: b.detect(device="gpu"), "'gpu'"),
    "absent device": (lambda b: b.detect(device="cuda:99"), "'cuda:99'"),
    "unknown device in training": (lambda b: b.train(device="tpu"), "'tpu'"),
    "output folder missing": (lambda b: b.detect(surface=b.results / "no" / "s.tif"), "no/s.tif"),
    "a surface that is no GeoTIFF": (
        lambda b: b.detect(surface=b.results / "s.png"),
        "to s.png; give it the extension .tif",
    ),
    "a map that is no GeoTIFF": (lambda b: b.evaluate(map=b.results / "m"), "to m; give it the extension .tif"),
    "a CRS with heights": (
        lambda b: b.detect(outlines=b.results / "o.gpkg", crs="EPSG:4978"),
        "'EPSG:4978' is not known or has no place",
    ),
    "outlines' folder missing": (lambda b: b.detect(outlines=b.results / "no" / "o.gpkg"), "no/o.gpkg"),
    "model's folder missing": (lambda b: b.train(model=b.results / "no" / "m.safetensors"), "no/m.safetensors"),
    "report's folder missing": (lambda b: b.train(report=b.results / "no" / "r.html"), "no/r.html"),
    "scores' folder missing": (lambda b: b.evaluate(json=b.results / "no" / "m.json"), "no/m.json"),
    "output is a folder": (lambda b: b.detect(surface=b.results), "folder"),
    "output is the raster": (lambda b: b.detect(surface=b.raster), "photo.tif is one of the inputs"),
    "output is the raster by another way": (
        lambda b: b.detect(surface=b.results / ".." / "photo.tif"),
        "photo.tif is one of the inputs",
    ),
    "output is the raster behind a link": (
        lambda b: b.detect(surface=link_to(b.raster, "link.tif")),
        "link.tif is one of",
    ),
    "output is the model": (lambda b: b.detect(probability=b.model), "not to model.safetensors"),
    "report is the roads": (lambda b: b.train(report=b.roads), "roads.gpkg is one of the inputs"),
    "scores are the roads": (lambda b: b.evaluate(json=b.roads), "roads.gpkg is one of the inputs"),
    "map is the surface": (lambda b: b.evaluate(map=b.tmp_path / "surface.tif"), "surface.tif is one of the inputs"),
    "surface is in a mosaic": (
        lambda b: b.detect(raster=virtual(b.raster, b.tmp_path / "m.vrt"), surface=b.raster),
        "photo.tif is one of the inputs",
    ),
    "surface is in a mosaic of mosaics": (
        lambda b: b.detect(raster=outer(virtual(b.raster, b.tmp_path / "m.vrt")), surface=b.raster),
        "photo.tif is one of the inputs",
    ),
    "outlines are where the raster is a table": (
        lambda b: b.detect(raster=table(b.raster), outlines=b.tmp_path / "tables.gpkg"),
        "tables.gpkg is one of the inputs",
    ),
    "outlines are where a table of a mosaic is": (
        lambda b: b.detect(raster=virtual(table(b.raster), b.tmp_path / "m.vrt"), outlines=b.tmp_path / "tables.gpkg"),
        "tables.gpkg is one of the inputs",
    ),
    "two outputs of one name": (lambda b: b.detect(probability=b.results / "s.tif"), "same name"),
    "model and report of one name": (lambda b: b.train(report=b.results / "m.safetensors"), "same name"),
    "unknown vector format": (lambda b: b.detect(outlines=b.results / "o.dxf"), "o.dxf"),
    "tile that the network cannot halve": (
        lambda b: b.detect(tile=100),
        "multiple of 32 pixels, at most 8192, got 100",
    ),
    "tile beyond all bounds": (lambda b: b.detect(tile=2**23), "at most 8192, got 8388608"),
    "overlap as large as the tile": (lambda b: b.detect(tile=64, overlap=64), "below the tile of 64, got 64"),
    "no batch": (lambda b: b.detect(batch=0), "batch must be at least 1, got 0"),
    "threshold of zero": (lambda b: b.detect(threshold=0), "got 0.0"),
    "unknown preset": (lambda b: b.train(preset="huge"), "preset"),
    "batch of one in training": (lambda b: b.train(batch=1), "batch must be at least 2"),
    "negative steps": (lambda b: b.train(steps=-3), "steps must be at least 1, got -3"),
    "unknown method": (lambda b: b.train(method="magic"), "magic"),
    "unknown student": (lambda b: b.train(student="deeplabv3plus/resnet19"), "resnet19"),
    "student that cannot be": (lambda b: b.train(student="deeplabv3plus/vgg11"), "not work with the encoder vgg11"),
    "a single teacher": (lambda b: b.train(teacher="deeplabv3plus/resnet18"), "at least 2 teachers, got 1"),
    "unknown configuration": (lambda b: b.compare("mine.toml"), "mine.toml"),
    "a raster for a configuration": (lambda b: b.compare(b.raster), "photo.tif"),
    "no tiles to compare on": (lambda b: b.compare("epfl-quick"), "split.json"),
    "a name that Rich knows": (lambda b: b.evaluate(surface=":car:.tif"), "The raster :car:.tif cannot"),
    "a name of another encoding": (lambda b: b.evaluate(surface=os.fsdecode(b"s\xff.tif")), r"s\udcff.tif"),
    "surface missing": (lambda b: b.evaluate(surface=b.tmp_path / "missing.tif"), "missing.tif"),
    "surface of probabilities": (
        lambda b: b.evaluate(surface=b.make_raster(np.full((1, 9, 9), 0.5, np.float32), "p.tif")),
        "p.tif holds the value 0.5",
    ),
    "negative buffer": (lambda b: b.evaluate(buffer=-1), "got -1.0"),
    "nothing to compare": (lambda b: b.evaluate(area=b.elsewhere()), "no pixel of surface.tif"),
}


def files_under(folder):
    """Every file and its content, but for the streams of the commands."""
    paths = sorted(path for path in folder.rglob("*") if not path.relative_to(folder).parts[0].startswith("streams-"))
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.mark.parametrize("wrong", ERRORS)
def test_an_error_is_one_sentence_and_leaves_nothing(sslkd, bench, tmp_path, wrong):
    command, named = ERRORS[wrong]
    arguments = command(bench)
    before = files_under(tmp_path)
    ended = sslkd(*arguments)
    assert ended.code == 1
    # Besides, a line that tells what begins, where the error came later.
    lines = [line for line in ended.stderr.splitlines() if not line.startswith(("Detecting roads", "Learning from"))]
    assert len(lines) == 1, ended.stderr
    assert re.fullmatch(r"sslkd: .+\.", lines[0])
    assert named in lines[0]
    assert ended.stdout == ""
    assert files_under(tmp_path) == before


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(10**15), lambda: np.ones(10**15), lambda: mmap.mmap(-1, 10**15)]
)
def test_too_little_memory_is_told_in_a_sentence(monkeypatch, capsys, allocate):
    def do(job, reporter):
        allocate()

    monkeypatch.setattr(work, "do", do)
    with pytest.raises(SystemExit, match="1"):
        cli.diagnose()
    said = capsys.readouterr().err
    assert said.startswith("sslkd: There is too little memory; close other programs, or choose a smaller")


@pytest.mark.parametrize("arguments", [("detect",), ("guess",), ("detect", "--tile", "many"), ("train", "--epochs", 3)])
def test_a_command_line_that_is_not_understood_says_so(sslkd, arguments):
    ended = sslkd(*arguments)
    assert ended.code == 2
    assert "Usage" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [(), ("train",), ("detect",), ("evaluate",), ("compare",)])
def test_help_explains_every_option(sslkd, command):
    ended = sslkd(*command, "--help")
    assert ended.code == 0
    expected = {
        (): ["train", "detect", "evaluate", "compare"],
        ("train",): ["--labelled", "--roads", "--area", "--unlabelled", "--preset", "--model", "--report", "--seed"],
        ("detect",): ["--raster", "--extent", "--threshold", "--least-area", "--simplify", "--tile", "--outlines"],
        ("evaluate",): ["--surface", "--roads", "--road-width", "--area", "--buffer", "--json", "--report", "--map"],
        ("compare",): ["configuration", "--output", "--data", "--row", "--seed"],
    }[command]
    assert all(word in ended.stdout for word in expected)


def test_the_version_is_that_of_the_plugin(sslkd):
    metadata = (Path(__file__).parents[2] / "metadata.txt").read_text(encoding="utf-8")
    ended = sslkd("--version")
    assert ended.code == 0 and f"\nversion={ended.stdout.removeprefix('sslkd ')}" in metadata


def test_a_shell_is_told_the_options_that_begin_so():
    asked = {"_SSLKD_COMPLETE": "complete_bash", "COMP_WORDS": "sslkd detect --pr", "COMP_CWORD": "2"}
    ended = subprocess.run([SSLKD], capture_output=True, text=True, env={**os.environ, **asked}, timeout=60)
    assert ended.stdout.split() == ["--probability", "--product", "--precision"]


def test_letters_that_the_output_lacks_stop_nothing():
    """As in Windows's code page, where it goes to a file or another program."""
    variables = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    ended = subprocess.run([SSLKD, "--help"], capture_output=True, env=variables, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"Karaku\\u015f" in ended.stdout


def test_the_data_of_another_gdal_and_proj_spoils_nothing(make_raster, results, tmp_path):
    variables = {**os.environ, **dict.fromkeys(("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"), str(tmp_path))}
    raster, outlines = make_raster(np.ones((1, 20, 20), np.uint8)), results / "o.gpkg"
    command = [SSLKD, "vectorise", "--raster", raster, "--crs", "EPSG:4326", "--least-area", 0, "--outlines", outlines]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert pyogrio.read_info(outlines)["crs"] == "EPSG:4326"


def test_a_backend_of_another_matplotlib_spoils_no_report(make_raster, make_vector, results):
    surface = make_raster(np.ones((1, 20, 20), np.uint8))
    roads = make_vector(["LINESTRING (500000 5199999, 500020 5199980)"], "roads.gpkg")
    command = [SSLKD, "evaluate", "--surface", surface, "--roads", roads, "--road-width", 2, "--report", results / "r"]
    variables = {**os.environ, "MPLBACKEND": "Qt4Agg"}
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables, timeout=60)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(("given", "found"), [({}, "60 1"), ({"GDAL_HTTP_LOW_SPEED_TIME": "9"}, "9 1")])
def test_a_server_that_says_no_more_is_not_waited_for(given, found):
    program = (
        "import os, qgis_sslkd.worker.__main__ as worker\n"
        "time, limit = (f'GDAL_HTTP_LOW_SPEED_{name}' for name in ('TIME', 'LIMIT'))\n"
        "worker.importing = lambda: os.execlp('echo', 'echo', os.environ[time], os.environ[limit])\n"
        "worker.main()"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **given}, timeout=60)
    assert ended.stdout.strip() == found


@pytest.mark.skipif(os.name != "posix", reason="the shell's way to close a stream")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_result(make_raster, results, closed):
    raster, outlines = make_raster(np.ones((1, 20, 20), np.uint8)), results / "o.gpkg"
    command = f'exec "$0" vectorise --raster "$1" --least-area 0 --outlines "$2" {closed}'
    ended = subprocess.run(["sh", "-c", command, SSLKD, raster, outlines], capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    assert len(pyogrio.raw.read(outlines)[2]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the shell's limit of addresses counts there")
def test_too_few_addresses_are_told_before_detection_hangs(photo, model, results):
    command = 'ulimit -v 1000000; exec "$0" detect --raster "$1" --model "$2" --surface "$3"'
    arguments = ["sh", "-c", command, SSLKD, photo(), model, results / "s.tif"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "sslkd: This process may have no more than 977 MiB of addresses, too few to detect with; allow 1 GiB or more "
        "(`ulimit -v`).\n"
    )
    assert list(results.iterdir()) == []


def test_an_interruption_amid_the_imports_ends_without_a_word():
    program = (
        "import os, signal, qgis_sslkd.worker.__main__ as worker\n"
        "worker.importing = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "worker.main()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


# Ctrl+C, `kill` or a scheduler, a terminal that is closed.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_training_that_is_ended_leaves_nothing(start, scene, results, number):
    command = start(
        *("train", "--labelled", scene.train, "--roads", scene.train_roads, "--area", scene.train_extent),
        *("--model", results / "m.safetensors", "--report", results / "r.html", *TINY, "--steps", 100_000),
    )
    command.wait_for("Learning from")
    command.signal(number)
    ended = command.wait(seconds=10)
    assert ended.code == 130
    assert ended.stderr.splitlines()[-1] == "sslkd: cancelled; what was not whole was removed."
    assert "Traceback" not in ended.stderr
    assert list(results.iterdir()) == []


@pytest.fixture
def detect_job(photo, model, results):
    return {
        "kind": "detect",
        "raster": photo(100, 120),
        "model": model,
        "tile": 64,
        "device": "cpu",
        "least_area": 0,
        "surface": results / "s.tif",
        "probability": results / "p.tif",
        "outlines": results / "o.gpkg",
    }


@pytest.fixture
def train_job(scene, results):
    """More steps than anybody waits for."""
    return {
        "kind": "train",
        "labelled": [scene.train],
        "roads": [scene.train_roads],
        "area": [scene.train_extent],
        "preset": "quick",
        "steps": 100_000,
        "batch": 2,
        "tile": 64,
        "device": "cpu",
        "model": results / "m.safetensors",
        "report": results / "r.html",
    }


def test_a_job_is_told_in_events(start_job, detect_job, results):
    ended = start_job(detect_job).wait()
    assert ended.code == 0, ended.stderr
    assert {event["event"] for event in ended.events} == {"progress", "message", "result"}
    assert ended.events[0] == {"event": "progress", "fraction": 0, "text": "starting"}
    assert any(event.get("text", "").startswith("Detecting roads in photo.tif") for event in ended.events)
    outputs = {key: str(detect_job[key]) for key in ("surface", "probability", "outlines")}
    assert ended.events[-1] == {"event": "result", "outputs": outputs}
    check_results(results, detect_job["raster"], (100, 120))


def test_a_command_in_pytorch_ends_without_a_word():
    """In a process of its own: libraries may complain of what is left at its end."""
    command = [SSLKD, "diagnose", "--device", "cpu"]
    ended = subprocess.run(command, capture_output=True, env=BUFFERED, text=True, timeout=120)
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert "forward_pass: " in ended.stdout.splitlines()[-1]


def test_a_process_that_fails_says_all_and_ends_with_its_code(tmp_path):
    command = [SSLKD, "vectorise", "--raster", "nowhere.tif", "--outlines", tmp_path / "o.gpkg"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("sslkd: ")
    assert "nowhere.tif" in ended.stderr


@pytest.mark.parametrize("variables", [BUFFERED, {**BUFFERED, "PYTHONUNBUFFERED": "1"}])
def test_results_that_cannot_be_told_are_no_success(make_raster, results, variables):
    """Standard output is full, which with a buffer shows no sooner than at the end."""
    surface = make_raster(np.eye(64, dtype=np.uint8)[None])
    command = [SSLKD, "vectorise", "--raster", surface, "--outlines", results / "o.gpkg"]
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=variables, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.endswith("sslkd: The output cannot be written: No space left on device.\n")
    assert "Traceback" not in ended.stderr


def test_a_job_as_qgis_starts_it(detect_job, results, tmp_path):
    """A process of its own whose input stays open; it ends well by itself."""
    file = tmp_path / "job.json"
    file.write_text(json.dumps({**detect_job, "probability": None}, default=str))
    command = [sys.executable, "-I", "-m", "qgis_sslkd.worker", "job", str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as worker:
        events = [json.loads(line) for line in worker.stdout]
        assert worker.wait(60) == 0
    assert events[-1]["event"] == "result"
    assert set(events[-1]["outputs"]) == {"surface", "outlines"}
    assert {path.name for path in results.iterdir()} == {"s.tif", "o.gpkg"}


def test_an_unknown_key_in_a_job_is_an_error(start_job, detect_job, results):
    ended = start_job({**detect_job, "colour": "red"}).wait()
    assert ended.code == 1
    (error,) = (event for event in ended.events if event["event"] == "error")
    assert error == ended.events[-1]
    assert "colour" in error["text"]
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "dance"}'])
def test_what_is_no_job_is_an_error(start_job, text):
    ended = start_job(text).wait()
    assert ended.code == 1
    assert ended.events[-1]["event"] == "error"
    assert "not understood" in ended.events[-1]["text"]


def test_a_job_file_that_is_not_there_is_an_error(start, tmp_path):
    ended = start("job", tmp_path / "missing.json").wait()
    assert ended.code == 1
    assert "missing.json" in ended.events[-1]["text"]


def test_an_error_in_a_job_is_the_sentence_of_the_command_line(start_job, detect_job, results):
    ended = start_job({**detect_job, "model": detect_job["raster"]}).wait()
    assert ended.code == 1
    assert ended.events[-1]["event"] == "error"
    assert "photo.tif is no model of SSLKD" in ended.events[-1]["text"]
    assert ended.stderr == ""
    assert list(results.iterdir()) == []


def test_the_line_cancel_ends_a_training_and_leaves_nothing(start_job, train_job, results):
    command = start_job(train_job)
    command.wait_for("step 1 of 2")
    command.write("cancel\n")
    ended = command.wait(seconds=10)
    assert ended.code == 130
    assert ended.events[-1] == {"event": "cancelled"}
    assert [event["event"] for event in ended.events].count("cancelled") == 1
    assert list(results.iterdir()) == []


def test_the_end_of_the_input_ends_a_training_and_leaves_nothing(start_job, train_job, results):
    command = start_job(train_job)
    command.wait_for("step 1 of 2")
    command.end_input()
    ended = command.wait(seconds=15)
    assert ended.code != 0
    assert not any(event["event"] == "result" for event in ended.events)
    assert list(results.iterdir()) == []


def test_other_lines_do_not_cancel(start_job, detect_job):
    command = start_job(detect_job)
    command.write("\nhello\ncancel it\n")
    assert command.wait().events[-1]["event"] == "result"
