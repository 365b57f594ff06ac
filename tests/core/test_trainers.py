"""Which parameters each step of each method moves, by which terms, and what the terms are worth."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from qgis_sslkd.core.errors import SettingError
from qgis_sslkd.core.losses import (
    IGNORE,
    aggregate_prob_mean,
    certainty,
    channel_wise_loss,
    normalised_feature_loss,
    probability_loss,
    pseudo_label,
    supervised_loss,
)
from qgis_sslkd.core.models.network_spec import NetworkSpec
from qgis_sslkd.core.models.networks import build_network, predict
from qgis_sslkd.core.trainers import (
    Batch,
    CctTrainer,
    CrossModelTrainer,
    CrossSupervision,
    Distillation,
    StudentTrainer,
    SupervisedTrainer,
    UniMatchTrainer,
    student,
    unimatch,
)
from qgis_sslkd.core.trainers.structural import LogitHeads, MaskedGeneration

RESNET = NetworkSpec("deeplabv3plus", "resnet18")
SEGNET = NetworkSpec("segnet", "vgg11", width=0.125)


@pytest.fixture(scope="module")
def originals():
    """Networks to copy, which is quicker than to build them."""
    torch.manual_seed(0)
    return {spec: [build_network(spec) for _ in range(2)] for spec in (RESNET, SEGNET)}


@pytest.fixture
def network(originals):
    """A network of either kind and of one of two initialisations."""
    return lambda spec, number=0: copy.deepcopy(originals[spec][number])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    return Batch(
        images=torch.rand(2, 3, 64, 64, generator=generator),
        labels=torch.randint(0, 2, (2, 64, 64), generator=generator),
        valid=torch.ones(2, 64, 64, dtype=torch.bool),
        unlabelled=torch.rand(2, 3, 64, 64, generator=generator),
        unlabelled_valid=torch.ones(2, 64, 64, dtype=torch.bool),
    )


@pytest.fixture
def teachers(network):
    return {"T1": network(RESNET), "T2": network(SEGNET)}


class Pointwise(nn.Module):
    """A network that sees each pixel alone: mixing pixels and mixing its predictions are the same."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)

        class Encoder(nn.Conv2d):
            def forward(self, images):
                return [images, super().forward(images).relu()]

        class Decoder(nn.Conv2d):
            def forward(self, features):
                return super().forward(features[-1]).relu()

        self.encoder, self.decoder = Encoder(3, 6, 1), Decoder(6, 5, 1)
        self.segmentation_head = nn.Conv2d(5, 2, 1)

    def forward(self, images):
        return self.segmentation_head(self.decoder(self.encoder(images)))


def parameters_moved(loss, module):
    """Names of the parameters that a loss sends a gradient to."""
    named = dict(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None and gradient.any()}


def parts_moved(loss, module):
    """Names of the children that a loss sends a gradient to."""
    return {name.split(".")[0] for name in parameters_moved(loss, module)}


def total(losses):
    return torch.stack(list(losses.values())).sum()


def passes(module):
    """A list that gets the input of each forward pass of a module."""
    seen = []
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    return seen


# Supervised.


def test_supervised_terms_move_their_own_network_alone(batch, teachers):
    losses = SupervisedTrainer(teachers).losses(batch, 0)
    assert set(losses) == {"supervised T1", "supervised T2"}
    assert parameters_moved(losses["supervised T1"], teachers["T1"])
    assert not parameters_moved(losses["supervised T1"], teachers["T2"])


# Cross-model supervision.


def test_networks_start_supervised(batch, teachers):
    trainer = CrossModelTrainer(teachers, CrossSupervision(warm_up=0.1))
    assert set(trainer.losses(batch, 0.099)) == {"supervised T1", "supervised T2"}
    assert set(trainer.losses(batch, 0.1)) == {"supervised T1", "supervised T2", "cross T1", "cross T2"}


@pytest.mark.parametrize("images", ["unlabelled", "all"])
def test_cross_terms_move_their_own_network_alone(batch, teachers, images):
    losses = CrossModelTrainer(teachers, CrossSupervision(images=images, certainty=True)).losses(batch, 0.5)
    for own, other in (("T1", "T2"), ("T2", "T1")):
        assert parameters_moved(losses[f"cross {own}"], teachers[own])
        assert not parameters_moved(losses[f"cross {own}"], teachers[other])


