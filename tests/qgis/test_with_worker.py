"""The whole way through QGIS and the real worker: layers in, model file, layers out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processing
import pytest
import qgis.utils
from conftest import (
    LEFT,
    PIXEL,
    PLUGINS,
    TOP,
    UTM,
    WORKER,
    Feedback,
    alive,
    as_arguments,
    box,
    memory_layer,
    qgis_process,
    save,
    start_qgis_process,
    status_of,
    write_raster,
)
from osgeo import gdal, ogr
from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsFillSymbol,
    QgsGeometry,
    QgsLayerTreeModel,
    QgsLayerTreeRegistryBridge,
    QgsProcessing,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.gui import QgsLayerTreeView
from qgis.PyQt.QtCore import QCoreApplication, QDateTime, Qt, QTimer
from tiles import TileServer

from qgis_sslkd.managed import LOCK, Marker, digest, home_of_profile, write_marker

TINY = {"PRESET": "quick", "STEPS": 2, "BATCH": 2, "TILE": 64, "GSD": 0.5, "DEVICE": "cpu"}
ENDLESS = {**TINY, "STEPS": 100000}
SIZES = [(256, 256), (300, 300), (1500, 700), (40, 30)]


@pytest.fixture(scope="module", autouse=True)
def processing_ready(qgis_processing):
    """Processing itself, with its native algorithms."""


@pytest.fixture(autouse=True)
def pointed_at_the_worker(worker):
    """Every test here uses the real worker."""


def paint_roads(pixels):
    pixels[:, 40:60] = 220
    pixels[100:116, :] = 220


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return str(write_raster(tmp_path_factory.mktemp("scene") / "scene.tif", 256, 256, paint=paint_roads))


@pytest.fixture(scope="module")
def roads():
    return memory_layer("Polygon", box(40, 0, 60, 256), box(0, 100, 256, 116), name="roads")


@pytest.fixture(scope="module")
def trained(scene, roads, tmp_path_factory):
    """What a tiny training gives."""
    folder = tmp_path_factory.mktemp("trained")
    feedback = Feedback()
    parameters = {
        "LABELLED": [scene],
        "ANNOTATIONS": roads,
        "AREA": memory_layer("Polygon", box(0, 0, 256, 160)),
        "MODEL": str(folder / "tiny.safetensors"),
        "REPORT": str(folder / "report.html"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSLKD_PYTHON", str(WORKER))
        results = processing.run("sslkd:trainsslkd", {**parameters, **TINY}, feedback=feedback)
    return results, feedback


@pytest.fixture
def model(trained):
    return trained[0]["MODEL"]


@pytest.fixture
def training(scene, roads, tmp_path):
    return {
        "LABELLED": [scene],
        "ANNOTATIONS": roads,
        "AREA": memory_layer("Polygon", box(0, 0, 256, 160)),
        "MODEL": str(tmp_path / "m.safetensors"),
        "REPORT": str(tmp_path / "r.html"),
        **TINY,
    }


@pytest.fixture
def detection(scene, model, tmp_path):
    return {"INPUT": scene, "MODEL": model, "SURFACE": str(tmp_path / "s.tif"), "DEVICE": "cpu", "TILE": 256}


def assert_every_pixel_decided(surface, raster):
    """Check that the surface lies on the raster's pixels and says road or not for each."""
    found, given = gdal.Open(str(surface)), gdal.Open(str(raster))
    assert (found.RasterXSize, found.RasterYSize) == (given.RasterXSize, given.RasterYSize)
    assert found.GetGeoTransform() == given.GetGeoTransform()
    assert found.GetSpatialRef().IsSame(given.GetSpatialRef())
    assert found.RasterCount == 1
    assert found.GetRasterBand(1).GetNoDataValue() == 255
    assert set(found.GetRasterBand(1).ReadAsArray().flat) <= {0, 1}


def gdal_array_of(path):
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        QCoreApplication.processEvents()
        time.sleep(0.01)
    return condition()


def workers_of(qgis):
    """Return the ids of the worker processes that run for a QGIS, of which this is one."""
    processes = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    children = [process for process in processes if status_of(process.name)[1:2] == [str(qgis)]]
    return [int(child.name) for child in children if b"job" in (child / "cmdline").read_bytes().split(b"\0")]


def test_training_gives_exactly_what_it_declares(trained):
    results, feedback = trained
    assert set(results) == {"MODEL", "REPORT", "IOU", "F1"}
    assert 0 <= results["IOU"] <= results["F1"] <= 1
    assert Path(results["MODEL"]).stat().st_size > 1e6
    assert "<html" in Path(results["REPORT"]).read_text(encoding="utf-8").lower()
    assert feedback.fractions and feedback.fractions == sorted(feedback.fractions)
    assert feedback.texts and feedback.infos


def test_the_report_of_a_training_calls_layers_by_their_names(trained):
    report = Path(trained[0]["REPORT"]).read_text(encoding="utf-8")
    assert ">roads.gpkg<" in report and ">layer.gpkg<" in report
    assert QgsProcessingUtils.tempFolder() not in report


def test_the_methods_and_students_that_are_offered_are_there(algorithm):
    train = algorithm("trainsslkd")
    students = train.parameterDefinition("STUDENT").options()[1:]
    asked = (
        f"import sys; sys.path.insert(0, {str(PLUGINS)!r})\n"
        "from qgis_sslkd.core.models.networks import parse_network\n"
        "from qgis_sslkd.training.methods import METHODS\n"
        f"[parse_network(name) for name in {students}]\n"
        "print(*METHODS)"
    )
    answered = subprocess.run([str(WORKER), "-I", "-c", asked], capture_output=True, text=True, check=True)
    assert set(answered.stdout.split()) == set(train.parameterDefinition("METHOD").options())


def test_training_another_student_by_another_method(training, feedback, tmp_path):
    chosen = {"METHOD": "supervised", "STUDENT": "segformer/mit_b0"}
    results = processing.run("sslkd:trainsslkd", {**training, **chosen}, feedback=feedback)
    assert Path(results["MODEL"]).stat().st_size > 3_700_000 * 4
    assert "the student, supervised" in Path(results["REPORT"]).read_text()


