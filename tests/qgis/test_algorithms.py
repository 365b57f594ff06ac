"""What the algorithms ask for, what they refuse, and the jobs that they make."""

import json
import re
from pathlib import Path

import pytest
from conftest import LEFT, TOP, UTM, Feedback, box, memory_layer, save, write_raster
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from tiles import TileServer

from qgis_sslkd.managed import plugin_version

ADVANCED = QgsProcessingParameterDefinition.Flag.FlagAdvanced
OPTIONAL = QgsProcessingParameterDefinition.Flag.FlagOptional
USUAL = {"trainsslkd": "train", "detectroads": "detect", "vectoriseroads": "vectorise", "evaluateroads": "evaluate"}


@pytest.fixture
def ortho(tmp_path):
    return str(write_raster(tmp_path / "ortho.tif"))


@pytest.fixture
def train(ortho, tmp_path):
    return {
        "LABELLED": [ortho],
        "ANNOTATIONS": memory_layer("Polygon", box(10, 0, 20, 64), name="roads"),
        "MODEL": str(tmp_path / "m.safetensors"),
        "REPORT": str(tmp_path / "r.html"),
    }


@pytest.fixture
def detect(ortho, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"a model, perhaps")
    return {"INPUT": ortho, "MODEL": str(tmp_path / "m.safetensors"), "SURFACE": str(tmp_path / "s.tif")}


@pytest.fixture
def vectorise(ortho, tmp_path):
    return {"INPUT": ortho, "OUTLINES": str(tmp_path / "o.gpkg"), "CENTRE_LINES": str(tmp_path / "c.gpkg")}


@pytest.fixture
def evaluate(ortho):
    return {"INPUT": ortho, "REFERENCE": memory_layer("Polygon", box(10, 0, 20, 64), name="roads")}


@pytest.fixture
def export(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"a model, perhaps")
    return {"MODEL": str(tmp_path / "m.safetensors"), "OUTPUT": str(tmp_path / "m.onnx")}


@pytest.fixture
def refusal(algorithm, context):
    """Return what is wrong with the parameters, as the dialog would show it."""

    def check(name, parameters):
        fine, sentence = algorithm(name).checkParameterValues(parameters, context)
        assert not fine
        return sentence

    return check


@pytest.fixture
def job(algorithm, context, feedback, recorded_job):
    """Run an algorithm with a worker that keeps its job, and return the job."""

    def run(name, parameters):
        wanted = algorithm(name)
        assert wanted.checkParameterValues(parameters, context) == (True, "")
        # The sentence alone: of any exception that is not QGIS's own, QGIS shows a traceback.
        with pytest.raises(QgsProcessingException, match=r"^Recorded\.$"):
            assert wanted.prepare(parameters, context, feedback)
            wanted.processAlgorithm(parameters, context, feedback)
        return recorded_job()

    return run


def made_by_default(algorithm):
    """Return the outputs, each of which is a destination, and whether the dialog asks for them at first."""
    by_default = {each.name(): each.createByDefault() for each in algorithm.destinationParameterDefinitions()}
    assert {each.name() for each in algorithm.outputDefinitions()} == set(by_default)
    return by_default


def described(algorithm, flag):
    return {parameter.name() for parameter in algorithm.parameterDefinitions() if parameter.flags() & flag}


def test_the_provider_holds_the_algorithms_with_icons_and_help():
    provider = QgsApplication.processingRegistry().providerById("sslkd")
    assert (provider.name(), provider.icon().isNull()) == ("SSLKD", False)
    assert {each.id() for each in provider.algorithms()} == {
        "sslkd:trainsslkd",
        "sslkd:detectroads",
        "sslkd:vectoriseroads",
        "sslkd:evaluateroads",
        "sslkd:exportonnx",
        "sslkd:trainanddetect",
        "sslkd:setup",
        "sslkd:diagnose",
    }
    for each in provider.algorithms():
        assert not each.icon().pixmap(24, 24).isNull()
        assert each.shortHelpString() and each.tags() and each.group()


def test_every_run_is_kept_in_the_history_of_processing(context):
    for each in QgsApplication.processingRegistry().providerById("sslkd").algorithms():
        assert each.asPythonCommand({}, context) == f'processing.run("{each.id()}", {{}})'


def test_the_log_of_a_run_tells_the_version():
    feedback = QgsProcessingFeedback()
    feedback.pushVersionInfo(QgsApplication.processingRegistry().providerById("sslkd"))
    assert f"SSLKD version: {plugin_version()}" in feedback.textLog().splitlines()


