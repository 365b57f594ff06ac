"""What the algorithms ask for, what they refuse, and the jobs that they make."""

import pytest
from conftest import LEFT, TOP, box, memory_layer, write_raster
from qgis.core import (
    QgsApplication,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsRasterLayer,
    QgsReferencedRectangle,
    QgsVectorLayer,
)

ADVANCED = QgsProcessingParameterDefinition.Flag.FlagAdvanced
OPTIONAL = QgsProcessingParameterDefinition.Flag.FlagOptional


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


def described(algorithm, flag):
    return {parameter.name() for parameter in algorithm.parameterDefinitions() if parameter.flags() & flag}


def test_the_provider_holds_the_algorithms_with_icons_and_help():
    provider = QgsApplication.processingRegistry().providerById("sslkd")
    assert (provider.name(), provider.icon().isNull()) == ("SSLKD", False)
    assert {each.id() for each in provider.algorithms()} == {
        "sslkd:trainsslkd",
        "sslkd:detectroads",
        "sslkd:setup",
        "sslkd:diagnose",
    }
    for each in provider.algorithms():
        assert not each.icon().pixmap(24, 24).isNull()
        assert each.shortHelpString() and each.tags() and each.group()


def test_train_asks_for_what_it_says(algorithm):
    train = algorithm("trainsslkd")
    assert described(train, ADVANCED) == {
        "STEPS", "BATCH", "TILE", "LEARNING_RATE", "SEED", "DEVICE", "WEIGHTS", "CHECKPOINTS", "METHOD",
        "STUDENT",
    }  # fmt: skip
    assert {"AREA", "UNLABELLED"} <= described(train, OPTIONAL)
    assert not {"LABELLED", "ANNOTATIONS", "MODEL", "REPORT"} & described(train, OPTIONAL)
    assert {each.name() for each in train.outputDefinitions()} == {"MODEL", "REPORT", "IOU", "F1"}
    assert train.parameterDefinition("PRESET").options() == ["quick", "balanced", "paper"]
    assert train.parameterDefinition("MODEL").defaultFileExtension() == "safetensors"


def test_detect_asks_for_what_it_says(algorithm):
    detect = algorithm("detectroads")
    assert described(detect, ADVANCED) == {"TILE", "OVERLAP", "BATCH", "DEVICE"}
    assert {"EXTENT", "PROBABILITY", "OUTLINES"} <= described(detect, OPTIONAL)
    assert {each.name() for each in detect.outputDefinitions()} == {"SURFACE", "PROBABILITY", "OUTLINES"}
    by_default = {each.name(): each.createByDefault() for each in detect.destinationParameterDefinitions()}
    assert by_default == {"SURFACE": True, "PROBABILITY": False, "OUTLINES": True}


def test_what_is_left_empty_is_left_to_the_worker(job, train, ortho, tmp_path):
    made = job("trainsslkd", train)
    assert QgsVectorLayer(made.pop("roads")[0]).featureCount() == 1
    assert made == {
        "kind": "train",
        "labelled": [ortho],
        "road_width": 6.0,
        "area": [],
        "unlabelled": [],
        "method": "sslkd",
        "preset": "balanced",
        "student": None,
        "steps": None,
        "batch": None,
        "tile": None,
        "learning_rate": None,
        "seed": 0,
        "device": "auto",
        "weights": "none",
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
        "STEPS": 3,
        "BATCH": 2,
        "TILE": 96,
        "LEARNING_RATE": 0.02,
        "SEED": 7,
        "DEVICE": "cpu",
        "WEIGHTS": "imagenet",
        "CHECKPOINTS": str(tmp_path),
    }
    made = job("trainsslkd", {**train, **chosen})
    assert QgsVectorLayer(made["area"][0]).featureCount() == 1
    assert made["unlabelled"] == more
    for key in chosen.keys() - {"AREA", "UNLABELLED"}:
        assert made[key.lower()] == chosen[key], key


def test_the_plainest_detection(job, detect):
    assert job("detectroads", detect) == {
        "kind": "detect",
        "raster": detect["INPUT"],
        "model": detect["MODEL"],
        "extent": None,
        "threshold": 0.5,
        "least_area": 20.0,
        "simplify": 0.5,
        "tile": None,
        "overlap": None,
        "batch": None,
        "device": "auto",
        "surface": detect["SURFACE"],
        "probability": None,
        "outlines": None,
    }