def test_training_on_lines_and_on_more_imagery(training, tmp_path):
    line = f"LineString({LEFT + 25} {TOP}, {LEFT + 25} {TOP - 128})"
    training["ANNOTATIONS"] = memory_layer("LineString", line)
    training["AREA"] = memory_layer("Polygon", box(0, 0, 256, 90))
    training["UNLABELLED"] = [str(write_raster(tmp_path / "more.tif", 200, 150))]
    training["MODEL"] = training["REPORT"] = "TEMPORARY_OUTPUT"
    results = processing.run("sslkd:trainsslkd", {**training, "ROAD_WIDTH": 10, "SEED": 3})
    assert Path(results["MODEL"]).suffix == ".safetensors"
    assert Path(results["REPORT"]).suffix == ".html"


def made(results):
    """Return which outputs there are; what was not asked for, or is undefined, is None."""
    return {key for key, value in results.items() if value is not None}


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_detection_decides_every_pixel(detection, tmp_path, width, height):
    detection["INPUT"] = str(write_raster(tmp_path / "in.tif", width, height, paint=lambda pixels: None))
    results = processing.run("sslkd:detectroads", detection)
    assert made(results) == {"SURFACE"}
    assert_every_pixel_decided(detection["SURFACE"], detection["INPUT"])


def test_detection_gives_probability_and_outlines_where_they_are_wanted(detection, tmp_path):
    # Below every probability that a network gives, so that there is something to outline.
    detection.update(THRESHOLD=0.001, PROBABILITY=str(tmp_path / "p.tif"), OUTLINES=str(tmp_path / "o.gpkg"))
    results = processing.run("sslkd:detectroads", detection)
    assert made(results) == {"SURFACE", "PROBABILITY", "OUTLINES"}
    probability = gdal.Open(str(tmp_path / "p.tif")).ReadAsArray()
    surface = gdal.Open(detection["SURFACE"]).ReadAsArray()
    assert probability.dtype == "float32"
    assert 0 <= probability.min() <= probability.max() <= 1
    assert ((probability >= 0.001) == (surface == 1)).all()
    outlines = QgsVectorLayer(f"{tmp_path / 'o.gpkg'}|layername=outlines", "outlines")
    assert outlines.isValid() and outlines.crs().authid() == UTM
    drawn = sum(feature["area"] for feature in outlines.getFeatures())
    assert drawn == pytest.approx(surface.sum() * PIXEL**2, rel=0.05)


def test_detection_inside_an_extent_lines_up_with_the_raster(detection):
    detection["EXTENT"] = f"{LEFT + 20},{LEFT + 70},{TOP - 60},{TOP - 10} [{UTM}]"
    processing.run("sslkd:detectroads", detection)
    found = gdal.Open(detection["SURFACE"])
    assert found.GetGeoTransform() == (LEFT + 20, PIXEL, 0, TOP - 10, 0, -PIXEL)
    assert (found.RasterXSize, found.RasterYSize) == (100, 100)


def test_detection_in_tiles_from_a_server(detection, feedback):
    server = TileServer()
    extent = f"{LEFT},{LEFT + 60},{TOP - 40},{TOP} [{UTM}]"
    wanted = {**detection, "INPUT": server.layer("Photos"), "EXTENT": extent, "THRESHOLD": 0.001}
    processing.run("sslkd:detectroads", wanted, feedback=feedback)
    server.close()
    surface = QgsRasterLayer(detection["SURFACE"], "surface")
    assert surface.crs().authid() == "EPSG:3857"
    reprojected = QgsCoordinateTransform(QgsCoordinateReferenceSystem(UTM), surface.crs(), QgsProject.instance())
    assert surface.extent().contains(reprojected.transformBoundingBox(QgsRectangle(LEFT, TOP - 40, LEFT + 60, TOP)))
    # Looked at everywhere: no pixel of the tiles is transparent.
    assert (gdal_array_of(detection["SURFACE"]) == 1).all()
    # The model's pixels have 0.5 m, those of the next finer zoom level 0.41 m.
    assert any("pixels of 0.41 m" in info for info in feedback.infos)
    assert any(info.startswith("Detecting roads in Photos.tif") for info in feedback.infos)


@pytest.mark.parametrize("extension", ["gpkg", "fgb", "geojson", "shp"])
def test_outlines_in_every_format_that_the_provider_offers(detection, tmp_path, extension):
    outlines = tmp_path / f"o.{extension}"
    processing.run("sslkd:detectroads", {**detection, "THRESHOLD": 0.001, "OUTLINES": str(outlines)})
    layer = QgsVectorLayer(str(outlines), "outlines")
    assert layer.isValid()
    assert sum(feature["area"] for feature in layer.getFeatures()) > 0


def test_detection_gives_centre_lines_where_they_are_wanted(detection, tmp_path):
    results = processing.run(
        "sslkd:detectroads", {**detection, "THRESHOLD": 0.001, "CENTRE_LINES": str(tmp_path / "c.gpkg")}
    )
    assert made(results) == {"SURFACE", "CENTRE_LINES"}
    lines = QgsVectorLayer(results["CENTRE_LINES"], "lines")
    assert lines.isValid() and [field.name() for field in lines.fields()] == ["fid", "width", "length"]


def test_everything_that_can_be_chosen_for_detection_is_understood(detection, tmp_path):
    chosen = {"BANDS": [3, 2, 1], "NODATA": 0, "RESAMPLE": False, "FLIPS": True, "COG": True, "CRS": "EPSG:3035"}
    shape = {"FILL_HOLES": 30, "SMOOTH": 2, "BRIDGE": 15, "THRESHOLD": 0.001, "OUTLINES": str(tmp_path / "o.gpkg")}
    area = memory_layer("Polygon", box(10, 10, 50, 200), name="area")
    processing.run("sslkd:detectroads", {**detection, **chosen, **shape, "AREA": area})
    found = gdal.Open(detection["SURFACE"])
    assert "LAYOUT=COG" in found.GetMetadata_List("IMAGE_STRUCTURE")
    decided = found.ReadAsArray() != 255
    assert decided[10:200, 10:50].all() and decided.sum() == 190 * 40
    (outline,) = QgsVectorLayer(str(tmp_path / "o.gpkg"), "outlines").getFeatures()
    assert outline["area"] == pytest.approx(190 * 40 * PIXEL**2, rel=0.05)
    assert QgsVectorLayer(str(tmp_path / "o.gpkg"), "outlines").crs().authid() == "EPSG:3035"


