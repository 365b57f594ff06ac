"""`sslkd vectorise` end to end, and `sslkd detect` with centre lines."""

import inspect
import re
import subprocess
import sys
from zipfile import ZipFile

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling

from qgis_sslkd.core.errors import RasterError, SettingError
from qgis_sslkd.worker import cli
from qgis_sslkd.worker.jobs import VectoriseJob, parse_job
from qgis_sslkd.worker.work import do

STREET = np.zeros((100, 160), np.float32)
STREET[42:58, 10:150] = 0.75
STREET[5:9, 5:9] = 0.75  # 4 square metres


@pytest.fixture
def probability(make_raster):
    pixels = STREET.copy()
    pixels[:, 155:] = -1
    return make_raster(pixels[None], "probability.tif", nodata=-1)


@pytest.fixture
def surface(make_raster):
    pixels = (STREET > 0).astype(np.uint8)
    pixels[:, 155:] = 255
    return make_raster(pixels[None], "surface.tif", nodata=255)


def job(raster, results, **changes):
    return VectoriseJob(
        **{"raster": str(raster), "outlines": results / "o.gpkg", "centre_lines": results / "c.gpkg", **changes}
    )


@pytest.mark.parametrize("kind", ["probability", "surface"])
def test_a_street_becomes_an_outline_and_a_line(sslkd, request, results, read_vector, kind):
    raster = request.getfixturevalue(kind)
    outlines, lines = results / "o.gpkg", results / "c.gpkg"
    ended = sslkd("vectorise", "--raster", raster, "--outlines", outlines, "--centre-lines", lines)
    assert ended.code == 0, ended.stderr
    assert ended.stdout.splitlines() == [f"outlines: {outlines}", f"centre_lines: {lines}"]
    (polygon,), fields, _ = read_vector(outlines)
    assert polygon.bounds == pytest.approx((500005, 5199971, 500075, 5199979))
    assert fields["area"] == pytest.approx([70 * 8], rel=0.02)
    assert list(fields) == ["area", "mean_probability"][: 2 if kind == "probability" else 1]
    assert fields.get("mean_probability", [0.75]) == pytest.approx([0.75])
    (line,), fields, _ = read_vector(lines)
    assert shapely.hausdorff_distance(line, shapely.LineString([(500005, 5199975), (500075, 5199975)])) < 1
    assert (fields["width"][0], fields["length"][0]) == pytest.approx((8, 70), rel=0.02)
    assert {path.name for path in results.iterdir()} == {"o.gpkg", "c.gpkg"}


def test_the_threshold_counts_for_a_probability(probability, results, reporter, read_vector):
    for threshold, count in ((0.75, 1), (0.76, 0)):
        do(job(probability, results, threshold=threshold), reporter)
        assert len(read_vector(results / "o.gpkg")[0]) == len(read_vector(results / "c.gpkg")[0]) == count
    assert reporter.infos[:2] == ["Outlines of at least 20 m²: 1.", "Centre lines: 1."]


def test_every_option_reaches_the_result(surface, results, reporter, read_vector):
    do(job(surface, results, least_area=1, simplify=0, smooth=0, crs="EPSG:4326"), reporter)
    polygons, fields, meta = read_vector(results / "o.gpkg")
    assert CRS.from_user_input(meta["crs"]).to_epsg() == 4326
    assert sorted(fields["area"]) == pytest.approx([4, 560], rel=2e-3)
    assert shapely.get_num_coordinates(polygons).tolist() == [5, 5]


@pytest.mark.parametrize("wanted", ["outlines", "centre_lines"])
def test_one_of_both_can_be_asked_for(surface, results, reporter, wanted):
    path = results / "v.fgb"
    outputs = do(VectoriseJob(raster=str(surface), **{wanted: path}), reporter)
    assert outputs == {wanted: str(path)}
    assert [each.name for each in results.iterdir()] == ["v.fgb"]
    assert all(0 <= fraction <= 1 for fraction in reporter.fractions)
    assert reporter.fractions == sorted(reporter.fractions)


