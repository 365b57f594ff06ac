"""What can be asked of the worker, from JSON and from the command line alike."""

import inspect
import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.validation import explain
from qgis_sslkd.training.methods import METHODS
from qgis_sslkd.worker import cli
from qgis_sslkd.worker.jobs import CompareJob, DetectJob, DiagnoseJob, EvaluateJob, ExportJob, TrainJob, parse_job

TRAIN = {"kind": "train", "labelled": ["a.tif"], "roads": ["r.gpkg"], "model": "m.safetensors", "report": "r.html"}
DETECT = {"kind": "detect", "raster": "a.tif", "model": "m.safetensors", "surface": "s.tif"}
EVALUATE = {"kind": "evaluate", "surface": "s.tif", "roads": ["r.gpkg"]}


def parsed(job, **changes):
    return parse_job(json.dumps({**job, **changes}))


def test_what_is_not_said_is_the_default():
    train, detect, evaluate = parsed(TRAIN), parsed(DETECT), parsed(EVALUATE)
    assert (train.preset, train.road_width, train.device) == ("balanced", 6, "auto")
    assert [train.steps, train.batch, train.tile, train.learning_rate] == [None] * 4
    assert [train.seed, train.weights, train.settings] == [None] * 3
    assert (train.area, train.unlabelled) == ([], [])
    assert (detect.threshold, detect.least_area, detect.simplify, detect.device) == (0.5, 20, 0.5, "auto")
    assert [detect.extent, detect.tile, detect.overlap, detect.batch] == [None] * 4
    assert [detect.surface, detect.folder, detect.probability, detect.outlines] == [Path("s.tif"), None, None, None]
    assert (detect.bands, detect.area, detect.nodata, detect.crs) == ([], [], None, None)
    assert (detect.resample, detect.flips, detect.cog) == (True, False, False)
    assert (evaluate.road_width, evaluate.area, evaluate.buffer) == (6, [], 3)
    assert [evaluate.json_file, evaluate.report, evaluate.map] == [None] * 3


@pytest.mark.parametrize(
    ("job", "kind", "changes"),
    [
        (TRAIN, TrainJob, {"steps": None, "batch": None, "tile": None, "learning_rate": None, "settings": None}),
        (DETECT, DetectJob, {"extent": None, "tile": None, "overlap": None, "probability": None, "outlines": None}),
        (EVALUATE, EvaluateJob, {"json": None, "report": None, "map": None}),
    ],
)
def test_null_is_the_default_too(job, kind, changes):
    assert isinstance(parsed(job), kind)
    assert parsed(job, **changes) == parsed(job)


def test_everything_can_be_said():
    job = parsed(DETECT, extent=[-115.2, 36.1, -115.1, 36.2], threshold=0.7, tile=256, outlines="o.gpkg", batch=2)
    assert job.extent == (-115.2, 36.1, -115.1, 36.2)
    assert (job.threshold, job.tile, job.batch) == (0.7, 256, 2)
    assert job.outlines == Path("o.gpkg")
    assert job.raster == ["a.tif"]
    several = {"raster": ["a.tif", "b.tif"], "surface": None, "folder": "out", "products": ["outlines", "probability"]}
    assert parsed(DETECT, **several).raster == ["a.tif", "b.tif"]
    assert math.isnan(parsed(DETECT, nodata=math.nan).nodata)
    assert parsed(TRAIN, bands=[3, 1]).bands == [3, 1]
    assert parsed(TRAIN, settings="my.toml").settings == Path("my.toml")
    assert parsed(TRAIN, settings={"average": 0.99}).settings == {"average": 0.99}
    assert parsed(EVALUATE, json="m.json").json_file == Path("m.json")


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ({**TRAIN, "epochs": 3}, "epochs"),
        ({**DETECT, "json": "m.json"}, "json"),
        ({**EVALUATE, "json_file": "m.json"}, "json_file"),
        ({**TRAIN, "preset": "huge"}, "preset"),
        ({**TRAIN, "weights": "coco"}, "weights"),
        ({**TRAIN, "labelled": []}, "labelled"),
        ({**TRAIN, "labelled": "a.tif"}, "labelled"),
        ({**TRAIN, "roads": []}, "roads"),
        ({**TRAIN, "road_width": 0}, "road_width"),
        ({**TRAIN, "gsd": math.inf}, "gsd"),
        ({**DETECT, "extent": [0, 0, math.nan, 1]}, "extent"),
        ({**TRAIN, "steps": 1.5}, "steps"),
        ({**TRAIN, "settings": 3}, "settings"),
        ({**DETECT, "extent": [1, 2, 3]}, "extent"),
        ({**DETECT, "threshold": "half"}, "threshold"),
        ({"kind": "detect", "raster": "a.tif"}, "model"),
        ({**DETECT, "raster": []}, "raster"),
        ({**DETECT, "products": ["roads"]}, "'centre-lines', got 'roads'"),
        ({**DETECT, "bands": ["red"]}, "bands"),
        ({**DETECT, "nodata": "none"}, "nodata"),
        ({**DETECT, "flips": "yes"}, "flips"),
        ({**DETECT, "tile": "512"}, "tile"),
        ({**TRAIN, "steps": True}, "steps"),
        ({**DETECT, "kind": "guess"}, "guess"),
        ({"raster": "a.tif"}, "kind"),
        ([DETECT], "job"),
    ],
)
def test_a_job_that_is_not_understood_is_named_in_a_sentence(job, named):
    with pytest.raises(SettingError, match=r"^The job is not understood: .*\.$") as caught:
        parse_job(json.dumps(job))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "null", "no JSON", '{"kind": "train"'])
def test_what_is_no_json_is_not_understood(text):
    with pytest.raises(SettingError, match="not understood"):
        parse_job(text)


def test_a_job_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        parsed(DETECT).threshold = 0.1


def test_every_field_is_explained():
    with pytest.raises(ValidationError) as caught:
        DetectJob(raster="a.tif", model="m", surface="s", extent=(1, 2, "x", 4), tile="y")
    assert "extent.detect" not in explain(caught.value)
    assert "extent.2: " in explain(caught.value) and "; tile: " in explain(caught.value)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (cli.train, TrainJob),
        (cli.detect, DetectJob),
        (cli.evaluate, EvaluateJob),
        (cli.compare, CompareJob),
        (cli.export, ExportJob),
        (cli.diagnose, DiagnoseJob),
    ],
)
def test_the_command_line_asks_for_the_same_with_the_same_defaults(command, kind):
    options = {name: parameter.default for name, parameter in inspect.signature(command).parameters.items()}
    fields = {field.alias or name: field for name, field in kind.model_fields.items() if name != "kind"}
    assert set(options) == set(fields)
    for name, field in fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert options[name] == default, name


def test_the_help_names_every_method():
    (option,) = inspect.signature(cli.train, eval_str=True).parameters["method"].annotation.__metadata__
    assert set(option.help.removesuffix(".").replace(": ", ", ").split(", ")) >= set(METHODS)