def paint_street(pixels):
    """Draw as a road surface a street of 8 by 70 metres."""
    pixels[:] = 0
    pixels[42:58, 10:150] = 1


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    return str(write_raster(tmp_path_factory.mktemp("street") / "street.tif", 160, 100, bands=1, paint=paint_street))


def assert_one_street(outlines, lines):
    (polygon,) = QgsVectorLayer(outlines, "outlines").getFeatures()
    assert polygon["area"] == pytest.approx(8 * 70, rel=0.02)
    (line,) = QgsVectorLayer(lines, "lines").getFeatures()
    assert (line["width"], line["length"]) == (pytest.approx(8, rel=0.02), pytest.approx(70, rel=0.02))
    assert line.geometry().length() == pytest.approx(70, rel=0.02)


def test_a_surface_and_a_probability_become_outlines_and_centre_lines(street, tmp_path):
    chances = str(tmp_path / "p.tif")
    gdal.Translate(chances, street, outputType=gdal.GDT_Float32, scaleParams=[[0, 1, 0, 0.75]])
    for raster in (street, chances):
        wanted = {"INPUT": raster, "OUTLINES": "TEMPORARY_OUTPUT", "CENTRE_LINES": "TEMPORARY_OUTPUT"}
        results = processing.run("sslkd:vectoriseroads", wanted)
        assert set(results) == {"OUTLINES", "CENTRE_LINES"}
        assert_one_street(results["OUTLINES"], results["CENTRE_LINES"])


def test_a_model_exported_to_python_may_leave_outputs_out(street, tmp_path, context, feedback):
    step = QgsProcessingModelChildAlgorithm("sslkd:vectoriseroads")
    step.setChildId("vectors")
    step.addParameterSources("INPUT", [QgsProcessingModelChildParameterSource.fromModelParameter("RASTER")])
    outputs = {key: QgsProcessingModelOutput(key) for key in ("OUTLINES", "CENTRE_LINES")}
    for key, output in outputs.items():
        output.setChildOutputName(key)
    step.setModelOutputs(outputs)
    model = QgsProcessingModelAlgorithm("Roads", "Roads")
    model.addModelParameter(QgsProcessingParameterRasterLayer("RASTER"), QgsProcessingModelParameter("RASTER"))
    model.addChildAlgorithm(step)
    names = {}
    exec("\n".join(model.asPythonCode(QgsProcessing.PythonOutputType.PythonQgsProcessingAlgorithmSubclass, 4)), names)
    exported = names["Roads"]()
    exported.initAlgorithm()
    keys = [each.name() for each in exported.destinationParameterDefinitions()]
    wanted = {"RASTER": street, keys[0]: None, keys[1]: str(tmp_path / "lines.gpkg")}
    results = exported.processAlgorithm(wanted, context, feedback)
    assert made(results) == {keys[1]}


def test_vectors_come_in_a_reference_system_that_the_user_defined(street, tmp_path):
    lines, own = str(tmp_path / "c.gpkg"), "PROJ4:+proj=laea +lat_0=47 +lon_0=9 +datum=WGS84 +units=m"
    results = processing.run("sslkd:vectoriseroads", {"INPUT": street, "CENTRE_LINES": lines, "CRS": own})
    assert results == {"OUTLINES": None, "CENTRE_LINES": lines}
    layer = QgsVectorLayer(lines, "lines")
    assert layer.crs().toProj().startswith("+proj=laea")
    (line,) = layer.getFeatures()
    assert line["length"] == pytest.approx(70, rel=0.02)


def test_vectorising_a_photo_is_refused(scene, tmp_path):
    outlines = str(tmp_path / "o.gpkg")
    assert "has 3 bands; choose one" in refuse("vectoriseroads", {"INPUT": scene, "OUTLINES": outlines})


@pytest.fixture
def evaluation(street, tmp_path):
    """The street was drawn two pixels above where it was found; it counts in two areas."""
    return {
        "INPUT": street,
        "REFERENCE": memory_layer("Polygon", box(10, 40, 150, 56), name="roads"),
        "AREA": memory_layer("Polygon", box(0, 0, 60, 100), box(100, 0, 160, 100)),
        "BUFFER": 1,
        "MAP": str(tmp_path / "e.tif"),
        "REPORT": str(tmp_path / "r.html"),
    }


EXPECTED = {"PRECISION": 14 / 16, "RECALL": 14 / 16, "IOU": 14 / 18, "F1": 14 / 16}
RELAXED = dict.fromkeys(("RELAXED_PRECISION", "RELAXED_RECALL", "RELAXED_F1"), 1)


def test_an_evaluation_gives_scores_a_map_and_a_report(evaluation):
    results = processing.run("sslkd:evaluateroads", evaluation)
    files = {key: evaluation[key] for key in ("MAP", "REPORT")}
    overall = {"OA": 1 - 2 * 2 * 100 / (2 * 60 * 100)}
    assert results == {
        **files,
        **{key: pytest.approx(each) for key, each in {**EXPECTED, **RELAXED, **overall}.items()},
    }
    kinds = gdal.Open(evaluation["MAP"]).ReadAsArray()
    assert [kinds[row, 20] for row in (30, 40, 50, 57)] == [0, 2, 1, 3] and kinds[50, 80] == 255
    assert "Quality by area" in Path(evaluation["REPORT"]).read_text(encoding="utf-8")


def test_drawn_roads_may_be_in_another_reference_system(evaluation):
    to_degrees = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem(UTM), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    )
    # Dense: what is straight in one system is bent in the other.
    road = QgsGeometry.fromWkt(box(10, 40, 150, 56)).densifyByDistance(5)
    road.transform(to_degrees)
    evaluation["REFERENCE"] = memory_layer("Polygon", road.asWkt(12), crs="EPSG:4326")
    results = processing.run("sslkd:evaluateroads", evaluation)
    assert {key: results[key] for key in EXPECTED} == pytest.approx(EXPECTED)