def test_cross_weight(batch):
    networks = {"A": Pointwise(1), "B": Pointwise(2)}
    once = CrossModelTrainer(networks, CrossSupervision(weight=1.0)).losses(batch, 0.5)
    more = CrossModelTrainer(networks, CrossSupervision(weight=1.5)).losses(batch, 0.5)
    assert more["cross A"].item() == pytest.approx(1.5 * once["cross A"].item(), rel=1e-6)
    assert more["supervised A"].item() == once["supervised A"].item()


def test_cross_terms_on_all_images_are_one_mean_over_their_valid_pixels(batch):
    networks = {"A": Pointwise(1), "B": Pointwise(2)}
    batch.valid[0, :, 20:] = False
    labels_of_no_use = torch.full_like(batch.labels, IGNORE)
    losses = CrossModelTrainer(networks, CrossSupervision(images="all")).losses(
        replace(batch, labels=labels_of_no_use), 0.5
    )
    images = torch.cat([batch.images, batch.unlabelled])
    labels = pseudo_label(networks["B"](images), torch.cat([batch.valid, batch.unlabelled_valid]))
    assert (labels == IGNORE).sum() == 64 * 44
    assert losses["cross A"].item() == pytest.approx(supervised_loss(networks["A"](images), labels).item(), rel=1e-6)


def test_cross_terms_on_all_images_use_the_logits_of_the_labelled_ones_again(batch):
    networks = {"A": Pointwise(1), "B": Pointwise(2)}
    seen = passes(networks["A"])
    CrossModelTrainer(networks, CrossSupervision(images="all")).losses(batch, 0.5)
    assert [images.data_ptr() for images in seen] == [batch.images.data_ptr(), batch.unlabelled.data_ptr()]


def test_cross_terms_weigh_by_the_certainty_of_the_network_that_labels(batch):
    networks = {"A": Pointwise(1), "B": Pointwise(2)}
    logits = networks["B"](batch.unlabelled)
    expected = supervised_loss(networks["A"](batch.unlabelled), logits.argmax(1), certainty(logits.softmax(1)))
    losses = CrossModelTrainer(networks, CrossSupervision(certainty=True)).losses(batch, 0.5)
    assert losses["cross A"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_three_networks_learn_from_the_two_others(batch):
    networks = {name: Pointwise(seed) for seed, name in enumerate("ABC")}
    losses = CrossModelTrainer(networks).losses(batch, 0.5)
    own, *others = (network(batch.unlabelled) for network in networks.values())
    expected = sum(supervised_loss(own, other.argmax(1)) for other in others) / 2
    assert losses["cross A"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "named"), [({"warm_up": 1.5}, "1.5"), ({"weight": -1.0}, "-1"), ({"weight": math.inf}, "inf")]
)
def test_cross_model_settings_are_checked(settings, named):
    with pytest.raises(SettingError, match=named):
        CrossModelTrainer({"A": Pointwise(1), "B": Pointwise(2)}, CrossSupervision(**settings))


def test_one_network_has_nobody_to_learn_from():
    with pytest.raises(SettingError, match="two or more networks, got 1"):
        CrossModelTrainer({"A": Pointwise(1)})


# The student.


OPTIONS = [
    Distillation(),
    Distillation(feature="normalised", aggregation="prob_mean", certainty=True),
    Distillation(feature="projector", views="strong", structural="channel_wise"),
    Distillation(feature="none", views="strong", structural="mgd"),
    Distillation(structural="logit_heads", images="unlabelled"),
]


def test_student_starts_supervised(batch, network, teachers):
    trainer = StudentTrainer(network(SEGNET, 1), teachers, Distillation(warm_up=0.1))
    assert set(trainer.losses(batch, 0.0)) == {"supervised"}
    assert set(trainer.losses(batch, 0.1)) == {"supervised", "feature", "probability", "pseudo label"}


@pytest.mark.parametrize("distillation", OPTIONS, ids=str)
def test_every_term_reaches_the_student_and_none_a_teacher(batch, network, teachers, distillation):
    learner = network(SEGNET, 1)
    trainer = StudentTrainer(learner, teachers, distillation)
    losses = trainer.losses(batch, 0.5)
    assert ("feature" in losses) == (distillation.feature != "none")
    assert ("structural" in losses) == (distillation.structural != "none")
    for name, loss in losses.items():
        assert parameters_moved(loss, learner), name
    total(losses).backward()
    assert all(parameter.grad.any() for parameter in trainer.trained.parameters() if parameter.ndim > 1)
    for teacher in teachers.values():
        assert all(not p.requires_grad and p.grad is None for p in teacher.parameters())
    assert set(trainer.networks) == {"student"}


