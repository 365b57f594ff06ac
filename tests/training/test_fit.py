"""The training loop: schedules, history, determinism, and that it learns."""

import copy
import itertools
import math
import re
from dataclasses import asdict, replace

import pytest
import torch
from listening import Listener
from rasterio.windows import Window

from qgis_sslkd.core.errors import CancelledError, SettingError, WeightsError
from qgis_sslkd.core.geodata.rasters import RasterReader
from qgis_sslkd.core.images import Normalisation
from qgis_sslkd.core.metrics import Confusion
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network
from qgis_sslkd.core.trainers import (
    Batch,
    CrossModelTrainer,
    CrossSupervision,
    Distillation,
    StudentTrainer,
    SupervisedTrainer,
)
from qgis_sslkd.training.checkpoints import Checkpoints
from qgis_sslkd.training.data import TrainingInputs, prepare
from qgis_sslkd.training.fit import History, Run, Stage, _averages, count, seed_torch
from qgis_sslkd.training.presets import PRESETS
from qgis_sslkd.training.sources import LabelledWindow
from qgis_sslkd.training.steps import StepTaker, learning_rate
from qgis_sslkd.worker.jobs import TrainJob

TINY = replace(
    PRESETS["quick"],
    teachers=(NetworkSpec("deeplabv3plus", "resnet18"), NetworkSpec("segnet", "vgg11", width=0.125)),
    student=NetworkSpec("deeplabv3plus", "resnet18"),
    steps=3,
    batch=2,
    tile=64,
    validations=2,
)
STAGE = Stage("test", 1, "test", 0.0, 1.0)
CPU = torch.device("cpu")


def test_poly_schedule_is_its_formula():
    paper = PRESETS["paper"]
    assert learning_rate(paper, 0) == 0.01
    assert learning_rate(paper, 7_500) == pytest.approx(0.01 * 0.5**0.9)
    assert learning_rate(paper, 14_999) == pytest.approx(max(1e-6, 0.01 * (1 / 15_000) ** 0.9))
    assert learning_rate(replace(paper, learning_rate=1e-6), 14_999) == 1e-6
    assert learning_rate(replace(paper, learning_rate=1e-8), 0) == 1e-8
    rates = [learning_rate(paper, step) for step in range(0, 15_000, 100)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("precisions", list(itertools.product([torch.float16, torch.float32], repeat=2)), ids=str)
def test_steps_noted_in_one_precision_go_on_in_another(monkeypatch, precisions):
    """As where a training began on the CPU goes on on an old GPU."""
    trainer = SupervisedTrainer({"student": build_network(TINY.student)})
    before, after = (take_in(precision, trainer, monkeypatch) for precision in precisions)
    after.load_state(before.state())
    assert bool(after.state()["scaler"]) is (precisions[1] is torch.float16)


def take_in(precision, trainer, monkeypatch):
    monkeypatch.setattr("qgis_sslkd.training.steps.training_precision", lambda device: precision)
    return StepTaker(trainer, TINY, CPU)


def test_an_average_of_weights_forgets_what_the_network_began_with():
    network = torch.nn.Linear(1, 1)
    (average,) = _averages({"network": network}, decay=0.999).values()
    for weight in range(10):
        torch.nn.init.constant_(network.weight, weight)
        average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(4.5)
    (average,) = _averages({"network": network}, decay=0.5).values()
    for weight in (0.0, 0.0, 8.0):
        torch.nn.init.constant_(network.weight, weight)
        average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(4.0)


def test_an_average_has_averaged_statistics_of_batch_norms():
    network = torch.nn.BatchNorm1d(1)
    (average,) = _averages({"network": network}, decay=0.999).values()
    for mean in (2.0, 4.0):
        network.running_mean.fill_(mean)
        average.update_parameters(network)
    assert average.module.running_mean.item() == pytest.approx(3.0)


def test_networks_go_on_training_after_a_validation(run):
    network = build_network(SEGNET)
    count({"a": network}, run.data, CPU, run.reader)
    assert all(module.training for module in network.modules())


def test_cosine_schedule_is_its_formula():
    settings = replace(PRESETS["quick"], steps=100, learning_rate=2.0)
    assert learning_rate(settings, 0) == 2.0
    assert learning_rate(settings, 50) == pytest.approx(1.0)
    assert learning_rate(settings, 99) == pytest.approx(1 + math.cos(math.pi * 0.99))


def test_paper_preset_is_the_paper():
    paper = PRESETS["paper"]
    assert [(t.architecture, t.encoder) for t in paper.teachers] == [
        ("deeplabv3plus", "resnet101"),
        ("segnet", "vgg16"),
    ]
    assert (paper.student.architecture, paper.student.encoder) == ("deeplabv3plus", "resnet50")
    assert (paper.optimiser, paper.learning_rate, paper.schedule) == ("sgd", 0.01, "poly")
    assert (paper.steps, paper.batch, paper.tile, paper.augment) == (15_000, 5, 512, False)
    assert paper.cross == CrossSupervision(0.1, 1.0, "unlabelled", False)
    assert paper.distillation == Distillation(0.1, "l1", "logit_sum", False, "same", "none", "all")
    assert (paper.batch_norm_momentum, paper.average) == (0.01, 0)


def test_jobs_offer_the_presets_that_there_are():
    assert set(TrainJob.model_fields["preset"].annotation.__args__) == set(PRESETS)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("batch", 1),
        ("tile", 100),
        ("tile", 32),
        ("learning_rate", 0),
        ("seed", -1),
        ("average", 1),
        ("validations", 0),
        ("validations", -3),
        ("batch_norm_momentum", 0),
        ("batch_norm_momentum", 5),
    ],
)
def test_settings_out_of_range(setting, value):
    with pytest.raises(SettingError, match=str(value)):
        replace(PRESETS["quick"], **{setting: value})