def test_train_asks_for_what_it_says(algorithm):
    train = algorithm("trainsslkd")
    assert described(train, ADVANCED) == {
        "STEPS", "BATCH", "TILE", "LEARNING_RATE", "SEED", "DEVICE", "WEIGHTS", "CHECKPOINTS", "METHOD",
        "STUDENT", "BANDS", "NODATA", "GSD", "EXTENT", "PIXEL_SIZE", "MOST_TILES", "SETTINGS",
    }  # fmt: skip
    assert {"AREA", "UNLABELLED", "BANDS", "NODATA", "EXTENT", "PIXEL_SIZE"} <= described(train, OPTIONAL)
    assert not {"LABELLED", "ANNOTATIONS", "MODEL", "REPORT"} & described(train, OPTIONAL)
    assert {each.name() for each in train.outputDefinitions()} == {"MODEL", "REPORT", "IOU", "F1"}
    assert train.parameterDefinition("PRESET").options() == ["quick", "balanced", "paper"]
    assert train.parameterDefinition("MODEL").defaultFileExtension() == "safetensors"


def test_detect_asks_for_what_it_says(algorithm):
    detect = algorithm("detectroads")
    assert described(detect, ADVANCED) == {
        "FILL_HOLES", "SMOOTH", "BRIDGE",
        "BANDS", "NODATA", "RESAMPLE", "FLIPS", "TILE", "OVERLAP", "BATCH", "DEVICE", "PRECISION", "COG", "CRS",
        "PIXEL_SIZE", "MOST_TILES",
    }  # fmt: skip
    bands = detect.parameterDefinition("BANDS")
    assert bands.allowMultiple() and bands.parentLayerParameterName() == "INPUT"
    assert {
        "EXTENT",
        "AREA",
        "BANDS",
        "NODATA",
        "CRS",
        "SURFACE",
        "PROBABILITY",
        "OUTLINES",
        "CENTRE_LINES",
    } <= described(detect, OPTIONAL)
    assert made_by_default(detect) == {"SURFACE": True, "PROBABILITY": False, "OUTLINES": True, "CENTRE_LINES": False}


def test_vectorise_asks_for_what_it_says(algorithm):
    vectorise = algorithm("vectoriseroads")
    assert described(vectorise, ADVANCED) == set()
    assert described(vectorise, OPTIONAL) == {"ROAD_CLASS", "CRS", "OUTLINES", "CENTRE_LINES"}
    assert made_by_default(vectorise) == {"OUTLINES": True, "CENTRE_LINES": True}


def test_evaluate_asks_for_what_it_says(algorithm):
    evaluate = algorithm("evaluateroads")
    assert described(evaluate, ADVANCED) == set()
    assert described(evaluate, OPTIONAL) == {"AREA", "MAP", "REPORT"}
    scores = {"OA", "PRECISION", "RECALL", "IOU", "F1", "RELAXED_PRECISION", "RELAXED_RECALL", "RELAXED_F1"}
    assert {each.name() for each in evaluate.outputDefinitions()} == {"MAP", "REPORT"} | scores


def test_export_asks_for_what_it_says(algorithm):
    export = algorithm("exportonnx")
    assert described(export, ADVANCED) == {"TILE", "OVERLAP", "THRESHOLD", "LEAST_AREA"}
    assert described(export, OPTIONAL) == {"OVERLAP"}
    assert {each.name() for each in export.outputDefinitions()} == {"OUTPUT"}
    assert export.parameterDefinition("MODEL").fileFilter() == "SSLKD model (*.safetensors)"
    assert export.parameterDefinition("OUTPUT").defaultFileExtension() == "onnx"


def test_the_model_asks_for_what_it_says(algorithm, worker):
    steps = algorithm("detectroads"), algorithm("trainanddetect")
    assert len({(each.group(), each.groupId()) for each in steps}) == 1
    registered = QgsApplication.processingRegistry().algorithmById("sslkd:trainanddetect")
    for model in (registered, algorithm("trainanddetect")):
        assert described(model, ADVANCED) == {"NODATA", "STEPS", "BATCH", "TILE", "DEVICE"}
        assert "AREA" in described(model, OPTIONAL)
        assert list(made_by_default(model).items()) == [
            ("train:MODEL", True),
            ("train:REPORT", True),
            ("detect:SURFACE", True),
            ("detect:OUTLINES", True),
            ("detect:CENTRE_LINES", False),
        ]
        assert [each.name() for each in model.outputDefinitions()] == list(made_by_default(model))
        assert model.validate() == (True, [])


def test_it_is_told_that_edits_are_used_which_are_not_saved_yet(job, evaluate, feedback):
    for key in ("REFERENCE", "AREA"):
        layer = QgsProject.instance().addMapLayer(memory_layer("Polygon", box(0, 0, 20, 64), name=key))
        layer.startEditing()
        layer.deleteFeature(1)
        drawn = QgsFeature()
        drawn.setGeometry(QgsGeometry.fromWkt(box(0, 0, 64, 64)))
        layer.addFeature(drawn)
        evaluate[key] = layer
    job("evaluateroads", evaluate)
    for key in ("REFERENCE", "AREA"):
        assert f"{key}: edits that are not saved yet are used: 1 drawn, 0 reshaped, 1 deleted." in feedback.infos
        evaluate[key].rollBack()


