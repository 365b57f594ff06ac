"""What each method trains, and which settings it heeds."""

from dataclasses import replace

import pytest
import torch

from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.trainers import CrossSupervision, Distillation
from qgis_sslkd.training.data import TrainingInputs, prepare
from qgis_sslkd.training.fit import Run
from qgis_sslkd.training.methods import METHODS
from qgis_sslkd.training.presets import PRESETS

FIRST, SECOND, STUDENT = (NetworkSpec("segnet", "vgg11", width=width) for width in (0.0625, 0.125, 0.1875))
TINY = replace(
    PRESETS["quick"],
    teachers=(FIRST, SECOND),
    student=STUDENT,
    steps=2,
    batch=2,
    tile=64,
    validations=1,
    cross=CrossSupervision(warm_up=0),
    distillation=Distillation(warm_up=0),
)


@pytest.fixture
def trained(small_scene, reporter, device):
    """Trains by a method with changes of the settings."""
    raster, roads, area = small_scene
    with RasterReader() as reader:
        data = prepare(TrainingInputs([raster], [roads], [area], []), TINY.tile, 0, reader)

        def train(method, **changes):
            settings = METHODS[method].settings(replace(TINY, **changes))
            return METHODS[method].train(Run(data, settings, torch.device(device), reader, reporter))

        yield train


def losses(trained):
    return {name: values for history in trained.histories.values() for name, values in history.losses.items()}


def first_channels(network):
    """Which of the three networks it is."""
    return next(network.parameters()).shape[0]


@pytest.mark.parametrize(
    ("method", "kept", "specs"),
    [
        ("sslkd", "student", {"teacher 1": FIRST, "teacher 2": SECOND, "student": STUDENT}),
        ("supervised", "student", {"student": STUDENT}),
        ("supervised-t1", "teacher 1", {"teacher 1": FIRST}),
        ("supervised-t2", "teacher 2", {"teacher 2": SECOND}),
        ("cms-t1", "teacher 1", {"teacher 1": FIRST, "teacher 2": SECOND}),
        ("cms-t2", "teacher 2", {"teacher 1": FIRST, "teacher 2": SECOND}),
        ("cms", "student", {"student": STUDENT, "peer": SECOND}),
        ("cps", "student", {"student": STUDENT, "second student": STUDENT}),
        ("cct", "student", {"student": STUDENT}),
        ("unimatch", "student", {"student": STUDENT}),
    ],
)
def test_each_method_trains_its_networks_and_keeps_one(trained, method, kept, specs):
    result = trained(method)
    assert (result.kept, result.spec) == (kept, specs[kept])
    channels = {name: first_channels(network) for name, network in result.networks.items()}
    assert channels == {name: round(64 * spec.width) for name, spec in specs.items()}


def test_the_two_of_cross_pseudo_supervision_start_from_different_weights(trained):
    one, other = (network.state_dict() for network in trained("cps").networks.values())
    assert not any(torch.equal(one[name], other[name]) for name in one if one[name].ndim == 4)


@pytest.mark.parametrize("method", ["sslkd", "cms", "cms-t1", "cps"])
def test_networks_teach_each_other_as_the_settings_have_it(trained, method):
    taught, alone = (losses(trained(method, cross=CrossSupervision(warm_up=share))) for share in (0, 1))
    assert taught.keys() - alone.keys() == {name for name in taught if name.startswith("cross ")}
    assert len(taught.keys() - alone.keys()) == 2


@pytest.mark.parametrize("way", ["logit_heads", "channel_wise"])
def test_the_structure_is_taught_in_the_way_that_is_chosen_else_by_logit_heads(trained, way):
    chosen = replace(TINY.distillation, structural=way)
    expected = losses(trained("sslkd", distillation=chosen))
    assert losses(trained("sslkd-structural", distillation=chosen)) == expected
    assert "structural" not in losses(trained("sslkd"))
    by_default = losses(trained("sslkd-structural"))
    assert (by_default == expected) is (way == "logit_heads")


def test_teachers_are_alike_whatever_the_student_is(trained):
    one, other = trained("cms-t1"), trained("sslkd", student=FIRST, average=0.5, distillation=Distillation())
    for name in ("teacher 1", "teacher 2"):
        ours, theirs = (result.networks[name].state_dict() for result in (one, other))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_student_that_cannot_be_built_is_told_before_the_teachers_are_trained(trained, reporter):
    with pytest.raises(ValueError, match="dilated"):
        trained("sslkd", student=NetworkSpec("deeplabv3plus", "vgg11"))
    assert not reporter.fractions


def test_networks_of_a_run_have_other_weights_with_another_seed(trained):
    one, other = (trained("supervised", seed=seed, learning_rate=1e-9).network.state_dict() for seed in (0, 1))
    assert not any(
        torch.equal(one[name].round(decimals=4), other[name].round(decimals=4)) for name in one if one[name].ndim == 4
    )
