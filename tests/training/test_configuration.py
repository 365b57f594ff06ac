"""Configurations of a comparison, and what is wrong with them in one sentence."""

import pytest

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.training.configuration import load_configuration, row_settings
from qgis_sslkd.training.presets import PRESETS

CONFIGURATION = """
title = "Two ways"
preset = "quick"
seeds = [3, 4]
[settings]
steps = 7
distillation = { feature = "normalised" }
[data]
kind = "roadnet"
folder = "roadnet"
[[rows]]
name = "S supervised"
method = "supervised"
[[rows]]
name = "S SSLKD, light"
method = "sslkd"
settings = { student = { encoder = "efficientnet-b0" }, distillation = { warm_up = 0.5 } }
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "c.toml"
        path.write_text(text)
        return load_configuration(str(path))

    return load


@pytest.mark.parametrize("name", ["paper", "epfl", "epfl-quick"])
def test_the_configurations_that_come_along_hold_every_row_of_the_paper(name):
    configuration = load_configuration(name)
    methods = {row.method for row in configuration.rows}
    assert methods >= {
        "supervised-t1", "supervised-t2", "supervised", "cms-t1", "cms-t2", "cms", "cps", "cct", "sslkd", "unimatch",
    }  # fmt: skip
    assert any(row.labels == "all" for row in configuration.rows)


@pytest.mark.parametrize(("name", "changed"), [("epfl-quick-switches", {}), ("epfl-quick-long", {"steps": 1200})])
def test_further_quick_comparisons_share_the_data_and_settings_of_the_first(name, changed):
    quick, further = map(load_configuration, ("epfl-quick", name))
    assert (further.preset, further.settings, further.data) == (quick.preset, {**quick.settings, **changed}, quick.data)
    rows, shared = ({row.name: row for row in configuration.rows} for configuration in (quick, further))
    assert {"S supervised", "S SSLKD"} <= rows.keys() & shared.keys()
    assert all(shared[name] == rows[name] for name in rows.keys() & shared.keys())


def test_the_paper_configuration_keeps_the_paper_to_the_letter():
    configuration = load_configuration("paper")
    settings = row_settings(configuration, configuration.rows[0], 0)
    assert settings == PRESETS["paper"]


def test_settings_are_those_of_the_preset_then_of_all_rows_then_of_the_row(load):
    configuration = load(CONFIGURATION)
    plain, light = (row_settings(configuration, row, 4) for row in configuration.rows)
    assert plain.steps == light.steps == 7
    assert plain.seed == light.seed == 4
    assert plain.batch == PRESETS["quick"].batch
    assert plain.student == PRESETS["quick"].student
    assert light.student == NetworkSpec("deeplabv3plus", "efficientnet-b0")
    assert (plain.distillation.feature, plain.distillation.warm_up) == ("normalised", 0.1)
    assert (light.distillation.feature, light.distillation.warm_up) == ("normalised", 0.5)


def test_names_of_files_tell_rows_of_any_alphabet_apart(load):
    renamed = CONFIGURATION.replace('"S supervised"', '"学生 1_a"').replace('"S SSLKD, light"', '"Schüler (süß)"')
    assert [row.slug for row in load(renamed).rows] == ["学生-1-a", "schüler-süß"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('method = "supervised"', 'method = "magic"', "magic.*choose one of sslkd, .*unimatch"),
        ('encoder = "efficientnet-b0"', 'encoder = "resnet19"', "resnet19.*resnet18"),
        ('feature = "normalised"', 'feature = "l7"', "'l1'.*'projector'|l1.*projector"),
        ("steps = 7", "stepz = 7", "stepz.*steps"),
        ("steps = 7", "steps = 0", "at least 1, got 0"),
        ("steps = 7", 'steps = "many"', "steps"),
        ("steps = 7", 'steps = "7"', "steps: .* valid integer"),
        ('preset = "quick"', 'preset = "fast"', "fast.*paper, balanced, quick"),
        ('kind = "roadnet"', 'kind = "cityscapes"', "roadnet"),
        ('name = "S SSLKD, light"', 'name = "S Supervised +"', r"'S supervised' and 'S Supervised \+' have the same"),
        ('name = "S supervised"', f'name = "{"n" * 51}"', "name.*at most 50"),
        ('name = "S supervised"', 'name = "+++"', r"'\+\+\+' has no letter and no digit"),
        ("seeds = [3, 4]", "seeds = []", "seeds"),
        ("seeds = [3, 4]", "seeds = [3, 4, 3]", "twice in 3, 4, 3"),
        ("seeds = [3, 4]", "seeds = [true]", r"seeds\.0: .* valid integer"),
        ("seeds = [3, 4]", 'seeds = ["3"]', r"seeds\.0: .* valid integer"),
        ('folder = "roadnet"', 'folder = "roadnet"\ngsd = "0.2"', r"gsd: .* valid number"),
        ('folder = "roadnet"', 'folder = "roadnet"\ngsd = nan', r"gsd: .* finite number"),
        ("[data]", "[data", "TOML"),
    ],
)
def test_mistakes_are_named_with_what_is_known(load, old, new, words):
    assert old in CONFIGURATION
    with pytest.raises(SettingError, match=f"(?s){words}"):
        load(CONFIGURATION.replace(old, new))


def test_a_whole_number_is_a_number(load):
    assert load(CONFIGURATION.replace('folder = "roadnet"', 'folder = "roadnet"\ngsd = 1')).data.gsd == 1.0


def test_a_configuration_that_is_not_there_names_those_that_are():
    with pytest.raises(SettingError, match=r"epfl-quick.*paper"):
        load_configuration("nowhere.toml")