def test_what_is_left_empty_is_left_to_the_worker(job, train, ortho, tmp_path):
    made = job("trainsslkd", train)
    assert QgsVectorLayer(made.pop("roads")[0]).featureCount() == 1
    assert made == {
        "kind": "train",
        "labelled": [ortho],
        "road_width": 6.0,
        "area": [],
        "unlabelled": [],
        "gsd": None,
        "method": "sslkd",
        "preset": "balanced",
        "bands": [],
        "nodata": None,
        "student": None,
        "steps": None,
        "batch": None,
        "tile": None,
        "learning_rate": None,
        "seed": None,
        "device": "auto",
        "weights": None,
        "settings": None,
        "checkpoints": None,
        "model": str(tmp_path / "m.safetensors"),
        "report": str(tmp_path / "r.html"),
    }


def test_what_is_chosen_for_training_reaches_the_worker(job, train, tmp_path):
    more = [str(write_raster(tmp_path / f"{number}.tif")) for number in range(2)]
    chosen = {
        "AREA": memory_layer("Polygon", box(0, 0, 64, 64)),
        "UNLABELLED": [more[0], QgsRasterLayer(more[1], "more")],
        "METHOD": "cps",
        "PRESET": "quick",
        "STUDENT": "segformer/mit_b0",
        "ROAD_WIDTH": 4.5,
        "NODATA": 0,
        "GSD": 0.75,
        "STEPS": 3,
        "BATCH": 2,
        "TILE": 96,
        "LEARNING_RATE": 0.02,
        "SEED": 7,
        "DEVICE": "cpu",
        "WEIGHTS": "imagenet",
        "SETTINGS": str(tmp_path / "settings.toml"),
        "CHECKPOINTS": str(tmp_path),
    }
    made = job("trainsslkd", {**train, **chosen})
    assert QgsVectorLayer(made["area"][0]).featureCount() == 1
    assert made["unlabelled"] == more
    for key in chosen.keys() - {"AREA", "UNLABELLED"}:
        assert made[key.lower()] == chosen[key], key


@pytest.mark.parametrize("bands", ["4, 1, 2", "4;1;2", " 4 1 2 "])
def test_bands_to_learn_from_are_numbers(job, train, bands):
    assert job("trainsslkd", {**train, "BANDS": bands})["bands"] == [4, 1, 2]


@pytest.mark.parametrize(("bands", "word"), [("1, -2", "-2"), ("red", "red"), ("1.5", "1.5")])
def test_what_is_no_number_of_a_band_is_named(refusal, train, bands, word):
    sentence = refusal("trainsslkd", {**train, "BANDS": bands})
    assert sentence == f"{word} is no number of a band: name bands such as 4, 1, 2."


def test_outlines_alone_are_detected_where_no_surface_is_asked_for(job, detect, tmp_path):
    wanted = {"INPUT": detect["INPUT"], "MODEL": detect["MODEL"], "OUTLINES": str(tmp_path / "o.gpkg")}
    made = job("detectroads", wanted)
    assert (made["surface"], made["outlines"]) == (None, wanted["OUTLINES"])


def test_the_plainest_detection(job, detect):
    assert job("detectroads", detect) == {
        "kind": "detect",
        "raster": detect["INPUT"],
        "model": detect["MODEL"],
        "bands": [],
        "nodata": None,
        "area": [],
        "extent": None,
        "resample": True,
        "flips": False,
        "threshold": 0.5,
        "least_area": 20.0,
        "fill_holes": 30.0,
        "simplify": 0.5,
        "smooth": 2.0,
        "bridge": 15.0,
        "crs": None,
        "tile": None,
        "overlap": None,
        "batch": None,
        "device": "auto",
        "precision": "auto",
        "surface": detect["SURFACE"],
        "probability": None,
        "outlines": None,
        "centre_lines": None,
        "cog": False,
    }


def test_what_is_chosen_for_detection_reaches_the_worker(job, detect, tmp_path):
    chosen = {"THRESHOLD": 0.25, "LEAST_AREA": 0, "SIMPLIFY": 0, "TILE": 64, "OVERLAP": 0, "BATCH": 1, "DEVICE": "cuda"}
    names = {"PROBABILITY": "p.tif", "OUTLINES": "o.gpkg", "CENTRE_LINES": "c.gpkg"}
    files = {key: str(tmp_path / name) for key, name in names.items()}
    made = job("detectroads", {**detect, **chosen, **files})
    for key, value in {**chosen, **files}.items():
        assert made[key.lower()] == value, key


def test_how_the_raster_is_looked_at_reaches_the_worker(job, detect):
    chosen = {"BANDS": [3, 1, 2], "NODATA": 0, "RESAMPLE": False, "FLIPS": True, "COG": True, "PRECISION": "float32"}
    made = job("detectroads", {**detect, **chosen, "CRS": "EPSG:25832"})
    for key, value in {**chosen, "CRS": "EPSG:25832"}.items():
        assert made[key.lower()] == value, key
        assert type(made[key.lower()]) is type(value) or key == "NODATA", key


def test_how_the_vectors_are_shaped_reaches_the_worker(job, detect):
    chosen = {"FILL_HOLES": 30, "SMOOTH": 2, "BRIDGE": 15}
    made = job("detectroads", {**detect, **chosen})
    assert {key: made[key.lower()] for key in chosen} == chosen