def test_drawn_roads_lie_where_qgis_shows_them(evaluation):
    # Of a datum that the worker cannot know, 50 m beside the raster's; the project knows by which way it is reached.
    degrees, utm = QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateReferenceSystem(UTM)
    way = "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=utm +zone=32 +ellps=WGS84"
    road = QgsGeometry.fromWkt(box(10, 40, 150, 56))
    road.translate(-50, 0)
    road.transform(QgsCoordinateTransform(utm, degrees, QgsProject.instance()))
    evaluation["REFERENCE"] = memory_layer("Polygon", road.asWkt(12), crs="EPSG:4326")
    context, transforms = QgsProcessingContext(), QgsCoordinateTransformContext()
    assert transforms.addCoordinateOperation(degrees, utm, f"{way} +step +proj=affine +xoff=50")
    context.setTransformContext(transforms)
    results = processing.run("sslkd:evaluateroads", evaluation, context=context)
    assert {key: results[key] for key in EXPECTED} == pytest.approx(EXPECTED)


def without_reference(street, tmp_path):
    """Copy the street to a file that tells no coordinate reference system."""
    path = tmp_path / "Street <1> & 'Weiß'.tif"
    gdal.Translate(str(path), street, creationOptions=["PROFILE=BASELINE", "TFW=YES"])
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)
    return str(path)


def in_the_next_zone(street, tmp_path):
    path = tmp_path / "next zone.tif"
    gdal.Translate(str(path), street, outputSRS="EPSG:32633")
    return str(path)


@pytest.mark.parametrize("given", [without_reference, in_the_next_zone])
def test_a_raster_lies_where_qgis_shows_it(evaluation, street, tmp_path, given):
    raster = QgsRasterLayer(given(street, tmp_path), "street")
    assert raster.crs().authid() != UTM
    raster.setCrs(QgsCoordinateReferenceSystem(UTM))
    results = processing.run("sslkd:evaluateroads", {**evaluation, "INPUT": raster})
    assert {key: results[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    assert QgsRasterLayer(results["MAP"]).crs().authid() == UTM
    wanted = {"INPUT": raster, "OUTLINES": str(tmp_path / "o.gpkg"), "CENTRE_LINES": str(tmp_path / "c.gpkg")}
    processing.run("sslkd:vectoriseroads", wanted)
    outlines = QgsVectorLayer(wanted["OUTLINES"], "outlines")
    assert outlines.crs().authid() == UTM and raster.extent().contains(outlines.extent())
    assert_one_street(wanted["OUTLINES"], wanted["CENTRE_LINES"])


def test_reports_and_warnings_call_layers_by_their_names(evaluation, feedback):
    evaluation["AREA"].setName("Town: north/south")
    evaluation["REFERENCE"] = memory_layer("Polygon", box(900, 40, 950, 56), name="Roads drawn by Anna 2024")
    processing.run("sslkd:evaluateroads", evaluation, feedback=feedback)
    assert "No road of Roads drawn by Anna 2024.gpkg lies where was compared" in "".join(feedback.warnings)
    report = Path(evaluation["REPORT"]).read_text(encoding="utf-8")
    assert ">Roads drawn by Anna 2024.gpkg<" in report and ">Town_ north_south.gpkg<" in report
    assert QgsProcessingUtils.tempFolder() not in report


def test_an_evaluation_of_lines_gives_what_is_defined(evaluation, tmp_path):
    empty = str(write_raster(tmp_path / "empty.tif", 160, 100, bands=1, paint=lambda pixels: pixels.fill(0)))
    line = memory_layer("LineString", f"LineString({LEFT} {TOP - 25}, {LEFT + 80} {TOP - 25})")
    wanted = {"INPUT": empty, "REFERENCE": line, "ROAD_WIDTH": 8, "MAP": "TEMPORARY_OUTPUT"}
    results = processing.run("sslkd:evaluateroads", wanted)
    assert made(results) == {"MAP", "OA", "RECALL", "IOU", "F1", "RELAXED_RECALL", "RELAXED_F1"}
    assert results["OA"] == pytest.approx(1 - 16 / 100) and results["RECALL"] == 0


def test_evaluating_a_photo_is_refused(evaluation, scene):
    assert "has 3 bands; choose a road surface" in refuse("evaluateroads", {**evaluation, "INPUT": scene})


def test_an_export_gives_an_onnx_file(model, tmp_path, feedback):
    wanted = {"MODEL": model, "TILE": 64, "OUTPUT": str(tmp_path / "m.onnx")}
    assert processing.run("sslkd:exportonnx", wanted, feedback=feedback) == {"OUTPUT": wanted["OUTPUT"]}
    content = Path(wanted["OUTPUT"]).read_bytes()
    for key, value in ((b"model_type", b'"Segmentor"'), (b"class_names", b'{"0": "background", "1": "road"}')):
        assert key in content and value in content
    assert any("for 64 x 64 pixels of 0.50 m in 3 bands" in each for each in feedback.infos)


def test_exporting_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "no.safetensors").write_text("Once upon a time")
    wanted = {"MODEL": str(tmp_path / "no.safetensors"), "OUTPUT": str(tmp_path / "m.onnx")}
    assert "is no model of SSLKD" in refuse("exportonnx", wanted)


def refuse(name, parameters):
    with pytest.raises(QgsProcessingException) as caught:
        processing.run(f"sslkd:{name}", parameters)
    outputs = {
        "trainsslkd": ("MODEL", "REPORT"),
        "detectroads": ("SURFACE",),
        "vectoriseroads": ("OUTLINES",),
        "evaluateroads": ("MAP", "REPORT"),
        "exportonnx": ("OUTPUT",),
    }[name]
    assert not [key for key in outputs if Path(parameters[key]).exists()]
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_no_model(detection, tmp_path):
    detection["MODEL"] = str(tmp_path / "no.safetensors")
    Path(detection["MODEL"]).write_text("Once upon a time")
    assert "model" in refuse("detectroads", detection)


def test_a_raster_with_other_bands_than_the_model(detection, tmp_path):
    detection["INPUT"] = str(write_raster(tmp_path / "two.tif", bands=2))
    assert "band" in refuse("detectroads", detection)


def test_a_truncated_raster(detection, scene, tmp_path):
    detection["INPUT"] = str(tmp_path / "half.tif")
    whole = Path(scene).read_bytes()
    Path(detection["INPUT"]).write_bytes(whole[: len(whole) // 2])
    assert "half.tif" in refuse("detectroads", detection)


def test_annotations_elsewhere(training):
    training["ANNOTATIONS"] = memory_layer("Polygon", "Polygon((0 0,9 0,9 9,0 9,0 0))")
    assert "road" in refuse("trainsslkd", training)


def test_rasters_with_other_bands_than_each_other(training, tmp_path):
    training["LABELLED"] = [*training["LABELLED"], str(write_raster(tmp_path / "two.tif", bands=2))]
    assert "band" in refuse("trainsslkd", training)


@pytest.fixture
def window(qgis_new_project, monkeypatch):
    """QGIS's window on an empty project: since 3.44 results are loaded through its panel of layers."""
    panel = QgsLayerTreeView()
    panel.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot()))
    monkeypatch.setattr(qgis.utils.iface, "layerTreeView", lambda: panel, raising=False)


def loaded(project, raster):
    """Return the layers of a raster's roads by what they are, in the order of the layer tree."""
    root = project.layerTreeRoot()
    (group,) = [child for child in root.children() if child.name() == f"Roads of {raster}"]
    assert len(root.findLayers()) == len(group.children()) == len(project.mapLayers())
    return {node.layer().name().removesuffix(f": {raster}"): node.layer() for node in group.children()}


def test_outputs_are_loaded_in_order_with_names_styles_and_origin(detection, trained, feedback, window):
    project = QgsProject.instance()
    for key in ("SURFACE", "PROBABILITY", "OUTLINES", "CENTRE_LINES"):
        detection[key] = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    processing.runAndLoadResults("sslkd:detectroads", {**detection, "THRESHOLD": 0.25}, feedback=feedback)
    layers = loaded(project, "scene")
    assert list(layers) == ["Road centre lines", "Road outlines", "Road probability", "Road surface"]
    scores = f"validation IoU {trained[0]['IOU']:.3f}, F1 {trained[0]['F1']:.3f}"
    model = f"Model: tiny.safetensors (deeplabv3plus/resnet18, 3 bands, 0.50 m, {scores})"
    assert model in feedback.infos
    for title, layer in layers.items():
        told = layer.metadata().abstract().splitlines()
        assert told[:3] == ["Raster: scene", model, "Threshold: 0.25"]
        made = told[3].partition(": ")
        assert QDateTime.fromString(made[0], Qt.DateFormat.ISODate).secsTo(QDateTime.currentDateTime()) in range(600)
        assert made[2] == "made by Detect roads, SSLKD 0.1.0"
        assert layer.metadata().title() == f"{title}: scene"
        assert layer.metadata().history()[-1] == told[3]
    surface, probability, outlines = (layers[f"Road {name}"] for name in ("surface", "probability", "outlines"))
    classes = {each.value: each.color.alpha() for each in surface.renderer().classes()}
    assert classes[0] == 0 < classes[1]
    ramp = probability.renderer().shader().rasterShaderFunction()
    assert (ramp.minimumValue(), ramp.maximumValue()) == (0, 1)
    assert ramp.colorRampItemList()[0].color.alpha() == 0
    titles = [layers[f"Road {name}"].attributeDisplayName for name in ("outlines", "centre lines")]
    assert [titles[0](field) for field in (1, 2)] == ["Area (m²)", "Mean probability"]
    assert [titles[1](field) for field in (1, 2)] == ["Width (m)", "Length (m)"]
    tips = [layers[f"Road {name}"].mapTipTemplate() for name in ("outlines", "centre lines")]
    assert 'Area (m²): [% round("area", 2) %]<br>Mean probability: [% round("mean_probability", 2) %]' in tips[0]
    assert 'Width (m): [% round("width", 2) %]<br>Length (m): [% round("length", 2) %]' in tips[1]
    casing, line = outlines.renderer().symbol().symbolLayers()
    assert line.properties()["line_color"].startswith("255,221,0")
    assert casing.width() > line.width()
    by_width = layers["Road centre lines"].renderer()
    assert by_width.classAttribute() == "width"
    drawn = [by_width.symbolForValue(metres).width() for metres in (2, 5, 8, 12, 20)]
    assert drawn == sorted(set(drawn))


def test_what_is_made_of_a_result_joins_it(street, tmp_path, window):
    project = QgsProject.instance()
    surface = project.addMapLayer(QgsRasterLayer(street, "street: surface"))
    surface.setCustomProperty("sslkd/subject", "ortho")
    wanted = {"INPUT": surface, "CENTRE_LINES": QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)}
    for _ in range(2):
        processing.runAndLoadResults("sslkd:vectoriseroads", wanted)
    project.removeMapLayer(surface.id())
    (group,) = project.layerTreeRoot().children()
    assert (group.name(), [child.name() for child in group.children()]) == (
        "Roads of ortho",
        ["Road centre lines: ortho"] * 2,
    )
    for layer in project.mapLayers().values():
        assert layer.metadata().abstract().splitlines()[:-1] == [
            "Raster: ortho",
            "Threshold (above 0, to 1): 0.5",
            "Least area (square metres): 20",
            "Holes to fill (square metres): 30",
            "Simplification (metres): 0.5",
            "Smoothing (metres): 2",
            "Gaps to bridge (metres): 15",
        ]