def test_history_keeps_the_best_of_each_network():
    history = History()
    good, bad = Confusion(8, 1, 1, 90), Confusion(4, 5, 5, 86)
    undefined, wrong = Confusion(0, 0, 0, 100), Confusion(0, 5, 5, 90)
    assert history.note_counts(1, {"a": undefined, "b": good}, "best") == ["a", "b"]
    assert history.note_counts(2, {"a": bad, "b": bad}, "best") == ["a"]
    assert history.note_counts(3, {"a": undefined, "b": good}, "best") == []
    assert history.counts == {"a": bad, "b": good}
    assert [history.note_counts(4 + k, {"c": each}, "best") for k, each in enumerate((undefined, wrong))] == [["c"]] * 2


def test_history_keeps_the_last_where_that_is_wanted():
    history = History()
    good, bad = Confusion(8, 1, 1, 90), Confusion(4, 5, 5, 86)
    assert history.note_counts(1, {"a": good}, "last") == ["a"]
    assert history.note_counts(2, {"a": bad}, "last") == ["a"]
    assert history.counts == {"a": bad}


def test_a_history_comes_back_from_a_checkpoint():
    history = History()
    history.note_losses(1, {"supervised": 0.5}, 0.1)
    history.note_counts(1, {"a": Confusion(8, 1, 1, 90)}, "last")
    assert History.of(asdict(history)) == history


def test_what_is_told_on_the_way():
    history = History()
    assert history.latest() == []
    history.note_losses(1, {"supervised": 0.25}, 0.1)
    history.note_losses(2, {"supervised": 0.25, "feature": 0.16}, 0.1)
    assert history.latest() == ["loss 0.41"]
    history.note_counts(2, {"student": Confusion(58, 21, 21, 0)}, "last")
    assert history.latest() == ["loss 0.41", "IoU 0.58"]
    two = History()
    two.note_counts(2, {"teacher 1": Confusion(58, 21, 21, 0), "teacher 2": Confusion(0, 0, 0, 9)}, "last")
    assert two.latest() == ["IoU 0.58 (teacher 1) and undefined (teacher 2)"]