def test_a_temporary_model_is_told_of_and_another_is_not(job, train, feedback):
    job("trainsslkd", train)
    assert feedback.warnings == []
    made = job("trainsslkd", {**train, "MODEL": "TEMPORARY_OUTPUT"})
    (warning,) = feedback.warnings
    assert warning.startswith("The model file is temporary") and made["model"] in warning


def test_an_area_to_detect_in_reaches_the_worker_as_polygons(job, detect):
    made = job("detectroads", {**detect, "AREA": memory_layer("Polygon", box(0, 0, 20, 64), box(40, 0, 64, 64))})
    (area,) = made["area"]
    assert QgsVectorLayer(area).featureCount() == 2


def test_the_plainest_vectorisation(job, vectorise):
    del vectorise["CENTRE_LINES"]
    assert job("vectoriseroads", vectorise) == {
        "kind": "vectorise",
        "raster": vectorise["INPUT"],
        "road_class": None,
        "threshold": 0.5,
        "least_area": 20.0,
        "fill_holes": 30.0,
        "simplify": 0.5,
        "smooth": 2.0,
        "bridge": 15.0,
        "crs": None,
        "outlines": vectorise["OUTLINES"],
        "centre_lines": None,
    }


def test_what_is_chosen_for_vectorisation_reaches_the_worker(job, vectorise):
    chosen = {"THRESHOLD": 0.25, "LEAST_AREA": 0, "FILL_HOLES": 0, "SIMPLIFY": 1, "SMOOTH": 0, "BRIDGE": 3.5}
    made = job("vectoriseroads", {**vectorise, **chosen, "CRS": "EPSG:25832"})
    for key, value in {**chosen, "CRS": "EPSG:25832", "CENTRE_LINES": vectorise["CENTRE_LINES"]}.items():
        assert made[key.lower()] == value, key


@pytest.mark.parametrize("road_class", [0, 7])
def test_the_class_of_road_reaches_the_worker(job, vectorise, road_class):
    assert job("vectoriseroads", {**vectorise, "ROAD_CLASS": road_class})["road_class"] == road_class


def test_vectorising_into_nothing_is_refused(refusal, vectorise):
    assert refusal("vectoriseroads", {"INPUT": vectorise["INPUT"]}).startswith("No output is asked for: choose")


def test_the_plainest_evaluation(job, evaluate):
    made = job("evaluateroads", evaluate)
    assert QgsVectorLayer(made.pop("roads")[0]).featureCount() == 1
    assert made == {
        "kind": "evaluate",
        "surface": evaluate["INPUT"],
        "road_width": 6.0,
        "area": [],
        "buffer": 3.0,
        "map": None,
        "report": None,
    }


def test_what_is_chosen_for_an_evaluation_reaches_the_worker(job, evaluate, tmp_path):
    area = memory_layer("Polygon", box(0, 0, 20, 64), box(40, 0, 64, 64))
    files = {"MAP": str(tmp_path / "e.tif"), "REPORT": str(tmp_path / "r.html")}
    made = job("evaluateroads", {**evaluate, **files, "ROAD_WIDTH": 4.5, "BUFFER": 0, "AREA": area})
    assert QgsVectorLayer(made["area"][0]).featureCount() == 2
    for key, value in {**files, "ROAD_WIDTH": 4.5, "BUFFER": 0}.items():
        assert made[key.lower()] == value, key


def test_the_plainest_export(job, export):
    assert job("exportonnx", export) == {
        "kind": "export",
        "model": export["MODEL"],
        "onnx": export["OUTPUT"],
        "tile": 512,
        "overlap": None,
        "threshold": 0.5,
        "least_area": 5.0,
    }


def test_what_is_chosen_for_an_export_reaches_the_worker(job, export):
    chosen = {"TILE": 256, "OVERLAP": 0, "THRESHOLD": 0.25, "LEAST_AREA": 0}
    made = job("exportonnx", {**export, **chosen})
    assert {key: made[key.lower()] for key in chosen} == chosen
    assert job("exportonnx", {**export, "OUTPUT": "TEMPORARY_OUTPUT"})["onnx"].endswith(".onnx")


@pytest.mark.parametrize(
    ("name", "key", "missing"),
    [
        ("evaluateroads", "REFERENCE", "holds no road"),
        ("evaluateroads", "AREA", "holds no polygon"),
        ("detectroads", "AREA", "holds no polygon"),
    ],
)
def test_an_empty_layer_is_refused(refusal, request, name, key, missing):
    assert missing in refusal(name, {**request.getfixturevalue(name[: -len("roads")]), key: memory_layer("Polygon")})


def test_temporary_outputs_are_files_that_the_worker_can_write(job, detect):
    made = job("detectroads", {**detect, "SURFACE": "TEMPORARY_OUTPUT", "OUTLINES": "TEMPORARY_OUTPUT"})
    assert made["surface"].endswith(".tif")
    assert made["outlines"].endswith(".gpkg")