def test_what_a_model_makes_of_a_result_joins_it(detection, tmp_path, window):
    project = QgsProject.instance()
    wanted = {"INPUT": project.addMapLayer(QgsRasterLayer(detection["INPUT"], "ortho"))}
    surface = processing.run("sslkd:detectroads", {**detection, **wanted})["SURFACE"]
    project.clear()
    lines = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": surface, "CENTRE_LINES": lines})
    assert list(loaded(project, "ortho")) == ["Road centre lines"]


def test_layers_whose_files_were_made_anew_show_the_new_ones(detection, tmp_path, window):
    project = QgsProject.instance()
    for key, name in (("SURFACE", "s.tif"), ("OUTLINES", "o.gpkg")):
        detection[key] = QgsProcessingOutputLayerDefinition(str(tmp_path / name), project)
    part = f"{LEFT},{LEFT + 50},{TOP - 50},{TOP} [{UTM}]"
    for chosen in ({"EXTENT": part, "LEAST_AREA": 1e6}, {"THRESHOLD": 0.001, "LEAST_AREA": 0}):
        processing.runAndLoadResults("sslkd:detectroads", {**detection, **chosen})
        shown = list(loaded(project, "scene").values())
    made = [QgsVectorLayer(str(tmp_path / "o.gpkg")), QgsRasterLayer(str(tmp_path / "s.tif"))]
    assert [layer.extent() for layer in shown] == [layer.extent() for layer in made]
    assert shown[0].featureCount() == made[0].featureCount() > 0
    pixels = shown[1].dataProvider().block(1, made[1].extent(), 256, 256)
    assert bytes(pixels.data()) == gdal_array_of(tmp_path / "s.tif").tobytes()