def test_what_is_chosen_for_detection_reaches_the_worker(job, detect, tmp_path):
    chosen = {"THRESHOLD": 0.25, "LEAST_AREA": 0, "SIMPLIFY": 0, "TILE": 64, "OVERLAP": 0, "BATCH": 1, "DEVICE": "cuda"}
    files = {"PROBABILITY": str(tmp_path / "p.tif"), "OUTLINES": str(tmp_path / "o.gpkg")}
    made = job("detectroads", {**detect, **chosen, **files})
    for key, value in {**chosen, **files}.items():
        assert made[key.lower()] == value, key


def test_temporary_outputs_are_files_that_the_worker_can_write(job, detect):
    made = job("detectroads", {**detect, "SURFACE": "TEMPORARY_OUTPUT", "OUTLINES": "TEMPORARY_OUTPUT"})
    assert made["surface"].endswith(".tif")
    assert made["outlines"].endswith(".gpkg")


def test_an_extent_comes_in_the_coordinates_of_the_raster(job, detect, context):
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsProject, QgsRectangle

    wanted = QgsRectangle(LEFT + 4, TOP - 12, LEFT + 20, TOP - 4)
    made = job("detectroads", {**detect, "EXTENT": wanted})
    assert made["extent"] == [LEFT + 4, TOP - 12, LEFT + 20, TOP - 4]
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    transform = QgsCoordinateTransform(QgsRasterLayer(detect["INPUT"]).crs(), degrees, QgsProject.instance())
    elsewhere = QgsReferencedRectangle(transform.transformBoundingBox(wanted), degrees)
    made = job("detectroads", {**detect, "EXTENT": elsewhere})
    assert made["extent"] == pytest.approx([LEFT + 4, TOP - 12, LEFT + 20, TOP - 4], abs=2)


@pytest.mark.parametrize("value", [100, 65])
@pytest.mark.parametrize("name", ["trainsslkd", "detectroads"])
def test_a_tile_must_be_a_multiple_of_32(refusal, train, detect, name, value):
    parameters = {**(train if name == "trainsslkd" else detect), "TILE": value}
    assert refusal(name, parameters) == f"The tile must be a multiple of 32 pixels, and {value} is not."


def test_an_annotation_layer_without_roads_is_refused(refusal, train):
    train["ANNOTATIONS"] = memory_layer("Polygon", name="empty roads")
    assert refusal("trainsslkd", train).startswith("The layer empty roads holds no road")


def test_an_empty_area_is_refused(refusal, train):
    train["AREA"] = memory_layer("Polygon", name="empty area")
    assert refusal("trainsslkd", train).startswith("The layer empty area holds no polygon")


@pytest.mark.parametrize("key", ["LABELLED", "UNLABELLED"])
def test_tiles_from_a_server_are_refused_for_training(refusal, train, key):
    train[key] = [QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")]
    assert "export it with" in refusal("trainsslkd", train)


def test_tiles_from_a_server_are_refused_for_detection(refusal, detect):
    detect["INPUT"] = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png", "tiles", "wms")
    assert "export it with" in refusal("detectroads", detect)


@pytest.mark.parametrize("extent", ["500004,500004,5199990,5199990", "0,1,0,1"])
def test_an_extent_without_pixels_is_refused(refusal, detect, extent):
    assert refusal("detectroads", {**detect, "EXTENT": extent}).startswith("The extent holds no part of")


def test_a_model_file_that_is_not_there_is_refused(refusal, detect, tmp_path):
    detect["MODEL"] = str(tmp_path / "gone.safetensors")
    assert "choose one that Train SSLKD made" in refusal("detectroads", detect)


def test_an_overlap_as_large_as_the_tile_is_refused(refusal, detect):
    assert "must be smaller than the tile" in refusal("detectroads", {**detect, "TILE": 64, "OVERLAP": 64})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("trainsslkd", "LABELLED", []),
        ("trainsslkd", "LABELLED", ["gone.tif"]),
        ("trainsslkd", "ANNOTATIONS", "gone.gpkg"),
        ("trainsslkd", "ROAD_WIDTH", 0),
        ("trainsslkd", "AREA", "gone.gpkg"),
        ("trainsslkd", "PRESET", "huge"),
        ("trainsslkd", "STEPS", 0),
        ("trainsslkd", "BATCH", 1),
        ("trainsslkd", "LEARNING_RATE", 0),
        ("trainsslkd", "SEED", "many"),
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
        ("detectroads", "DEVICE", "abacus"),
        ("detectroads", "SURFACE", "surface.img"),
        ("detectroads", "OUTLINES", "outlines.dxf"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(refusal, train, detect, name, key, value):
    assert refusal(name, {**(train if name == "trainsslkd" else detect), key: value})