def test_checking_temporary_outputs_asks_qgis_to_load_none(algorithm, detect, context):
    surface = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    assert algorithm("detectroads").checkParameterValues({**detect, "SURFACE": surface}, context) == (True, "")
    assert context.layersToLoadOnCompletion() == {}


def test_an_extent_comes_in_the_coordinates_of_the_raster(job, detect, context):
    wanted = QgsRectangle(LEFT + 4, TOP - 12, LEFT + 20, TOP - 4)
    made = job("detectroads", {**detect, "EXTENT": wanted})
    assert made["extent"] == [LEFT + 4, TOP - 12, LEFT + 20, TOP - 4]
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    transform = QgsCoordinateTransform(QgsRasterLayer(detect["INPUT"]).crs(), degrees, QgsProject.instance())
    elsewhere = QgsReferencedRectangle(transform.transformBoundingBox(wanted), degrees)
    made = job("detectroads", {**detect, "EXTENT": elsewhere})
    assert made["extent"] == pytest.approx([LEFT + 4, TOP - 12, LEFT + 20, TOP - 4], abs=2)


def drawings(folder):
    """Write a GeoPackage of drawings; return it as a layer."""
    save(memory_layer("Polygon", box(10, 0, 20, 64)), folder / "drawings.gpkg")
    return QgsVectorLayer(f"{folder / 'drawings.gpkg'}|layername=drawings", "drawings")


def selected_of(folder):
    layer = QgsProject.instance().addMapLayer(drawings(folder))
    layer.selectAll()
    return QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True)


def query_on(folder):
    QgsProject.instance().addMapLayer(drawings(folder))
    layer = QgsVectorLayer("?query=SELECT geometry FROM drawings", "query", "virtual")
    layer.setCrs(QgsCoordinateReferenceSystem(UTM))
    return layer


def table_beside_drawings(folder):
    drawings(folder)
    options = ["APPEND_SUBDATASET=YES", "RASTER_TABLE=photo"]
    gdal.Translate(str(folder / "drawings.gpkg"), str(folder / "ortho.tif"), format="GPKG", creationOptions=options)
    return QgsRasterLayer(f"GPKG:{folder}/drawings.gpkg:photo", "photo")


def mosaic(folder):
    gdal.BuildVRT(str(folder / "mosaic.vrt"), [str(folder / "ortho.tif")])
    return str(folder / "mosaic.vrt")


def in_another_system(folder):
    layer = QgsRasterLayer(str(folder / "ortho.tif"), "ortho")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    return layer


def formula(folder):
    source = f"a:provider=gdal&a:uri={folder}/ortho.tif"
    extent = f"{LEFT},{TOP - 32},{LEFT + 32},{TOP}"
    uri = f"?crs={UTM}&extent={extent}&width=64&height=64&formula=%22a@1%22&{source}"
    return QgsRasterLayer(uri, "formula", "virtualraster")


@pytest.mark.parametrize(
    ("name", "key", "given", "output", "file"),
    [
        ("detectroads", "AREA", drawings, "OUTLINES", "drawings.gpkg"),
        ("detectroads", "AREA", selected_of, "CENTRE_LINES", "drawings.gpkg"),
        ("detectroads", "AREA", query_on, "OUTLINES", "drawings.gpkg"),
        ("detectroads", "INPUT", table_beside_drawings, "OUTLINES", "drawings.gpkg"),
        ("detectroads", "INPUT", mosaic, "SURFACE", "ortho.tif"),
        ("detectroads", "INPUT", in_another_system, "PROBABILITY", "ortho.tif"),
        ("vectoriseroads", "INPUT", table_beside_drawings, "OUTLINES", "drawings.gpkg"),
        ("evaluateroads", "INPUT", formula, "MAP", "ortho.tif"),
        ("evaluateroads", "REFERENCE", drawings, "REPORT", "drawings.gpkg"),
        ("trainsslkd", "ANNOTATIONS", drawings, "REPORT", "drawings.gpkg"),
        ("trainsslkd", "UNLABELLED", lambda folder: [mosaic(folder)], "MODEL", "ortho.tif"),
    ],
)
def test_no_output_replaces_what_an_input_lies_in(
    refusal, algorithm, context, feedback, request, tmp_path, name, key, given, output, file
):
    usual = request.getfixturevalue(USUAL[name])
    # By another way than that of the layer.
    path = f"{tmp_path}/../{tmp_path.name}/{file}"
    wanted = {**usual, key: given(tmp_path), output: path}
    sentence = f"The output {path} is one of the inputs; give it another name."
    assert refusal(name, wanted) == sentence
    # Steps of a model are prepared unchecked.
    with pytest.raises(QgsProcessingException, match=re.escape(sentence)):
        algorithm(name).prepareAlgorithm(wanted, context, feedback)