def test_what_cannot_be_done_is_told_in_a_sentence_before_any_work(make_raster, surface, results, reporter):
    three = make_raster(np.zeros((3, 9, 9), np.uint8), "photo.tif")
    classes = make_raster(np.full((1, 9, 9), 7, np.uint8), "classes.tif")
    heights = make_raster(np.full((1, 9, 9), -9999, np.float32), "heights.tif")
    whites = make_raster(np.uint8([[[0, 255, 0]]]), "whites.tif")
    scaled = make_raster(np.uint8([[[0, 190, 0]]]), "scaled.tif")
    with rasterio.open(scaled, "r+") as dataset:
        dataset.scales = (1 / 250,)
    for raster, changes, error, message in (
        (surface, {"outlines": None, "centre_lines": None}, SettingError, "No output is asked for"),
        (three, {}, RasterError, r"photo\.tif has 3 bands; choose one with a single band"),
        (classes, {}, RasterError, r"classes\.tif holds the value 7; a road surface holds 1.* give the road class\.$"),
        (whites, {}, RasterError, r"whites\.tif holds 255 but no 1: .* Make what is road 1.* give the road class\.$"),
        (scaled, {}, RasterError, r"scaled\.tif declares that its values are to be multiplied by 0\.004, .* -unscale"),
        (heights, {}, RasterError, r"heights\.tif holds the value -9999; a probability lies from 0 to 1"),
        (three, {"road_class": 1}, RasterError, r"photo\.tif has 3 bands; choose one with a single band"),
        (surface, {"crs": "EPSG:1"}, SettingError, "'EPSG:1' is not known"),
        (surface, {"outlines": results / "o.dxf"}, SettingError, r"written to o\.dxf; .*\.gpkg"),
        (surface, {"outlines": surface}, SettingError, "written to surface.tif"),
        (surface, {"centre_lines": results / "o.gpkg"}, SettingError, "same name"),
        (surface, {"threshold": 0}, SettingError, "threshold"),
        (surface, {"bridge": -1}, SettingError, "gaps to bridge must be 0 metres or more, got -1"),
        (results / "none.tif", {}, RasterError, "cannot be read"),
    ):
        with pytest.raises(error, match=message):
            do(job(raster, results, **changes), reporter)
    assert reporter.fractions == [] and list(results.iterdir()) == []


@pytest.mark.parametrize(("road", "kind"), [(7, "uint8"), (255, "uint8"), (0, "uint8"), (-3, "int16"), (7, "float32")])
def test_of_classes_the_one_that_is_named_is_road(sslkd, make_raster, surface, results, read_vector, road, kind):
    classes = np.where(STREET > 0, road, 1).astype(kind)
    classes[60:80, 10:150] = 2
    classes[:, 155:] = 9  # nodata
    raster = make_raster(classes[None], "classes.tif", nodata=9)
    for name, path, options in (("classes", raster, ("--road-class", road)), ("surface", surface, ())):
        files = ("--outlines", results / f"{name}.gpkg", "--centre-lines", results / f"{name}_lines.gpkg")
        ended = sslkd("vectorise", "--raster", path, *files, *options)
        assert ended.code == 0, ended.stderr
    for ending in (".gpkg", "_lines.gpkg"):
        (shape,), fields, _ = read_vector(results / f"classes{ending}")
        (same,), same_fields, _ = read_vector(results / f"surface{ending}")
        assert shape.equals(same) and list(fields) == list(same_fields)