def test_history_of_a_term_that_comes_later():
    history = History()
    history.note_losses(1, {"supervised": 0.5}, 0.1)
    history.note_losses(2, {"supervised": 0.4, "cross": 0.3}, 0.1)
    assert history.losses["supervised"] == [0.5, 0.4]
    assert math.isnan(history.losses["cross"][0])
    assert history.losses["cross"][1] == 0.3
    history.note_losses(3, dict.fromkeys("hgfedcba", 0.1), 0.1)
    assert list(history.losses) == ["supervised", "cross", *"hgfedcba"]
    assert all(len(values) == 3 for values in history.losses.values())


@pytest.fixture
def run(small_scene, reporter):
    raster, roads, area = small_scene
    with RasterReader() as reader:
        data = prepare(TrainingInputs([raster], [roads], [area], []), TINY.tile, 0, reader)
        yield Run(data, TINY, CPU, reader, reporter)


def networks():
    seed_torch(0)
    return {f"teacher {k}": build_network(spec) for k, spec in enumerate(TINY.teachers)}


def test_a_training_tells_how_far_it_is_what_it_came_to_and_where_its_time_went(run):
    history = run.fit(SupervisedTrainer({"a": networks()["teacher 0"]}), replace(STAGE, text="step 2 of 2 (student)"))
    validating = [text for text in run.reporter.texts if "validating" in text]
    first, second, last = [text for text in run.reporter.texts if text not in validating]
    assert validating[0].startswith("step 2 of 2 (student), 2/3, loss ") and validating[0].endswith(", validating 0%")
    assert len(validating) == 2 * len(run.data.validation)
    assert re.fullmatch(r"step 2 of 2 \(student\), 1/3, loss \d+\.\d\d", first)
    assert re.fullmatch(r"step 2 of 2 \(student\), 2/3, loss \d+\.\d\d, IoU (\d\.\d\d|undefined)", second)
    assert last.startswith("step 2 of 2 (student), 3/3, loss ")
    assert sorted(set(run.reporter.fractions)) == pytest.approx([1 / 3, 2 / 3, 1])
    assert re.fullmatch(r"Step 2 of 2 \(student\) took .*: IoU .* on the validation area\.", run.reporter.infos[-1])
    assert 0 < history.validating < history.seconds
    assert 0 < history.waiting < history.seconds - history.validating


def weights_after_both_steps(run):
    step_1 = CrossModelTrainer(networks())
    run.fit(step_1, STAGE)
    seed_torch(1)
    student = build_network(TINY.student)
    run.fit(StudentTrainer(student, step_1.networks), replace(STAGE, number=2))
    return student.state_dict()


def test_the_same_seed_gives_the_same_weights(run):
    first, again = weights_after_both_steps(run), weights_after_both_steps(run)
    assert all(torch.equal(first[name], again[name]) for name in first)


SEGNET = NetworkSpec("segnet", "vgg11", width=0.0625)


def test_what_is_random_differs_by_the_seed_the_stage_and_the_step(run):
    """Windows, and the random numbers of a step such as those of drop-out; not from run to run."""

    class Noting(SupervisedTrainer):
        def losses(self, batch, progress):
            seen.append((batch.images.sum().item(), torch.rand(()).item()))
            return super().losses(batch, progress)

    drawn = {}
    for seed, number in itertools.product((0, 1), (1, 2)):
        for again in (False, True):
            seen = drawn[seed, number, again] = []
            settings = replace(TINY, seed=seed, validations=1)
            replace(run, settings=settings).fit(Noting({"a": build_network(SEGNET)}), replace(STAGE, number=number))
        assert drawn[seed, number, True] == drawn[seed, number, False]
    windows, numbers = zip(*(each for key, seen in drawn.items() if not key[2] for each in seen), strict=True)
    assert len(set(windows)) == len(set(numbers)) == 2 * 2 * TINY.steps


def test_networks_are_built_with_the_momentum_of_the_settings(run):
    network = replace(run, settings=replace(TINY, batch_norm_momentum=0.03)).build(TINY.student, 0)
    norms = [module for module in network.encoder.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.03}