def test_no_output_replaces_what_edits_are_not_saved_to(refusal, algorithm, detect, context, feedback, tmp_path):
    layer = QgsProject.instance().addMapLayer(drawings(tmp_path))
    wanted = {**detect, "OUTLINES": f"{tmp_path}/../{tmp_path.name}/drawings.gpkg"}
    layer.startEditing()
    assert algorithm("detectroads").checkParameterValues(wanted, context) == (True, "")
    layer.deleteFeature(1)
    sentence = "the layer drawings, which has edits that are not saved yet"
    assert sentence in refusal("detectroads", wanted)
    with pytest.raises(QgsProcessingException, match=sentence):
        algorithm("detectroads").prepareAlgorithm(wanted, context, feedback)
    layer.rollBack()
    assert algorithm("detectroads").checkParameterValues(wanted, context) == (True, "")


@pytest.mark.parametrize("value", [100, 65])
@pytest.mark.parametrize(
    ("name", "usual"), [("trainsslkd", "train"), ("detectroads", "detect"), ("exportonnx", "export")]
)
def test_a_tile_must_be_a_multiple_of_32(refusal, request, name, usual, value):
    parameters = {**request.getfixturevalue(usual), "TILE": value}
    assert refusal(name, parameters) == f"The tile must be a multiple of 32 pixels, and {value} is not."


@pytest.mark.parametrize(("usual", "key"), [("train", "ANNOTATIONS"), ("train", "AREA"), ("detect", "AREA")])
def test_a_layer_whose_file_is_gone_is_refused(refusal, request, tmp_path, usual, key):
    gone = QgsVectorLayer(str(tmp_path / "gone.gpkg"), "gone")
    QgsProject.instance().addMapLayer(gone)
    name = {"train": "trainsslkd", "detect": "detectroads"}[usual]
    sentence = refusal(name, {**request.getfixturevalue(usual), key: gone})
    assert sentence == "The layer gone cannot be read: mend or remove it first."


@pytest.mark.parametrize("key", ["LABELLED", "UNLABELLED"])
def test_a_vector_layer_among_the_rasters_is_refused(refusal, train, ortho, tmp_path, key):
    train[key] = [ortho, drawings(tmp_path).source()]
    assert refusal("trainsslkd", train) == f"Could not load source layer for {key}: invalid value"


@pytest.mark.parametrize("key", ["LABELLED", "UNLABELLED"])
def test_of_several_rasters_a_model_s_step_leaves_none_out(algorithm, train, ortho, context, feedback, tmp_path, key):
    train[key] = [ortho, str(tmp_path / "gone.tif")]
    with pytest.raises(QgsProcessingException, match=f"Incorrect parameter value for {key}"):
        algorithm("trainsslkd").prepareAlgorithm(train, context, feedback)


def test_an_annotation_layer_without_roads_is_refused(refusal, train):
    train["ANNOTATIONS"] = memory_layer("Polygon", name="empty roads")
    assert refusal("trainsslkd", train).startswith("The layer empty roads holds no road")


def test_an_empty_area_is_refused(refusal, train):
    train["AREA"] = memory_layer("Polygon", name="empty area")
    assert refusal("trainsslkd", train).startswith("The layer empty area holds no polygon")


@pytest.fixture
def server():
    server = TileServer()
    yield server
    server.close()


TOWN = {"EXTENT": f"{LEFT},{LEFT + 150},{TOP - 100},{TOP} [{UTM}]", "PIXEL_SIZE": 0.5}


def copy_of_town(path):
    """Return the columns and rows of a copy of tiles, which must hold all of the town, no finer than need be."""
    copy = QgsRasterLayer(path, "copy")
    assert (copy.crs().authid(), copy.bandCount()) == ("EPSG:3857", 4)
    reprojected = QgsCoordinateTransform(QgsCoordinateReferenceSystem(UTM), copy.crs(), QgsProject.instance())
    assert copy.extent().contains(reprojected.transformBoundingBox(QgsRectangle(LEFT, TOP - 100, LEFT + 150, TOP)))
    return copy.width(), copy.height()


def test_tiles_from_a_server_are_copied_for_detection(job, detect, server):
    made = job("detectroads", {**detect, "INPUT": server.layer("Photos"), **TOWN})
    assert Path(made["raster"]).name == "Photos.tif"
    # At the next finer zoom level a pixel has 0.41 m.
    assert copy_of_town(made["raster"]) == (pytest.approx(150 / 0.41, rel=0.05), pytest.approx(100 / 0.41, rel=0.05))


def test_tiles_are_copied_at_the_pixel_size_of_the_model(job, detect, server):
    card = {
        "network": {"architecture": "segformer", "encoder": "mit_b0"},
        "normalisation": {"mean": [0, 0, 0]},
        "gsd": 1.7,
        "scores": {},
    }
    header = json.dumps({"__metadata__": {"sslkd": json.dumps(card)}}).encode()
    Path(detect["MODEL"]).write_bytes(len(header).to_bytes(8, "little") + header)
    made = job("detectroads", {**detect, "INPUT": server.layer(), "EXTENT": TOWN["EXTENT"]})
    assert copy_of_town(made["raster"])[0] == pytest.approx(150 / 1.63, rel=0.05)