def test_a_raster_comes_whole_from_a_server_that_sends_no_parts_of_files(sslkd, make_raster, results, read_vector):
    pixels = (STREET > 0)[None].astype(np.uint8)
    raster = make_raster(pixels, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0", "--directory", raster.parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        url = f"/vsicurl/http://127.0.0.1:{port}/{raster.name}"
        ended = sslkd("vectorise", "--raster", url, "--outlines", results / "o.gpkg")
        server.kill()
    assert ended.code == 0, ended.stderr
    assert len(read_vector(results / "o.gpkg")[0]) == 1


@pytest.mark.parametrize("options", [(), ("--road-class", 1)])
def test_a_file_that_a_mosaic_lacks_is_named(sslkd, make_raster, results, options):
    tile = make_raster(np.zeros((1, 9, 9), np.uint8), "tile.tif")
    mosaic = tile.with_name("mosaic.vrt")
    rasterio.shutil.copy(tile, mosaic, driver="VRT")
    # What is right of the tile comes from no file, and can be read.
    mosaic.write_text(mosaic.read_text().replace('rasterXSize="9"', 'rasterXSize="18"', 1))
    tile.unlink()
    ended = sslkd("vectorise", "--raster", mosaic, "--outlines", results / "o.gpkg", *options)
    assert ended.code == 1 and "tile.tif: No such file" in ended.stderr


def test_a_class_that_no_pixel_is_of_is_told(surface, results, reporter, read_vector):
    do(job(surface, results, road_class=255), reporter)  # which the raster declares as nodata
    assert reporter.warnings == ["No pixel of the raster surface.tif is of the class 255."]
    assert len(read_vector(results / "o.gpkg")[0]) == len(read_vector(results / "c.gpkg")[0]) == 0


@pytest.mark.parametrize("hides", ["mask", "alpha"])
@pytest.mark.parametrize("highest", [1, 0.75])
def test_what_a_mask_or_alpha_hides_is_no_road(make_raster, results, reporter, read_vector, hides, highest):
    pixels = (STREET > 0) * np.array(highest, np.uint8 if highest == 1 else np.float32)
    shown = np.full(STREET.shape, 255, pixels.dtype)
    shown[:, 80:] = 0
    if hides == "mask":
        raster = make_raster(pixels[None], mask=shown > 0)
    else:
        raster = make_raster(np.stack([pixels, shown]), colours=[ColorInterp.gray, ColorInterp.alpha])
    do(job(raster, results, smooth=0), reporter)
    (polygon,), _, _ = read_vector(results / "o.gpkg")
    assert polygon.bounds == (500005, 5199971, 500040, 5199979)
    (line,), _, _ = read_vector(results / "c.gpkg")
    assert line.bounds == pytest.approx((500005, 5199975, 500040, 5199975), abs=0.5)


def test_a_value_outside_of_0_to_1_that_the_sample_misses_is_found(make_raster, results, reporter):
    pixels = np.zeros((1, 700, 1100), np.float32)
    pixels[0, 333, 555] = 1.5
    with pytest.raises(RasterError, match=r"holds the value 1\.5"):
        do(job(make_raster(pixels), results), reporter)
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("method", [Resampling.cubic, Resampling.lanczos])
def test_a_probability_that_was_resampled_is_taken(make_raster, results, reporter, read_vector, method):
    """These overshoot where a probability rises from 0 to 1."""
    with rasterio.open(make_raster((STREET > 0)[None].astype(np.float32))) as source:
        pixels = source.read(out_shape=(1, 144, 230), resampling=method)
        finer = source.transform @ Affine.scale(160 / 230, 100 / 144)
    assert pixels.min() < 0 and pixels.max() > 1
    do(job(make_raster(pixels, "finer.tif", transform=finer), results), reporter)
    (outline,), _, _ = read_vector(results / "o.gpkg")
    assert outline.area == pytest.approx(70 * 8, rel=0.1)


def test_the_command_line_asks_for_the_same_with_the_same_defaults():
    options = {name: each.default for name, each in inspect.signature(cli.vectorise).parameters.items()}
    fields = {name: field for name, field in VectoriseJob.model_fields.items() if name != "kind"}
    assert set(options) == set(fields)
    for name, field in fields.items():
        assert options[name] == (inspect.Parameter.empty if field.is_required() else field.default)
    assert isinstance(parse_job('{"kind": "vectorise", "raster": "r.tif"}'), VectoriseJob)


def test_detection_writes_centre_lines_too(sslkd, model, photo, results, read_vector):
    files = ("--surface", results / "s.tif", "--centre-lines", results / "c.gpkg", "--device", "cpu", "--tile", 64)
    ended = sslkd("detect", "--raster", photo(), "--model", model, *files)
    assert ended.code == 0, ended.stderr
    assert f"centre_lines: {results / 'c.gpkg'}" in ended.stdout.splitlines()
    lines, fields, meta = read_vector(results / "c.gpkg")
    assert list(fields) == ["width", "length"]
    assert len(lines) == len(fields["width"])
    with rasterio.open(results / "s.tif") as dataset:
        assert CRS.from_user_input(meta["crs"]) == dataset.crs


@pytest.mark.parametrize("kind", ["surface", "probability"])
def test_a_raster_in_an_archive_is_found(request, read_vector, reporter, tmp_path, kind):
    raster, archive, outlines = request.getfixturevalue(kind), tmp_path / "rasters.zip", tmp_path / "outlines.gpkg"
    with ZipFile(archive, "w") as packed:
        packed.write(raster, "raster.tif")
    do(VectoriseJob(raster=f"/vsizip/{archive}/raster.tif", outlines=outlines), reporter)
    assert len(read_vector(outlines)[0]) == 1