def test_teachers_stay_as_they_are(batch, network, teachers):
    """No weight and no running statistic of a teacher changes, whatever the student's mode is."""
    trainer = StudentTrainer(network(RESNET, 1), teachers, Distillation(structural="mgd"))
    before = {name: {k: v.clone() for k, v in t.state_dict().items()} for name, t in teachers.items()}
    trainer.trained.train()
    optimiser = torch.optim.SGD(trainer.trained.parameters(), 0.1)
    total(trainer.losses(batch, 0.5)).backward()
    optimiser.step()
    assert not any(teacher.training for teacher in teachers.values())
    for name, teacher in teachers.items():
        for key, value in teacher.state_dict().items():
            assert torch.equal(value, before[name][key]), (name, key)


@pytest.mark.parametrize("feature", ["l1", "normalised"])
def test_student_that_equals_its_only_teacher_has_nothing_to_imitate(batch, network, feature):
    learner = network(RESNET)
    trainer = StudentTrainer(learner, {"T1": network(RESNET)}, Distillation(feature=feature, structural="channel_wise"))
    learner.eval()
    losses = trainer.losses(batch, 0.5)
    assert losses["feature"].item() == 0
    assert losses["probability"].item() == pytest.approx(0, abs=1e-6)
    assert losses["structural"].item() == pytest.approx(0, abs=1e-6)


