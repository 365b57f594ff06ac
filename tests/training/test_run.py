"""A whole run: its files, and going on after a stop."""

import functools
import html
import operator
import os
import shutil
from dataclasses import replace

import pytest
import torch
from html_page import Page
from listening import Listener

from qgis_sslkd.core.errors import CancelledError, SettingError
from qgis_sslkd.core.geodata.rasters import inspect_raster
from qgis_sslkd.core.models.model_card import load_card
from qgis_sslkd.core.models.model_file import load_network
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.trainers import Distillation
from qgis_sslkd.training.checkpoints import Checkpoints
from qgis_sslkd.training.data import TrainingInputs
from qgis_sslkd.training.methods import METHODS
from qgis_sslkd.training.presets import PRESETS
from qgis_sslkd.training.reports.explained import explained
from qgis_sslkd.training.run import train

TINY = replace(
    PRESETS["quick"],
    teachers=(NetworkSpec("deeplabv3plus", "resnet18"), NetworkSpec("segnet", "vgg11", width=0.125)),
    steps=3,
    batch=2,
    tile=64,
    validations=2,
)


@pytest.fixture(scope="module")
def train_scene(small_scene):
    raster, roads, area = small_scene

    def run(
        folder,
        reporter,
        settings=TINY,
        checkpoints=None,
        method="sslkd",
        gsd=None,
        raster=raster,
        areas=(area,),
        device="cpu",
    ):
        inputs = TrainingInputs([raster], [roads], areas, [], gsd)
        files = folder / "m.safetensors", folder / "r.html"
        return train(inputs, METHODS[method], settings, torch.device(device), *files, reporter, checkpoints)

    return run


@pytest.fixture(scope="module")
def uninterrupted(train_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    scores = train_scene(folder, Listener())
    return folder, scores


def test_the_model_tells_the_pixels_it_saw_and_those_of_the_imagery(train_scene, tmp_path):
    train_scene(tmp_path, Listener(), replace(TINY, steps=1), method="supervised", gsd=1.0)
    card = load_card(tmp_path / "m.safetensors")
    assert card.colours == ("red", "green", "blue")
    assert (card.gsd, card.imagery_gsd) == (1.0, pytest.approx(0.5, rel=1e-3))


@pytest.mark.parametrize("method", ["supervised", "supervised-t1", "supervised-t2"])
def test_supervised_training_asks_for_no_unlabelled_imagery(method, train_scene, tmp_path):
    reporter = Listener()
    train_scene(tmp_path, reporter, replace(TINY, steps=1), method=method, areas=())
    assert any("1 steps of 2 windows of 64 px" in said for said in reporter.said)


def weights(folder):
    path = folder / "m.safetensors"
    return load_network(path, load_card(path)).state_dict()


def test_a_run_leaves_the_student_and_a_report_that_needs_no_other_file(uninterrupted):
    folder, scores = uninterrupted
    assert sorted(path.name for path in folder.iterdir()) == ["m.safetensors", "r.html"]
    card = load_card(folder / "m.safetensors")
    assert card.network == TINY.student
    assert card.scores["oa"] == scores.oa
    report = (folder / "r.html").read_text()
    assert "http" not in report
    assert report.count("data:image/png;base64") == 4


# Three steps of the teachers, then three of the student; a validation comes after steps 2 and 3 of each.
@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_a_run_that_was_stopped_goes_on_to_the_same_student(train_scene, uninterrupted, tmp_path, stop):
    checkpoints = tmp_path / "checkpoints"
    with pytest.raises(CancelledError):
        train_scene(tmp_path, Listener(1 + stop), checkpoints=checkpoints)  # before them, it looks at the imagery
    assert not (tmp_path / "m.safetensors").exists()
    reporter = Listener()
    scores = train_scene(tmp_path, reporter, checkpoints=checkpoints)
    assert any("Going on" in said for said in reporter.said)
    expected = weights(uninterrupted[0])
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path).items())
    assert scores.oa == uninterrupted[1].oa
    assert not list(checkpoints.iterdir())


def test_a_run_goes_on_on_each_device(train_scene, tmp_path, device):
    """With what was noted on the CPU, and with its own notes."""
    for stop, where in ((3, "cpu"), (3, device)):
        with pytest.raises(CancelledError):
            train_scene(tmp_path, Listener(stop), checkpoints=tmp_path / "checkpoints", device=where)
    reporter = Listener()
    scores = train_scene(tmp_path, reporter, checkpoints=tmp_path / "checkpoints", device=device)
    assert any("Going on" in said for said in reporter.said)
    assert 0 <= scores.oa <= 1
    assert load_card(tmp_path / "m.safetensors").network == TINY.student


class StoppingAtTheReport(Listener):
    """Asks to stop at the first progress after the model was told of."""

    def info(self, text):
        super().info(text)
        if "m.safetensors" in text:
            self.left = 1