def test_networks_are_built_for_the_bands_of_the_data(run):
    four_bands = replace(run, data=replace(run.data, normalisation=Normalisation.of_bytes(4)))
    assert four_bands.build(SEGNET, 0)(torch.zeros(1, 4, 64, 64)).shape == (1, 2, 64, 64)


def test_networks_are_built_with_the_starting_weights_of_the_settings(run):
    with pytest.raises(WeightsError, match="no ImageNet weights for a slim SegNet"):
        replace(run, settings=replace(TINY, weights="imagenet")).build(SEGNET, 0)


def test_a_pixel_is_validated_as_road_from_a_probability_of_one_half_on(run):
    class Always(torch.nn.Module):
        def __init__(self, logit):
            super().__init__()
            self.logit = logit

        def forward(self, images):
            return torch.stack([torch.zeros_like(images[:, 0]), torch.full_like(images[:, 0], self.logit)], dim=1)

    counts = count({"half": Always(0.0), "less": Always(-1e-3)}, run.data, CPU, run.reader)
    half, less = counts["half"], counts["less"]
    assert half.pixels == less.pixels > 0
    assert (half.misses, half.rejections, less.hits, less.false_alarms) == (0, 0, 0, 0)


def test_a_stage_tells_its_share_of_the_job(run):
    run.fit(SupervisedTrainer({"a": build_network(SEGNET)}), replace(STAGE, start=0.4, end=0.7))
    assert sorted(set(run.reporter.fractions)) == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_averages_and_the_best_state_go_on_after_a_stop(run, stopping_reporter, tmp_path, stop):
    settings = replace(TINY, steps=5, average=0.7, keep="best", validations=4)

    def fit(reporter, checkpoints):
        seed_torch(0)
        trainer = SupervisedTrainer({"a": build_network(SEGNET)})
        history = replace(run, settings=settings, reporter=reporter, checkpoints=checkpoints).fit(trainer, STAGE)
        return trainer.networks["a"].state_dict(), history

    expected, whole = fit(run.reporter, None)
    with pytest.raises(CancelledError):
        fit(stopping_reporter(stop / 5), Checkpoints(tmp_path, "me"))
    found, resumed = fit(stopping_reporter(), Checkpoints(tmp_path, "me"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for part in ("steps", "losses", "learning_rates", "validated", "counts"):
        assert repr(getattr(resumed, part)) == repr(getattr(whole, part))
    assert whole.steps == [1, 2, 3, 4, 5]


def test_a_stage_that_was_done_before_a_stop_keeps_its_time_and_is_not_summed_up_again(
    run, stopping_reporter, tmp_path
):
    settings, checkpoints = replace(TINY, steps=1, validations=1), Checkpoints(tmp_path, "me")

    def fit(reporter):
        trainer = SupervisedTrainer({"a": build_network(SEGNET)})
        return replace(run, settings=settings, reporter=reporter, checkpoints=checkpoints).fit(trainer, STAGE)

    fit(stopping_reporter())
    state = checkpoints.load(STAGE.name, settings)
    assert state["history"]["seconds"] > 0
    state["history"]["seconds"] = 1000.0
    checkpoints.save(STAGE.name, settings, state)
    again = stopping_reporter()
    assert 1000 < fit(again).seconds < 1600
    assert again.infos == ["Going on from a checkpoint: test, 1/1."]


@pytest.mark.parametrize(("error", "done"), [(CancelledError, 4), (RuntimeError, 3)])
def test_noted_is_where_a_training_was_cancelled_or_last_validated(run, tmp_path, error, done):
    """Its first validation comes after the third of five steps."""

    class Stopping(type(run.reporter)):
        def progress(self, fraction, text):
            super().progress(fraction, text)
            if fraction >= 4 / 5:
                raise error

    settings, checkpoints = replace(TINY, steps=5, validations=2), Checkpoints(tmp_path, "me")
    with pytest.raises(error):
        replace(run, settings=settings, reporter=Stopping(), checkpoints=checkpoints).fit(
            SupervisedTrainer({"a": build_network(SEGNET)}), STAGE
        )
    assert checkpoints.load(STAGE.name, settings)["done"] == done


def test_a_validation_can_be_stopped_and_is_done_when_the_training_goes_on(run, tmp_path):
    class Stopping(type(run.reporter)):
        def progress(self, fraction, text):
            super().progress(fraction, text)
            if fraction == 1 and not text.endswith("validating 0%"):
                raise CancelledError

    settings, checkpoints = replace(TINY, validations=1), Checkpoints(tmp_path, "me")
    stopped, resumed = (
        replace(run, settings=settings, reporter=reporter, checkpoints=checkpoints)
        for reporter in (Stopping(), run.reporter)
    )
    trainer = SupervisedTrainer({"a": build_network(SEGNET)})
    with pytest.raises(CancelledError):
        stopped.fit(trainer, STAGE)
    assert stopped.reporter.texts[-1].endswith(f"validating {1 / len(run.data.validation):.0%}")
    assert checkpoints.load(STAGE.name, settings)["history"]["validated"] == []
    assert resumed.fit(trainer, STAGE).validated == [3]


def test_the_kept_state_is_the_one_with_the_best_scores(run):
    trainer = SupervisedTrainer({"a": networks()["teacher 0"]})
    history = replace(run, settings=replace(TINY, keep="best")).fit(trainer, STAGE)
    assert history.validated == [2, 3]
    assert count(trainer.networks, run.data, CPU, run.reader) == history.counts


def test_averaged_weights_follow_their_formula(run):
    """A decay of 0.5: after each step the average is the mean of itself and the weights; the first is a copy."""
    seen = []

    class Watched(SupervisedTrainer):
        def losses(self, batch, progress):
            seen.append(copy.deepcopy(self.networks["a"].segmentation_head[0].bias.detach()))
            return super().losses(batch, progress)

    trainer = Watched({"a": networks()["teacher 0"]})
    averaged = replace(run, settings=replace(TINY, average=0.5, validations=1))
    averaged.fit(trainer, STAGE)
    # What the second and the third step began with is what the first and the second ended with.
    first, second = seen[1], seen[2]
    kept = trainer.networks["a"].segmentation_head[0].bias.detach()
    plain = SupervisedTrainer({"a": networks()["teacher 0"]})
    replace(run, settings=replace(TINY, validations=1)).fit(plain, STAGE)
    third = plain.networks["a"].segmentation_head[0].bias.detach()
    assert torch.allclose(kept, ((first + second) / 2 + third) / 2, atol=1e-7)
    assert not torch.allclose(kept, third, atol=1e-7)


def test_the_settings_of_the_teachers_do_not_depend_on_the_student():
    other = replace(
        TINY, student=NetworkSpec("segformer", "mit_b0"), distillation=Distillation(feature="none"), average=0.9
    )
    assert other.of_teachers() == TINY.of_teachers()
    assert replace(TINY, steps=9).of_teachers() != TINY.of_teachers()


def test_cancel_ends_at_the_next_step(run):
    class Cancelling(type(run.reporter)):
        def progress(self, fraction, text):
            super().progress(fraction, text)
            raise CancelledError

    with pytest.raises(CancelledError):
        replace(run, reporter=Cancelling()).fit(SupervisedTrainer({"a": networks()["teacher 0"]}), STAGE)


CHANGES_OF_VERSIONS = {
    "weights have other names": lambda state: state["trained"].update({"a.other": state["trained"].popitem()[1]}),
    "networks have other names": lambda state: state.update(
        trained={f"teacher {name}": each for name, each in state["trained"].items()}
    ),
    "the optimiser has other groups": lambda state: state["optimiser"]["optimiser"]["param_groups"].clear(),
    "a part is missing": lambda state: state.pop("averages"),
    "the history tells more": lambda state: state["history"].update(energy=1.0),
    "the counts are others": lambda state: state["history"].update(counts={"a": {"kappa": 0.5}}),
    "the history tells less": lambda state: state["history"].pop("counts"),
}


def test_a_checkpoint_of_another_version_is_named(run, tmp_path):
    def going_on():
        return replace(run, settings=settings, checkpoints=checkpoints).fit(supervised(), STAGE)

    def supervised():
        return SupervisedTrainer({"a": networks()["teacher 1"]})

    settings, checkpoints = replace(TINY, average=0.5), Checkpoints(tmp_path, "me")
    whole = replace(run, settings=settings, checkpoints=checkpoints, reporter=Listener(1))
    with pytest.raises(CancelledError):
        whole.fit(supervised(), STAGE)
    (path,) = tmp_path.iterdir()
    for name, change in CHANGES_OF_VERSIONS.items():
        state = checkpoints.load(STAGE.name, settings)
        content = path.read_bytes()
        change(state)
        checkpoints.save(STAGE.name, settings, state)
        with pytest.raises(SettingError, match=rf"^The checkpoint .*{path.name} is of another version .*; remove it"):
            going_on()
            pytest.fail(name)
        path.write_bytes(content)
    assert going_on().steps == [1, 2, 3]


def test_divergence_is_told(run):
    network = networks()["teacher 0"]
    *_, last = network.parameters()
    torch.nn.init.constant_(last, torch.inf)  # as too large steps lead to
    with pytest.raises(SettingError, match="learning rate"):
        run.fit(SupervisedTrainer({"a": network}), STAGE)


def test_a_tiny_run_overfits_a_tile(small_scene, reporter):
    """The student of the whole method finds the roads of the tile it learned from: road IoU above 0.85."""
    raster, roads, area = small_scene
    settings = replace(TINY, steps=30, batch=4, learning_rate=2e-3, augment=False, validations=1)
    with RasterReader() as reader:
        data = prepare(TrainingInputs([raster], [roads], [area], []), settings.tile, 0, reader)
        run = Run(data, settings, CPU, reader, reporter)
        step_1 = CrossModelTrainer(networks(), CrossSupervision(warm_up=0.5))
        run.fit(step_1, STAGE)
        seed_torch(1)
        student = build_network(settings.student)
        run.fit(StudentTrainer(student, step_1.networks, Distillation(warm_up=0.5)), replace(STAGE, number=2))
        place = Window(10, 10, 64, 64)
        tile = LabelledWindow(data.labelled[0], place, place)
        on_what_it_learned = replace(data, validation=(tile,))
        counts = count({"student": student}, on_what_it_learned, CPU, reader)["student"]
    assert counts.scores().iou > 0.85


class Sinking:
    """Two losses whose gradients in the only weight are 1 and 2."""

    def __init__(self):
        self.networks = {"a": torch.nn.Linear(1, 1, bias=False)}
        torch.nn.init.constant_(self.networks["a"].weight, 5.0)
        self.trained = torch.nn.ModuleDict(self.networks)
        self.progress = []

    def losses(self, batch, progress):
        self.progress.append(progress)
        weight = self.networks["a"].weight.sum()
        return {"one": weight, "two": 2 * weight}


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_steps_follow_the_formula_of_their_optimiser_and_the_schedule(monkeypatch, optimiser, schedule):
    monkeypatch.setattr("qgis_sslkd.training.steps.training_precision", lambda device: torch.float32)
    settings = replace(TINY, steps=4, learning_rate=0.1, optimiser=optimiser, schedule=schedule)
    images, pixels = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1)
    nothing = Batch(images, pixels, pixels, images, pixels)
    trainer = Sinking()
    taker = StepTaker(trainer, settings, CPU)
    weight, speed = 5.0, 0.0
    for step in range(settings.steps):
        rate = learning_rate(settings, step)
        if optimiser == "sgd":
            speed = 0.9 * speed + 3 + 1e-4 * weight
            weight -= rate * speed
        else:
            # Of a gradient that stays the same, AdamW takes the sign.
            weight -= rate * (1 + 1e-2 * weight)
        taker.step(nothing, step)
        assert trainer.networks["a"].weight.item() == pytest.approx(weight, rel=1e-5)
    assert trainer.progress == [0, 0.25, 0.5, 0.75]