def test_tiles_from_a_server_are_copied_for_training(job, train, ortho, server):
    layers = {"LABELLED": [server.layer("a"), ortho, server.layer("a")], "UNLABELLED": [server.layer("b")]}
    made = job("trainsslkd", {**train, **layers, **TOWN})
    first, same, second = made["labelled"]
    assert (Path(first).name, same, Path(second).name) == ("a.tif", ortho, "a.tif") and first != second
    (unlabelled,) = made["unlabelled"]
    assert len({copy_of_town(path) for path in (first, second, unlabelled)}) == 1


def test_a_training_that_goes_on_gets_copies_of_the_same_names(job, train, server, tmp_path):
    parameters = {**train, "LABELLED": [server.layer()], **TOWN, "CHECKPOINTS": str(tmp_path / "checkpoints")}
    (copy,) = job("trainsslkd", parameters)["labelled"]
    assert Path(copy).is_relative_to(tmp_path / "checkpoints")
    assert job("trainsslkd", parameters)["labelled"] == [copy]


@pytest.mark.parametrize(
    ("name", "key"), [("detectroads", "AREA"), ("evaluateroads", "REFERENCE"), ("trainsslkd", "AREA")]
)
def test_a_layer_that_goes_before_the_worker_starts_is_told(
    algorithm, context, feedback, recorded_job, request, name, key
):
    usual = request.getfixturevalue(USUAL[name])
    layer = QgsProject.instance().addMapLayer(memory_layer("Polygon", box(0, 0, 64, 64), name="area"))
    wanted, running = {**usual, key: layer.id()}, algorithm(name)
    assert running.prepare(wanted, context, feedback)
    QgsProject.instance().removeMapLayer(layer)
    with pytest.raises(QgsProcessingException, match=f"Could not load source layer for {key}"):
        running.processAlgorithm(wanted, context, feedback)


class Removing(Feedback):
    """Removes all layers of the project when a copy begins."""

    def pushInfo(self, info):  # noqa: N802
        super().pushInfo(info)
        if info.startswith("Copying"):
            QgsProject.instance().removeAllMapLayers()


@pytest.mark.parametrize(("name", "key"), [("detectroads", "INPUT"), ("trainsslkd", "UNLABELLED")])
def test_an_area_whose_layer_goes_while_tiles_are_copied_counts(
    algorithm, context, recorded_job, request, server, name, key
):
    area = QgsProject.instance().addMapLayer(memory_layer("Polygon", box(0, 0, 64, 64), name="area"))
    tiles = server.layer()
    wanted = {**request.getfixturevalue(name[:6].rstrip("s")), **TOWN, "AREA": area.id()}
    wanted[key] = tiles if key == "INPUT" else [tiles]
    running, feedback = algorithm(name), Removing()
    assert running.prepare(wanted, context, feedback)
    with pytest.raises(QgsProcessingException, match=r"^Recorded\.$"):
        running.processAlgorithm(wanted, context, feedback)
    assert QgsProject.instance().count() == 0
    assert QgsVectorLayer(recorded_job()["area"][0]).featureCount() == 1


@pytest.mark.parametrize(
    ("name", "key"), [("detectroads", "INPUT"), ("trainsslkd", "LABELLED"), ("trainsslkd", "UNLABELLED")]
)
def test_of_tiles_from_a_server_it_is_said_what_to_choose(refusal, request, server, name, key):
    layer = server.layer()
    wanted = {**request.getfixturevalue(name[:6].rstrip("s")), key: layer if key == "INPUT" else [layer], **TOWN}
    assert "choose an extent" in refusal(name, {**wanted, "EXTENT": None})
    assert "choose a pixel size" in refusal(name, {**wanted, "PIXEL_SIZE": None})
    assert "the most are 1: choose a smaller extent" in refusal(name, {**wanted, "MOST_TILES": 1})
    assert "The extent holds no part" in refusal(name, {**wanted, "EXTENT": "3e7,4e7,3e7,4e7 [EPSG:3857]"})


@pytest.mark.parametrize("name", ["vectoriseroads", "evaluateroads"])
def test_a_picture_is_no_raster_of_roads(refusal, request, server, name):
    wanted = {**request.getfixturevalue(name[: -len("roads")]), "INPUT": server.layer()}
    assert "is a picture: choose a raster of values" in refusal(name, wanted)


@pytest.mark.parametrize("extent", ["500004,500004,5199990,5199990", "0,1,0,1"])
def test_an_extent_without_pixels_is_refused(refusal, detect, extent):
    assert refusal("detectroads", {**detect, "EXTENT": extent}).startswith("The extent holds no part of")


@pytest.mark.parametrize(("name", "usual"), [("detectroads", "detect"), ("exportonnx", "export")])
def test_a_model_file_that_is_not_there_is_refused(refusal, request, tmp_path, name, usual):
    parameters = {**request.getfixturevalue(usual), "MODEL": str(tmp_path / "gone.safetensors")}
    assert "choose one that Train SSLKD made" in refusal(name, parameters)


