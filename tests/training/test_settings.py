"""Settings from a preset, a file and options; and the page that lists them."""

import math
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.trainers import CrossSupervision, Distillation
from qgis_sslkd.training.presets import PRESETS, TrainingSettings
from qgis_sslkd.training.reports.explained import explained
from qgis_sslkd.training.settings import changed_settings, load_changes

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.parametrize("preset", PRESETS)
def test_without_changes_they_are_the_preset(preset):
    assert changed_settings(preset) == PRESETS[preset]


def test_later_changes_win_and_parts_are_changed_alone():
    settings = changed_settings(
        "quick",
        {"steps": 7, "distillation": {"views": "strong", "warm_up": 0.3}, "student": {"encoder": "resnet34"}},
        {"steps": 9, "distillation": {"warm_up": 0.2}},
    )
    assert settings.steps == 9
    assert settings.distillation == Distillation(views="strong", warm_up=0.2)
    assert settings.student == NetworkSpec("deeplabv3plus", "resnet34")
    assert settings.cross == PRESETS["quick"].cross


def test_teachers_are_replaced_as_a_whole():
    named = [
        {"architecture": "segnet", "encoder": "vgg11", "width": 0.5},
        {"architecture": "segformer", "encoder": "mit_b0"},
    ]
    assert changed_settings("quick", {"teachers": named}).teachers == tuple(NetworkSpec(**each) for each in named)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stepz": 7}, r"'stepz'; choose from teachers, student, steps, .*seed\.$"),
        ({"distillation": {"view": "strong"}}, r"'view'; choose from warm_up, .*views"),
        ({"distillation": "strong"}, "distillation"),
        ({"steps": {"teachers": 3}}, "steps"),
        ({"optimiser": "adam"}, "optimiser: .*'sgd' or 'adamw'"),
        ({"distillation": {"feature": "l2"}}, r"distillation\.feature: .*'l1', .* or 'none'"),
        ({"cross": {"images": "some"}}, r"cross\.images: .*'unlabelled' or 'all'"),
        ({"average": 1.5}, r"^The settings are not understood: The decay of the average must .* below 1, got 1\.5\.$"),
        ({"cross": {"weight": -1}}, r"not understood: The weight of cross-model supervision must be .*, got -1\.0\.$"),
        ({"learning_rate": 11.0}, "at most 10, got 11"),
        ({"tile": 8224}, "from 64 to 8192, got 8224"),
        ({"learning_rate": math.inf}, "'learning_rate' must be a finite number"),
        ({"distillation": {"feature": math.nan}}, "'feature' must be a finite number"),
        ({"student": {"encoder": "resnet19"}}, "no encoder 'resnet19'"),
        ({"teachers": [{"architecture": "unet", "encoder": "resnet18"}] * 2}, "unet.*deeplabv3plus"),
        ({"student": {"encoder": "tu-nonsense"}}, "no encoder 'tu-nonsense'"),
        ({"student": {"architecture": "segnet", "encoder": "tu-resnet18"}}, "no encoder 'tu-resnet18'"),
        ({"teachers": [{"architecture": "segnet", "encoder": "vgg11", "width": math.nan}] * 2}, "above 0, got nan"),
        ({"teachers": [{"architecture": "segnet", "encoder": "vgg11", "width": -1}] * 2}, "above 0, got -1"),
        ({"student": {"classes": 1}}, "'classes' cannot be set, got 1"),
        ({"student": {"in_channels": 4}}, "'in_channels' cannot be set, got 4"),
    ],
)
def test_mistakes_are_told_in_a_sentence_with_what_is_known(changes, words):
    with pytest.raises(SettingError, match=words) as caught:
        changed_settings("quick", changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": True}, "steps: .* valid integer"),
        ({"steps": "400"}, "steps: .* valid integer"),
        ({"steps": 400.0}, "steps: .* valid integer"),
        ({"seed": False}, "seed: .* valid integer"),
        ({"augment": "yes"}, "augment: .* valid boolean"),
        ({"learning_rate": "0.1"}, "learning_rate: .* valid number"),
        ({"learning_rate": True}, "learning_rate: .* valid number"),
        ({"distillation": {"certainty": 1}}, r"distillation\.certainty: .* valid boolean"),
        ({"teachers": [{"architecture": "segnet", "encoder": "vgg11", "width": "1"}] * 2}, r"teachers\.0\.width: "),
    ],
)
def test_no_value_is_taken_for_one_of_another_type(changes, words):
    with pytest.raises(SettingError, match=f"^The settings are not understood: {words}"):
        changed_settings("quick", changes)


def test_a_whole_number_is_a_number():
    settings = changed_settings("quick", {"learning_rate": 1, "cross": {"weight": 2}, "student": {"width": 1}})
    assert (settings.learning_rate, settings.cross.weight, settings.student.width) == (1.0, 2.0, 1.0)
    assert isinstance(settings.learning_rate, float)


def test_an_unknown_preset_names_those_that_there_are():
    with pytest.raises(SettingError, match="paper, balanced, quick"):
        changed_settings("fast")


def test_a_file_holds_changes(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text('average = 0.99\n[distillation]\nviews = "strong"\n[student]\nencoder = "resnet34"\n')
    settings = changed_settings("quick", load_changes(path))
    assert (settings.average, settings.distillation.views) == (0.99, "strong")
    assert settings.student.encoder == "resnet34"


@pytest.mark.parametrize("content", [b"steps = = 3", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "my.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingError, match=r"my\.toml"):
        load_changes(path)


def test_every_setting_has_a_value_and_a_meaning():
    listed = {setting.name: setting for setting in explained(PRESETS["quick"])}
    nested = {"cross": CrossSupervision, "distillation": Distillation}
    plain = {field.name for field in fields(TrainingSettings)} - nested.keys()
    parts = {f"{name}.{field.name}" for name, kind in nested.items() for field in fields(kind)}
    assert set(listed) == plain | parts
    assert all(setting.meaning for setting in listed.values())
    assert listed["distillation.aggregation"].meaning.endswith(" One of `logit_sum`, `prob_mean`.")
    assert "One of" not in listed["distillation.views"].meaning  # it names them
    assert listed["student"].value == "deeplabv3plus/resnet18"
    assert listed["teachers"].value == "deeplabv3plus/resnet18, segnet/vgg13 x 0.25"
    assert (listed["augment"].value, listed["cross.warm_up"].value, listed["learning_rate"].value) == (
        "true",
        "0.5",
        "0.001",
    )
    assert (
        listed["average"].meaning.startswith("decay of the running average")
        and "0 for none" in listed["average"].meaning
    )


def test_the_examples_of_the_page_are_settings():
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    settings = changed_settings("quick", *map(tomllib.loads, examples))
    assert (settings.steps, settings.average, len(settings.teachers)) == (600, 0.99, 3)
    assert settings.student == NetworkSpec("deeplabv3plus", "efficientnet-b0")


def test_the_page_lists_every_setting_with_its_meaning_and_its_value_in_each_preset():
    columns = [{s.name: s for s in explained(PRESETS[name])} for name in ("quick", "balanced", "paper")]
    for name, setting in columns[0].items():
        values = " | ".join(column[name].value for column in columns)
        row = f"| `{name}` | {setting.meaning} | {values} |"
        assert row in PAGE.read_text(encoding="utf-8"), f"docs/training.md lacks:\n{row}"