@pytest.mark.parametrize("load", [processing.run, processing.runAndLoadResults])
def test_layers_that_were_loaded_otherwise_let_go_of_files_that_were_made_anew(evaluation, tmp_path, window, load):
    project, outlines, errors = QgsProject.instance(), str(tmp_path / "o.gpkg"), evaluation["MAP"]
    vectorisation = {"INPUT": evaluation["INPUT"], "OUTLINES": outlines}
    processing.run("sslkd:vectoriseroads", {**vectorisation, "LEAST_AREA": 1e6})
    processing.run("sslkd:evaluateroads", evaluation)
    roads = project.addMapLayer(QgsVectorLayer(f"{outlines}|layername=outlines|subset=area > 1", "roads"))
    shown = project.addMapLayer(QgsRasterLayer(errors, "errors"))
    assert roads.startEditing() and roads.featureCount() == 0
    evaluation["AREA"] = memory_layer("Polygon", box(0, 0, 160, 100))
    for name, wanted in (("vectoriseroads", vectorisation), ("evaluateroads", evaluation)):
        load(f"sslkd:{name}", {**wanted})
    pixels = shown.dataProvider().block(1, shown.extent(), 160, 100)
    assert bytes(pixels.data()) == gdal_array_of(errors).tobytes()
    (road,) = roads.getFeatures()
    assert roads.deleteFeature(road.id()) and roads.commitChanges()
    assert ogr.Open(outlines).GetLayer(0).GetFeatureCount() == 0


def test_a_layer_whose_file_was_made_anew_keeps_what_the_user_has_made_of_it(street, tmp_path, window):
    project = QgsProject.instance()
    for number in range(2):
        outlines = QgsProcessingOutputLayerDefinition(str(tmp_path / "o.gpkg"), project)
        processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, "OUTLINES": outlines})
        (layer,) = loaded(project, "street").values()
        if number == 0:
            layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple({"color": "red"})))
            layer.setMapTipTemplate("checked")
    assert layer.renderer().symbol().color().name() == "#ff0000"
    assert layer.mapTipTemplate() == "checked"


def test_edits_that_were_begun_while_their_file_was_made_anew_are_told_of(street, window, tmp_path, feedback):
    project = QgsProject.instance()
    outlines = QgsProcessingOutputLayerDefinition(str(tmp_path / "o.gpkg"), project)
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, "OUTLINES": outlines}, feedback=feedback)
    assert not feedback.warnings
    (layer,) = loaded(project, "street").values()
    # Heard while the worker is waited for, when what is edited has been looked at.
    QTimer.singleShot(0, lambda: layer.startEditing() and layer.deleteFeature(1))
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, "OUTLINES": outlines}, feedback=feedback)
    (warning,) = feedback.warnings
    assert "Road outlines: street was edited" in warning and layer.isModified()
    layer.rollBack()


@pytest.fixture
def current_group(window):
    """A group that QGIS puts layers into, as it does in its window when a layer of the group is the current one."""
    project = QgsProject.instance()
    bridge, root = project.layerTreeRegistryBridge(), project.layerTreeRoot()
    group = root.addGroup("Roads of street")
    bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(group, 0))
    yield group
    bridge.setLayerInsertionPoint(QgsLayerTreeRegistryBridge.InsertionPoint(root, 0))


def test_results_lie_in_order_where_qgis_puts_them_into_their_group_itself(street, current_group):
    project = QgsProject.instance()
    wanted = {key: QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project) for key in ("OUTLINES", "MAP")}
    wanted["CENTRE_LINES"] = wanted["OUTLINES"]
    reference = memory_layer("Polygon", box(10, 40, 150, 56))
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, **wanted})
    processing.runAndLoadResults("sslkd:evaluateroads", {"INPUT": street, "REFERENCE": reference, **wanted})
    assert list(loaded(project, "street")) == ["Road centre lines", "Road outlines", "Hits, misses and false alarms"]


def test_a_raster_s_results_lie_beside_those_of_another_raster_that_are_current(street, current_group):
    project = QgsProject.instance()
    outlines = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
    for name in ("street", "second", "third"):
        surface = project.addMapLayer(QgsRasterLayer(street, name), addToLegend=False)
        processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": surface, "OUTLINES": outlines})
        current = project.layerTreeRoot().findGroup(f"Roads of {name}")
        place = QgsLayerTreeRegistryBridge.InsertionPoint(current, 0)
        project.layerTreeRegistryBridge().setLayerInsertionPoint(place)
    assert [child.name() for child in project.layerTreeRoot().children()] == [
        "Roads of third",
        "Roads of second",
        "Roads of street",
    ]


def test_no_empty_group_is_left_of_a_raster_whose_results_were_replaced(street, window, tmp_path):
    project = QgsProject.instance()
    outlines = QgsProcessingOutputLayerDefinition(str(tmp_path / "o.gpkg"), project)
    for name in ("street", "second"):
        surface = project.addMapLayer(QgsRasterLayer(street, name), addToLegend=False)
        processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": surface, "OUTLINES": outlines})
    assert [child.name() for child in project.layerTreeRoot().children()] == ["Roads of second"]


def test_an_output_that_the_batch_dialog_leaves_out_is_not_looked_for(street, algorithm, context, feedback):
    outlines = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    left_out = QgsProcessingOutputLayerDefinition("", QgsProject.instance())
    wanted = {"INPUT": street, "OUTLINES": outlines, "CENTRE_LINES": left_out}
    results, finished = algorithm("vectoriseroads").run(wanted, context, feedback)
    assert finished and list(context.layersToLoadOnCompletion()) == [results["OUTLINES"]]


@pytest.mark.parametrize(("output", "shown"), [("OUTLINES", "Road outlines"), ("My town", "My town")])
def test_a_model_s_output_is_called_by_its_name_unless_that_is_the_key(street, window, output, shown):
    model = QgsProcessingModelAlgorithm("vectorise", "test")
    child = QgsProcessingModelChildAlgorithm("sslkd:vectoriseroads")
    child.setChildId("vectorise")
    child.addParameterSources("INPUT", [QgsProcessingModelChildParameterSource.fromStaticValue(street)])
    given = QgsProcessingModelOutput(output)
    given.setChildId("vectorise")
    given.setChildOutputName("OUTLINES")
    child.setModelOutputs({output: given})
    model.addChildAlgorithm(child)
    outlines = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    processing.runAndLoadResults(model, {f"vectorise:{output}": outlines})
    assert list(loaded(QgsProject.instance(), "street")) == [shown]