def test_pseudo_label_term_is_cross_entropy_against_the_sum_of_the_teachers_logits(batch, network, teachers):
    learner = network(RESNET, 1)
    trainer = StudentTrainer(learner, teachers)
    learner.eval()
    with torch.no_grad():
        labels = (teachers["T1"](batch.unlabelled) + teachers["T2"](batch.unlabelled)).argmax(dim=1)
        expected = supervised_loss(learner(batch.unlabelled), labels)
    assert trainer.losses(batch, 0.5)["pseudo label"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_terms_on_the_unlabelled_images_alone_by_their_losses(batch):
    learner, first, last = Pointwise(1), Pointwise(2), Pointwise(3)
    batch.unlabelled_valid[0, 10:30] = False
    settings = Distillation(
        feature="normalised", aggregation="prob_mean", certainty=True, structural="channel_wise", images="unlabelled"
    )
    losses = StudentTrainer(learner, {"T1": first, "T2": last}, settings).losses(batch, 0.5)
    ours, theirs, structure = (predict(network, batch.unlabelled) for network in (learner, first, last))
    probability, valid = aggregate_prob_mean([theirs.logits, structure.logits]), batch.unlabelled_valid
    labels = pseudo_label(probability, valid)
    expected = {
        "supervised": supervised_loss(learner(batch.images), batch.labels),
        "feature": normalised_feature_loss(ours.features[-1], theirs.features[-1], valid),
        "probability": probability_loss(ours.logits, probability, valid),
        "structural": channel_wise_loss(ours.logits, structure.logits, valid),
        "pseudo label": supervised_loss(ours.logits, labels, certainty(probability)),
    }
    assert {k: v.item() for k, v in losses.items()} == pytest.approx({k: v.item() for k, v in expected.items()})


def test_terms_on_all_images_are_one_mean_over_their_valid_pixels(batch):
    learner, teacher = Pointwise(1), Pointwise(2)
    batch.valid[:, 30:] = False
    batch.unlabelled_valid[0] = False
    losses = StudentTrainer(learner, {"T1": teacher}).losses(batch, 0.5)
    images = torch.cat([batch.images, batch.unlabelled])
    valid = torch.cat([batch.valid, batch.unlabelled_valid])
    ours, theirs = predict(learner, images), predict(teacher, images)
    error = (ours.logits.softmax(1) - theirs.logits.softmax(1)).abs().mean(dim=1)
    assert losses["probability"].item() == pytest.approx(error[valid].mean().item(), rel=1e-5)
    error = (ours.features[-1] - theirs.features[-1]).abs().mean(dim=1)
    assert losses["feature"].item() == pytest.approx(error[valid].mean().item(), rel=1e-5)


def test_frozen_teachers_look_at_the_weak_view_and_the_student_at_the_strong_one(batch, network, teachers):
    learner = network(SEGNET, 1)
    trainer = StudentTrainer(learner, teachers, Distillation(views="strong", images="unlabelled"))
    theirs, ours = passes(teachers["T1"].encoder), passes(learner.encoder[0])
    trainer.losses(batch, 0.5)
    assert len(theirs) == 1
    assert torch.equal(theirs[0], batch.unlabelled)
    assert torch.equal(ours[0], batch.images)
    assert not torch.equal(ours[1], batch.unlabelled)


def box_of_the_first_image(images, multiple):
    boxes = torch.zeros_like(images[:, 0], dtype=torch.bool)
    boxes[0, 16:48, 32:] = True
    return boxes


def test_the_lesson_is_mixed_as_the_images_are(batch, monkeypatch):
    """A student of one pixel's sight that equals its teacher agrees with it on mixed images, in every term."""
    monkeypatch.setattr(student, "strong_view", lambda images: images)
    monkeypatch.setattr(student, "cut_boxes", box_of_the_first_image)
    learner, teacher = Pointwise(1), Pointwise(1)
    trainer = StudentTrainer(learner, {"T1": teacher}, Distillation(views="strong", structural="channel_wise"))
    seen = passes(learner.encoder)
    losses = trainer.losses(batch, 0.5)
    mixed = batch.unlabelled.clone()
    mixed[0, :, 16:48, 32:] = batch.unlabelled[1, :, 16:48, 32:]
    assert torch.equal(seen[1], mixed)
    for name in ("feature", "probability", "structural"):
        assert losses[name].item() == pytest.approx(0, abs=1e-6), name
    assert losses["pseudo label"].item() == pytest.approx(
        supervised_loss(learner(mixed), learner(mixed).argmax(1)).item()
    )


def test_what_is_not_valid_is_pasted_as_such(batch, monkeypatch):
    monkeypatch.setattr(student, "strong_view", lambda images: images)
    monkeypatch.setattr(student, "cut_boxes", box_of_the_first_image)
    batch.unlabelled_valid[1] = False
    learner = Pointwise(1)
    losses = StudentTrainer(learner, {"T1": Pointwise(1)}, Distillation(views="strong")).losses(batch, 0.5)
    labels = learner(batch.unlabelled).argmax(dim=1)
    labels[0, 16:48, 32:] = labels[1] = IGNORE
    expected = supervised_loss(learner(batch.unlabelled), labels)
    assert losses["pseudo label"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_boxes_fit_the_places_of_the_features(batch, network, teachers, monkeypatch):
    asked = []

    def cut_boxes(images, multiple):
        asked.append(multiple)
        return torch.zeros_like(images[:, 0], dtype=torch.bool)

    monkeypatch.setattr(student, "cut_boxes", cut_boxes)
    for first in (teachers["T1"], teachers["T2"]):
        StudentTrainer(network(SEGNET, 1), {"T1": first}, Distillation(views="strong")).losses(batch, 0.5)
    assert asked == [16, 32]


def test_only_other_channels_or_the_choice_of_it_make_a_projector(network, teachers):
    def has_projector(learner, feature):
        trainer = StudentTrainer(learner, teachers, Distillation(feature=feature))
        return bool(list(trainer.trained["projector"].parameters()))

    alike, other = network(RESNET, 1), network(SEGNET, 1)
    assert [has_projector(alike, feature) for feature in ("l1", "normalised", "projector", "none")] == [0, 0, 1, 0]
    assert [has_projector(other, feature) for feature in ("l1", "normalised", "projector", "none")] == [1, 1, 1, 0]


@pytest.mark.parametrize("structural", ["none", "logit_heads", "mgd"])
def test_auxiliary_modules_lie_outside_of_the_student(batch, network, teachers, structural):
    learner = network(SEGNET, 1)
    names = set(learner.state_dict())
    trainer = StudentTrainer(learner, teachers, Distillation(structural=structural))
    assert "projector" in parts_moved(trainer.losses(batch, 0.5)["feature"], trainer.trained)
    assert set(trainer.networks["student"].state_dict()) == names


def test_logit_heads_train_the_encoder_and_themselves_alone(batch, network, teachers):
    learner = network(RESNET, 1)
    trainer = StudentTrainer(learner, teachers, Distillation(structural="logit_heads"))
    loss = trainer.losses(batch, 0.5)["structural"]
    assert parts_moved(loss, learner) == {"encoder"}
    # The stages at strides 4, 8, 16 and 16, each with its own head of two classes.
    assert [head.weight.shape[:2] for head in trainer.trained["structural"].heads] == [
        (2, 64), (2, 128), (2, 256), (2, 512)
    ]  # fmt: skip
    assert len(parameters_moved(loss, trainer.trained["structural"])) == 8


def test_logit_heads_that_say_nothing_differ_from_the_teacher_by_what_it_says(batch, network):
    teacher = network(SEGNET).eval()
    term, learner = LogitHeads(network(RESNET), teacher), network(RESNET)
    for parameter in term.heads.parameters():
        nn.init.zeros_(parameter)
    batch.valid[:, 20:] = False
    theirs = predict(teacher, batch.images)
    said = math.log(2) - torch.special.entr(theirs.logits.softmax(dim=1)).sum(dim=1)
    loss = term(predict(learner, batch.images), term.target(theirs), batch.valid)
    assert loss.item() == pytest.approx(said[batch.valid].mean().item(), rel=1e-4)


def test_masked_generation_trains_all_but_the_head(batch, network, teachers):
    learner = network(RESNET, 1)
    trainer = StudentTrainer(learner, teachers, Distillation(structural="mgd"))
    loss = trainer.losses(batch, 0.5)["structural"]
    assert parts_moved(loss, learner) == {"encoder", "decoder"}
    assert parts_moved(loss, trainer.trained["structural"]) == {"align", "generation"}


def test_masked_generation_aims_at_the_pooled_feature_in_units_of_its_channels(batch, network):
    learner, teacher = network(RESNET, 1), network(SEGNET).eval()
    term = MaskedGeneration(learner, teacher)
    with torch.no_grad():
        prediction = predict(teacher, batch.images)
    target = term.target(prediction)
    pooled = prediction.decoded.reshape(2, 8, 16, 4, 16, 4).mean(dim=(3, 5))
    mean = pooled.mean(dim=(0, 2, 3), keepdim=True)
    deviation = pooled.std(dim=(0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(target, (pooled - mean) / (deviation**2 + 1e-5).sqrt(), rtol=1e-3, atol=1e-3)


def test_masked_generation_sees_half_of_the_places(batch, network):
    learner, teacher = network(RESNET, 1), network(SEGNET).eval()
    term, prediction = MaskedGeneration(learner, teacher), predict(learner, batch.images)
    nn.init.ones_(term.align.weight)
    seen = passes(term.generation)
    term(prediction, term.target(predict(teacher, batch.images)), batch.valid)
    hidden = seen[0].eq(0).all(dim=1)
    assert hidden.float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(hidden, seen[0].eq(0).any(dim=1))


def test_structure_is_learned_from_the_last_teacher(batch):
    learner, last = Pointwise(1), Pointwise(3)
    settings = Distillation(structural="channel_wise")
    one, other = (
        StudentTrainer(learner, {"T1": Pointwise(seed), "T2": last}, settings).losses(batch, 0.5) for seed in (2, 4)
    )
    assert one["structural"].item() == other["structural"].item()
    assert one["probability"].item() != other["probability"].item()


@pytest.mark.parametrize(
    ("spec", "structural"),
    [
        (NetworkSpec("segformer", "mit_b0"), "logit_heads"),
        (NetworkSpec("deeplabv3plus", "tu-mobilenetv3_large_100"), "mgd"),
    ],
)
def test_students_of_other_strides_and_channels(batch, teachers, spec, structural):
    settings = Distillation(feature="normalised", views="strong", structural=structural)
    trainer = StudentTrainer(build_network(spec), teachers, settings)
    total(trainer.losses(batch, 0.5)).backward()
    assert trainer.trained["projector"].weight.grad.any()


def test_distillation_is_checked():
    with pytest.raises(SettingError, match=r"-0\.1"):
        Distillation(warm_up=-0.1)


# Cross-consistency training.


def test_consistency_trains_the_encoder_and_the_auxiliary_decoders_but_not_the_main_one(batch, network):
    for learner in (network(RESNET), network(SEGNET)):
        trainer = CctTrainer(learner)
        losses = trainer.losses(batch, 0.5)
        assert set(losses) == {"supervised", "consistency"}
        assert parts_moved(losses["consistency"], learner) == {"encoder"}
        assert parts_moved(losses["supervised"], learner) == {"encoder", "decoder", "segmentation_head"}
        auxiliary = trainer.trained["auxiliary"]
        assert len(auxiliary) == 7
        assert parts_moved(losses["consistency"], auxiliary) == set(auxiliary)
        assert not parameters_moved(losses["supervised"], auxiliary)
        assert set(trainer.networks) == {"student"}


def test_consistency_weight_is_ramped_up(batch):
    trainer = CctTrainer(Pointwise(1))

    def consistency(progress):
        torch.manual_seed(3)
        return trainer.losses(batch, progress)["consistency"].item()

    full = consistency(0.9)
    assert consistency(0.1) == pytest.approx(full, rel=1e-5)
    assert consistency(0.05) == pytest.approx(full * math.exp(-5 / 4), rel=1e-5)
    assert consistency(0) == pytest.approx(full * math.exp(-5), rel=1e-5)


def test_consistency_is_the_mean_squared_difference_over_valid_pixels(batch):
    """Auxiliary decoders that say nothing (a half each) differ from the main one by its distance from a half."""
    learner = Pointwise(1)
    trainer = CctTrainer(learner)
    for parameter in trainer.trained["auxiliary"].parameters():
        nn.init.zeros_(parameter)
    batch.unlabelled_valid[0] = False
    expected = (learner(batch.unlabelled[1:]).softmax(dim=1) - 0.5).square().mean()
    assert trainer.losses(batch, 0.5)["consistency"].item() == pytest.approx(30 * expected.item(), rel=1e-5)


def test_sub_pixel_decoders_start_without_checkerboards(network):
    decoder = CctTrainer(network(RESNET)).trained["auxiliary"]["drop-out"]
    convolution = decoder[1][0]
    assert len(decoder) == 1 + 4
    for first in range(0, 8, 4):
        assert torch.equal(convolution.weight[first : first + 4], convolution.weight[first].expand(4, -1, -1, -1))


# UniMatch.


def no_box(images, multiple):
    return torch.zeros_like(images[:, 0], dtype=torch.bool)


def test_unimatch_terms_and_their_weights(batch, monkeypatch):
    """Without views and drop-out all are the cross-entropy against the own confident winners, over the valid pixels."""
    monkeypatch.setattr(unimatch, "strong_view", lambda images: images)
    monkeypatch.setattr(unimatch, "cut_boxes", no_box)
    monkeypatch.setattr(unimatch, "_DROPPED", 0.0)
    learner = Pointwise(1)
    batch.unlabelled_valid[0, :10] = False
    with torch.no_grad():
        # About half of the pixels are as confident as 0.95, whose odds are 19.
        scale = math.log(19.001) / learner(batch.unlabelled).diff(dim=1).abs().median()
        for parameter in learner.segmentation_head.parameters():
            parameter.mul_(scale)
    logits = learner(batch.unlabelled)
    likely, winner = logits.softmax(dim=1).max(dim=1)
    losses = UniMatchTrainer(learner).losses(batch, 0)
    counted = batch.unlabelled_valid & (likely >= 0.95)
    error = nn.functional.cross_entropy(logits, winner, reduction="none")
    taught = (error * counted).sum().item() / batch.unlabelled_valid.sum().item()
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {
            "supervised": supervised_loss(learner(batch.images), batch.labels).item() / 2,
            "strong 1": taught / 8,
            "strong 2": taught / 8,
            "perturbed": taught / 4,
        },
        rel=1e-4,
    )


def test_unimatch_counts_confident_pixels_alone(batch, network):
    losses = UniMatchTrainer(network(SEGNET), confidence=1.0).losses(batch, 0)
    assert [loss.item() for name, loss in losses.items() if name != "supervised"] == [0] * 3
    losses = UniMatchTrainer(network(SEGNET), confidence=0.0).losses(batch, 0)
    assert all(loss > 0 for loss in losses.values())


def test_unimatch_mixes_labels_as_it_does_images(batch, monkeypatch):
    monkeypatch.setattr(unimatch, "strong_view", lambda images: images)
    monkeypatch.setattr(unimatch, "cut_boxes", box_of_the_first_image)
    learner = Pointwise(1)
    batch.unlabelled_valid[1] = False
    seen = passes(learner.encoder)
    losses = UniMatchTrainer(learner, confidence=0).losses(batch, 0)
    mixed = batch.unlabelled.clone()
    mixed[0, :, 16:48, 32:] = batch.unlabelled[1, :, 16:48, 32:]
    assert torch.equal(seen[1], torch.cat([mixed, mixed]))
    labels = learner(mixed).argmax(dim=1)
    labels[0, 16:48, 32:] = labels[1] = IGNORE
    assert losses["strong 2"].item() == pytest.approx(supervised_loss(learner(mixed), labels).item() / 8, rel=1e-5)


def test_unimatch_encodes_the_weak_view_once(batch):
    learner = Pointwise(1)
    seen = passes(learner.encoder)
    UniMatchTrainer(learner).losses(batch, 0)
    assert len(seen) == 2
    assert torch.equal(seen[0], torch.cat([batch.images, batch.unlabelled]))


def test_unimatch_does_not_learn_through_its_pseudo_labels(batch, monkeypatch):
    """Where the strong views are blank, nothing but the pseudo labels ties the strong terms to the images."""
    monkeypatch.setattr(unimatch, "strong_view", torch.zeros_like)
    batch.unlabelled.requires_grad_()
    losses = UniMatchTrainer(Pointwise(1), confidence=0).losses(batch, 0)
    assert torch.autograd.grad(losses["strong 1"], batch.unlabelled, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(losses["perturbed"], batch.unlabelled)[0].any()


@pytest.mark.parametrize("spec", [RESNET, SEGNET])
def test_unimatch_terms_move_the_whole_network(batch, network, spec):
    learner = network(spec)
    for loss in UniMatchTrainer(learner, confidence=0).losses(batch, 0.5).values():
        assert parts_moved(loss, learner) == {"encoder", "decoder", "segmentation_head"}


# What holds for all of them.


TRAINERS = {
    "supervised": lambda s, t: SupervisedTrainer({"student": s}),
    "cross": lambda s, t: CrossModelTrainer({"student": s, "peer": t}, CrossSupervision(images="all", certainty=True)),
    "sslkd": lambda s, t: StudentTrainer(s, {"T1": t}),
    "sslkd heads": lambda s, t: StudentTrainer(s, {"T1": t}, Distillation(structural="logit_heads", certainty=True)),
    "sslkd cwd": lambda s, t: StudentTrainer(
        s, {"T1": t}, Distillation(feature="normalised", aggregation="prob_mean", structural="channel_wise")
    ),
    "sslkd mgd": lambda s, t: StudentTrainer(s, {"T1": t}, Distillation(views="strong", structural="mgd")),
    "cct": lambda s, t: CctTrainer(s),
    "unimatch": lambda s, t: UniMatchTrainer(s, confidence=0.5),
}


@pytest.fixture(params=TRAINERS)
def trainer(request, network):
    return TRAINERS[request.param](network(SEGNET), network(SEGNET, 1))


def test_the_kept_student_is_called_student(trainer):
    assert "student" in trainer.networks
    assert trainer.networks["student"] is trainer.trained["student"]


def test_the_same_seed_gives_the_same_losses(batch, trainer):
    values = []
    state = copy.deepcopy(trainer.trained.state_dict())
    for _ in range(2):
        trainer.trained.load_state_dict(state)
        torch.manual_seed(2)
        values.append({name: loss.item() for name, loss in trainer.losses(batch, 0.5).items()})
    assert values[0] == values[1]


def test_a_batch_of_nothing_trains_nothing(batch, trainer):
    nowhere = torch.zeros(2, 64, 64, dtype=torch.bool)
    labels = torch.full((2, 64, 64), IGNORE)
    losses = trainer.losses(replace(batch, labels=labels, valid=nowhere, unlabelled_valid=nowhere), 0.5)
    assert [loss.item() for loss in losses.values()] == [0] * len(losses)
    total(losses).backward()
    assert not any(p.grad is not None and p.grad.any() for p in trainer.trained.parameters())


def test_half_precision_and_tiles_that_are_not_square(batch, trainer):
    def narrow(tensor):
        return tensor[..., :32]

    narrowed = Batch(*(narrow(getattr(batch, name)) for name in Batch.__dataclass_fields__))
    with torch.autocast("cpu", torch.bfloat16):
        losses = trainer.losses(narrowed.to(torch.device("cpu")), 0.5)
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trainer.trained.parameters() if p.requires_grad)