@pytest.mark.parametrize(("name", "usual"), [("detectroads", "detect"), ("exportonnx", "export")])
def test_an_overlap_as_large_as_the_tile_is_refused(refusal, request, name, usual):
    parameters = {**request.getfixturevalue(usual), "TILE": 64, "OVERLAP": 64}
    assert "must be smaller than the tile" in refusal(name, parameters)


def test_a_table_of_a_database_is_no_output(refusal, vectorise, tmp_path):
    output = f"ogr:dbname='{tmp_path}/all.gpkg' table=\"roads\" (geom)"
    told = f"The output {output} is a table of a database: name a file of its own instead."
    assert refusal("vectoriseroads", {**vectorise, "OUTLINES": output}) == told


def test_an_export_to_another_format_is_refused(refusal, export, tmp_path):
    output = str(tmp_path / "m.pt")
    assert refusal("exportonnx", {**export, "OUTPUT": output}) == f"The ONNX file {output} must end in .onnx."


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("trainsslkd", "LABELLED", []),
        ("trainsslkd", "LABELLED", ["gone.tif"]),
        ("trainsslkd", "ANNOTATIONS", "gone.gpkg"),
        ("trainsslkd", "ROAD_WIDTH", 0),
        ("trainsslkd", "AREA", "gone.gpkg"),
        ("trainsslkd", "PRESET", "huge"),
        ("trainsslkd", "PRESET", 0),
        ("trainsslkd", "GSD", 0),
        ("trainsslkd", "STEPS", 0),
        ("trainsslkd", "BATCH", 1),
        ("trainsslkd", "LEARNING_RATE", 0),
        ("trainsslkd", "SEED", "many"),
        ("trainsslkd", "EXTENT", "everywhere"),
        ("trainsslkd", "PIXEL_SIZE", "fine"),
        ("trainsslkd", "MOST_TILES", 0),
        ("trainsslkd", "DEVICE", "abacus"),
        ("trainsslkd", "WEIGHTS", "heavy"),
        ("trainsslkd", "MODEL", ""),
        ("detectroads", "INPUT", "gone.tif"),
        ("detectroads", "MODEL", ""),
        ("detectroads", "EXTENT", "everywhere"),
        ("detectroads", "THRESHOLD", 1.5),
        ("detectroads", "THRESHOLD", 0),
        ("detectroads", "LEAST_AREA", -1),
        ("detectroads", "SIMPLIFY", "some"),
        ("detectroads", "OVERLAP", -1),
        ("detectroads", "PIXEL_SIZE", 0),
        ("detectroads", "MOST_TILES", "all"),
        ("detectroads", "DEVICE", "abacus"),
        ("detectroads", "AREA", "gone.gpkg"),
        ("detectroads", "BANDS", [1, 4]),
        ("detectroads", "BANDS", ["red"]),
        ("detectroads", "BATCH", "many"),
        ("detectroads", "NODATA", "black"),
        ("detectroads", "PRECISION", "float8"),
        ("detectroads", "CRS", "EPSG:0"),
        ("detectroads", "SURFACE", "surface.img"),
        ("detectroads", "OUTLINES", "outlines.dxf"),
        ("detectroads", "CENTRE_LINES", "lines.dxf"),
        ("vectoriseroads", "INPUT", "gone.tif"),
        ("vectoriseroads", "THRESHOLD", 0),
        ("vectoriseroads", "LEAST_AREA", -1),
        ("vectoriseroads", "FILL_HOLES", "some"),
        ("vectoriseroads", "SIMPLIFY", -1),
        ("vectoriseroads", "SMOOTH", -1),
        ("vectoriseroads", "BRIDGE", -1),
        ("vectoriseroads", "CRS", "EPSG:0"),
        ("vectoriseroads", "CENTRE_LINES", "lines.dxf"),
        ("evaluateroads", "INPUT", "gone.tif"),
        ("evaluateroads", "REFERENCE", "gone.gpkg"),
        ("evaluateroads", "ROAD_WIDTH", 0),
        ("evaluateroads", "BUFFER", -1),
        ("evaluateroads", "MAP", "map.img"),
        ("exportonnx", "MODEL", ""),
        ("exportonnx", "OUTPUT", ""),
        ("exportonnx", "TILE", "large"),
        ("exportonnx", "OVERLAP", -1),
        ("exportonnx", "THRESHOLD", 0),
        ("exportonnx", "LEAST_AREA", -1),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(refusal, algorithm, context, feedback, request, name, key, value):
    names = {"trainsslkd": "train", "detectroads": "detect", "exportonnx": "export"}
    usual = request.getfixturevalue(names.get(name, name[: -len("roads")]))
    sentence = refusal(name, {**usual, key: value})
    assert sentence
    # A step of a model refuses it, too, whose values QGIS does not check.
    with pytest.raises(QgsProcessingException, match=f"^{re.escape(sentence)}$"):
        algorithm(name).prepareAlgorithm({**usual, key: value}, context, feedback)