def test_a_name_that_was_chosen_is_kept(street, window):
    outlines = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    outlines.destinationName = "My town"
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, "OUTLINES": outlines})
    assert list(loaded(QgsProject.instance(), "street")) == ["My town"]


@pytest.mark.parametrize(("prefers_files", "name"), [(True, "Town 2024"), (False, "Road outlines: street")])
def test_a_file_that_was_named_names_its_layer_unless_qgis_is_told_otherwise(
    street, tmp_path, window, monkeypatch, prefers_files, name
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # by it, QGIS knows temporary files
    ProcessingConfig.setSettingValue(ProcessingConfig.PREFER_FILENAME_AS_LAYER_NAME, prefers_files)
    outlines = QgsProcessingOutputLayerDefinition(str(tmp_path / "Town 2024.gpkg"), QgsProject.instance())
    processing.runAndLoadResults("sslkd:vectoriseroads", {"INPUT": street, "OUTLINES": outlines})
    ProcessingConfig.setSettingValue(ProcessingConfig.PREFER_FILENAME_AS_LAYER_NAME, True)
    (layer,) = loaded(QgsProject.instance(), "street").values()
    assert layer.name() == name


def test_the_map_of_an_evaluation_is_loaded_with_its_style(evaluation, window):
    evaluation["MAP"] = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    processing.runAndLoadResults("sslkd:evaluateroads", evaluation)
    ((name, layer),) = loaded(QgsProject.instance(), "street").items()
    assert name == "Hits, misses and false alarms"
    assert "IoU: 0.778" in layer.metadata().abstract()
    classes = {each.value: each.color for each in layer.renderer().classes()}
    assert classes.pop(0).alpha() == 0
    assert {value: colour.name() for value, colour in classes.items()} == {1: "#0072b2", 2: "#d55e00", 3: "#f0e442"}


def paint_roads_and_collar(pixels):
    paint_roads(pixels)
    pixels[:, 200:] = 0


def test_the_model_that_comes_along_trains_and_detects_where_there_is_data(roads, tmp_path, feedback):
    parameters = {
        "RASTER": str(write_raster(tmp_path / "collar.tif", 256, 256, paint=paint_roads_and_collar)),
        "ANNOTATIONS": roads,
        "AREA": memory_layer("Polygon", box(0, 0, 256, 160)),
        "NODATA": 0,
        "train:MODEL": str(tmp_path / "m.safetensors"),
        "train:REPORT": "TEMPORARY_OUTPUT",
        "detect:SURFACE": str(tmp_path / "s.tif"),
        **TINY,
    }
    results = processing.run("sslkd:trainanddetect", parameters, feedback=feedback)
    assert set(results) >= {"train:MODEL", "train:REPORT", "detect:SURFACE"}
    assert Path(results["train:MODEL"]).is_file() and Path(results["train:REPORT"]).is_file()
    (learned_from,) = [each for each in feedback.infos if each.startswith("Learning")]
    assert "0.77 ha labelled" in learned_from  # with the collar it would be 0.94 ha
    surface = gdal_array_of(results["detect:SURFACE"])
    assert set(surface[:, :200].flat) <= {0, 1} and set(surface[:, 200:].flat) == {255}


def test_the_algorithms_are_chained_in_a_model(detection, tmp_path, context, feedback):
    model = QgsProcessingModelAlgorithm("chain", "test")
    steps = {
        "detect": ("detectroads", {**detection, "THRESHOLD": 0.001}),
        "vectorise": ("vectoriseroads", {"OUTLINES": str(tmp_path / "o.gpkg")}),
        "evaluate": ("evaluateroads", {"MAP": str(tmp_path / "e.tif")}),
    }
    chained = {"vectorise": {"INPUT": ("detect", "SURFACE")}}
    chained["evaluate"] = {**chained["vectorise"], "REFERENCE": ("vectorise", "OUTLINES")}
    for step, (name, values) in steps.items():
        child = QgsProcessingModelChildAlgorithm(f"sslkd:{name}")
        child.setChildId(step)
        for key, value in values.items():
            child.addParameterSources(key, [QgsProcessingModelChildParameterSource.fromStaticValue(value)])
        for key, source in chained.get(step, {}).items():
            child.addParameterSources(key, [QgsProcessingModelChildParameterSource.fromChildOutput(*source)])
        model.addChildAlgorithm(child)
    results, finished = model.run({}, context, feedback)
    assert finished
    # What was found is scored against its own outlines, which are rounded off at the corners.
    assert results["CHILD_RESULTS"]["evaluate"]["IOU"] == pytest.approx(1, abs=1e-3)


def test_a_batch_runs_one_algorithm_over_many_rasters(detection, algorithm, tmp_path, context, feedback):
    detect = algorithm("detectroads")
    for number in range(2):
        raster = str(write_raster(tmp_path / f"{number}.tif", 90 + number, 70))
        parameters = {**detection, "INPUT": raster, "SURFACE": str(tmp_path / f"s{number}.tif")}
        assert detect.checkParameterValues(parameters, context) == (True, "")
        results, finished = detect.run(parameters, context, feedback)
        assert finished and made(results) == {"SURFACE"}
        assert_every_pixel_decided(parameters["SURFACE"], raster)


@pytest.fixture
def in_background(algorithm, context, feedback):
    """Start an algorithm as the Toolbox does; return its worker's ids, and a list that will tell how it ended."""
    ended = []

    def start(name, parameters):
        task = QgsProcessingAlgRunnerTask(algorithm(name), parameters, context, feedback)
        task.executed.connect(lambda finished, results: ended.append((finished, results)))
        QgsApplication.taskManager().addTask(task)
        assert wait_until(lambda: workers_of(os.getpid()), 30)
        return workers_of(os.getpid()), ended

    yield start
    # Or a test that fails while the worker runs would never end.
    feedback.cancel()


def assert_cancelled(feedback, running, ended):
    cancelled = time.monotonic()
    feedback.cancel()
    assert wait_until(lambda: ended, 6)
    assert time.monotonic() - cancelled < 5
    assert ended == [(False, {})]
    assert not [pid for pid in running if alive(pid)]


def test_cancel_ends_a_training_in_the_background_and_leaves_nothing(training, in_background, feedback, tmp_path):
    running, ended = in_background("trainsslkd", {**training, **ENDLESS})
    assert wait_until(lambda: any("step 1 of 2" in text for text in feedback.texts), 120), feedback.texts
    assert_cancelled(feedback, running, ended)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["trainsslkd", "detectroads", "vectoriseroads", "evaluateroads"])