def test_a_run_that_is_stopped_at_its_report_leaves_the_model_and_says_so(train_scene, tmp_path):
    checkpoints, settings = tmp_path / "checkpoints", replace(TINY, steps=1)
    reporter = StoppingAtTheReport()
    with pytest.raises(CancelledError):
        train_scene(tmp_path, reporter, settings, checkpoints, method="supervised")
    assert reporter.said[-1] == f"The model is written to {tmp_path / 'm.safetensors'}; the report follows."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "m.safetensors"]
    whole = Listener()
    train_scene(tmp_path, whole, settings, checkpoints, method="supervised")
    assert (tmp_path / "r.html").exists()
    assert whole.said[-1].endswith("the network is not fit for use yet. The report tells what to do next.")
    assert not list(checkpoints.iterdir())


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(train_scene, tmp_path):
    with pytest.raises(CancelledError):
        train_scene(tmp_path, Listener(3), checkpoints=tmp_path)
    reporter = Listener(2)
    with pytest.raises(CancelledError):
        train_scene(tmp_path, reporter, settings=replace(TINY, seed=1), checkpoints=tmp_path)
    assert not any("Going on" in said for said in reporter.said)


@pytest.mark.parametrize(("place", "goes_on"), [("checkpoints", True), ("mine", False)])
def test_a_run_goes_on_with_copies_of_its_own_that_were_made_anew(train_scene, small_scene, tmp_path, place, goes_on):
    """As QGIS makes them of layers from servers; the user's own files are other files then."""
    copy = tmp_path / place / "rasters" / "scene.tif"
    copy.parent.mkdir(parents=True)
    for second in (1, 2):
        shutil.copyfile(small_scene[0].path, copy)
        os.utime(copy, (second, second))
        reporter = Listener(3)
        with pytest.raises(CancelledError):
            train_scene(tmp_path, reporter, checkpoints=tmp_path / "checkpoints", raster=inspect_raster(str(copy)))
    assert any("Going on" in said for said in reporter.said) == goes_on


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: b"rubbish", lambda content: b""])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, "me")
    checkpoints.save("student", TINY, {"done": 1})
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SettingError, match=path.name):
        checkpoints.load("student", TINY)


def test_a_checkpoint_that_finds_no_room_is_named_and_the_former_one_stays(tmp_path, little_room):
    checkpoints = Checkpoints(tmp_path, "me")
    checkpoints.save("student", TINY, {"done": 1})
    told = pytest.raises(SettingError, match=r"sslkd-student-.*\.checkpoint could not be written whole; make room")
    with told, little_room(10_000):
        checkpoints.save("student", TINY, {"done": 2, "weights": torch.zeros(100_000)})
    assert checkpoints.load("student", TINY) == {"done": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_folder_that_cannot_be_is_told_before_the_imagery_is_looked_at(train_scene, tmp_path):
    (tmp_path / "file").touch()
    reporter = Listener()
    with pytest.raises(SettingError, match=r"The folder .*file cannot be made"):
        train_scene(tmp_path, reporter, checkpoints=tmp_path / "file")
    assert reporter.said == []


PRESCRIBED = {
    "cps": {"cross.weight": "1.5", "cross.images": "all"},
    "sslkd-structural": {"distillation.structural": "logit_heads"},
    "cms-t1": {"average": "0"},
    "cms-t2": {"average": "0"},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_changes_the_settings_that_it_prescribes_and_no_others(method):
    def told(settings):
        return {setting.name: setting.value for setting in explained(settings)}

    averaged = replace(TINY, average=0.5)
    assert told(METHODS[method].settings(averaged)) == told(averaged) | PRESCRIBED.get(method, {})
    chosen = replace(TINY, distillation=Distillation(structural="mgd"))
    assert METHODS[method].settings(chosen).distillation.structural == "mgd"


@pytest.mark.parametrize("method", [name for name in METHODS if name != "sslkd"])
def test_every_method_gives_a_model_and_a_report_that_tell_its_settings(train_scene, tmp_path, method):
    settings = replace(TINY, steps=2, validations=1, average=0.5)
    scores = train_scene(tmp_path, Listener(), settings, method=method)
    card = load_card(tmp_path / "m.safetensors")
    assert card.network.architecture == ("segnet" if method.endswith("t2") else "deeplabv3plus")
    load_network(tmp_path / "m.safetensors", card)
    assert card.scores["oa"] == scores.oa
    report = (tmp_path / "r.html").read_text()
    assert html.escape(METHODS[method].title) in report
    rows = {name: value for name, value, _ in Page(report).table("Setting", "Value")}
    for name, value in ({"average": "0.5"} | PRESCRIBED.get(method, {})).items():
        told = functools.reduce(operator.getitem, name.split("."), card.training)
        assert (f"{told:g}" if isinstance(told, float) else told) == rows[name] == value


def test_three_teachers(train_scene, tmp_path):
    teachers = (*TINY.teachers, NetworkSpec("segformer", "mit_b0"))
    train_scene(tmp_path, Listener(), replace(TINY, teachers=teachers, steps=2, validations=1))
    assert "teacher 3" in (tmp_path / "r.html").read_text()