def test_cancel_ends_a_worker_that_has_just_begun_and_leaves_nothing(name, request, in_background, feedback, tmp_path):
    parameters = {
        "trainsslkd": lambda: request.getfixturevalue("training"),
        "detectroads": lambda: request.getfixturevalue("detection"),
        "vectoriseroads": lambda: {"INPUT": request.getfixturevalue("street"), "OUTLINES": str(tmp_path / "o.gpkg")},
        "evaluateroads": lambda: request.getfixturevalue("evaluation"),
    }[name]()
    running, ended = in_background(name, parameters)
    assert_cancelled(feedback, running, ended)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_is_killed_is_told_and_leaves_nothing(detection, in_background, feedback, tmp_path):
    (worker,), ended = in_background("detectroads", detection)
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: ended, 10)
    assert ended == [(False, {})]
    assert "The system has ended the worker" in feedback.htmlLog()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def saved_training(training, tmp_path):
    """A training whose layers are files, which is all that qgis_process takes."""
    files = {key: str(tmp_path / f"{key}.gpkg") for key in ("ANNOTATIONS", "AREA")}
    for key, path in files.items():
        save(training[key], path)
    return {**training, **files, "LABELLED": training["LABELLED"][0]}


def test_qgis_process_detects(detection, tmp_path):
    arguments = [*as_arguments("detectroads", detection), "--json"]
    done = qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert made(results) == {"SURFACE"} and results["SURFACE"] == detection["SURFACE"]
    assert_every_pixel_decided(detection["SURFACE"], detection["INPUT"])


def test_qgis_process_vectorises(street, tmp_path):
    files = {"OUTLINES": str(tmp_path / "o.gpkg"), "CENTRE_LINES": str(tmp_path / "c.gpkg")}
    arguments = [*as_arguments("vectoriseroads", {"INPUT": street, **files}), "--json"]
    done = qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == files
    assert_one_street(*files.values())


def test_qgis_process_evaluates(evaluation, tmp_path):
    for key in ("REFERENCE", "AREA"):
        save(evaluation[key], tmp_path / f"{key}.gpkg")
        evaluation[key] = str(tmp_path / f"{key}.gpkg")
    arguments = [*as_arguments("evaluateroads", evaluation), "--json"]
    done = qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert {key: results[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    assert (results["MAP"], results["REPORT"]) == (evaluation["MAP"], evaluation["REPORT"])


def test_qgis_process_exports(model, tmp_path):
    files = {"MODEL": model, "OUTPUT": str(tmp_path / "m.onnx")}
    arguments = [*as_arguments("exportonnx", files), "--json"]
    done = qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == {"OUTPUT": files["OUTPUT"]}
    assert Path(files["OUTPUT"]).stat().st_size > 1_000_000


def test_qgis_process_sets_up_and_diagnoses(tmp_path):
    arguments = as_arguments("setup", {"ACTION": "use", "PYTHON": WORKER})
    done = qgis_process(tmp_path / "profile", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"] == {"WORKER": str(WORKER)}
    files = {"REPORT": str(tmp_path / "d.html"), "TEXT": str(tmp_path / "d.txt")}
    done = qgis_process(tmp_path / "profile", *as_arguments("diagnose", files), "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert results.pop("PROBLEMS") == 0 and results == files
    assert str(WORKER) in Path(files["TEXT"]).read_text(encoding="utf-8")


def test_qgis_process_trains(saved_training, tmp_path):
    arguments = as_arguments("trainsslkd", saved_training)
    done = qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert done.returncode == 0, done.stderr
    assert "Learning from 1 raster" in done.stdout
    assert "IOU:" in done.stdout
    assert Path(saved_training["MODEL"]).is_file() and Path(saved_training["REPORT"]).is_file()


def test_the_worker_does_not_outlive_qgis(saved_training, tmp_path):
    arguments = as_arguments("trainsslkd", {**saved_training, **ENDLESS})
    qgis = start_qgis_process(tmp_path / "profile", *arguments, SSLKD_PYTHON=str(WORKER))
    assert wait_until(lambda: workers_of(qgis.pid), 60)
    (worker,) = workers_of(qgis.pid)
    qgis.kill()
    qgis.communicate()
    # It may be importing its libraries still; from then on it has five seconds.
    assert wait_until(lambda: not alive(worker), 40)
    assert not Path(saved_training["MODEL"]).exists()


def test_qgis_process_without_an_environment_says_how_to_mend_it(detection, tmp_path):
    done = qgis_process(tmp_path / "profile", *as_arguments("detectroads", detection))
    assert done.returncode != 0
    assert "sslkd:setup" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not Path(detection["SURFACE"]).exists()


def test_qgis_process_with_a_broken_environment_says_how_to_mend_it(detection, tmp_path):
    done = qgis_process(tmp_path / "profile", *as_arguments("detectroads", detection), SSLKD_PYTHON=sys.executable)
    assert done.returncode != 0
    assert "The worker ended unexpectedly (exit code 1): ModuleNotFoundError" in done.stderr
    assert "sslkd:setup" in done.stderr


def test_qgis_process_finds_the_environment_in_the_profile(detection, tmp_path):
    environment = home_of_profile(tmp_path / "profile" / "profiles" / "default").environment
    environment.mkdir(parents=True)
    for part in WORKER.parent.parent.iterdir():
        (environment / part.name).symlink_to(part)
    write_marker(environment, Marker("0.1.0", digest(LOCK), "auto"))
    done = qgis_process(tmp_path / "profile", *as_arguments("detectroads", detection))
    assert done.returncode == 0, done.stderr
    assert_every_pixel_decided(detection["SURFACE"], detection["INPUT"])
